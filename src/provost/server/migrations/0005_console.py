"""What the console keeps: its key, and the table of the cache."""

from django.core.management import call_command
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def create_cache(_apps: object, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Create the table that CACHES names."""
    call_command("createcachetable", database=schema_editor.connection.alias, verbosity=0)


def drop_cache(_apps: object, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Drop it again."""
    schema_editor.execute("DROP TABLE server_cache")


class Migration(migrations.Migration):
    dependencies = [
        ("server", "0004_append_only"),
    ]

    operations = [
        migrations.CreateModel(
            name="ConsoleKey",
            fields=[
                ("ciphertext", models.BinaryField()),
                ("key_id", models.BigIntegerField(db_index=True)),
                ("id", models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
            ],
            options={
                "constraints": [models.CheckConstraint(condition=models.Q(("id", 1)), name="one_console_key")],
            },
        ),
        migrations.RunPython(create_cache, drop_cache),
    ]
