"""Indexes for what the home page and the reasons of a run count."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("server", "0005_console"),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="record",
            name="record_run_status",
        ),
        migrations.AddIndex(
            model_name="record",
            index=models.Index(fields=["run", "status", "reason"], name="record_run_reason"),
        ),
        migrations.AddIndex(
            model_name="secretversion",
            index=models.Index(fields=["state", "account", "promoted_at"], name="secret_age"),
        ),
    ]
