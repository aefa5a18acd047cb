"""The database refuses to change or delete what is in the audit trail."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

_MESSAGE = "'the audit trail is append-only'"
_EVENTS = {"audit_no_update": "UPDATE", "audit_no_delete": "DELETE"}
# What empties or overwrites without these two events: TRUNCATE, and in SQLite REPLACE.
_OTHER = {
    "postgresql": "BEFORE TRUNCATE ON server_auditentry FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change()",
    "sqlite": (
        "BEFORE INSERT ON server_auditentry WHEN NEW.number <= (SELECT max(number) FROM server_auditentry) "
        "BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END"
    ),
}


def create_triggers(_apps: object, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Create the triggers of whichever database this is."""
    sqlite = schema_editor.connection.vendor == "sqlite"
    if not sqlite:
        schema_editor.execute(
            "CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION {_MESSAGE}; END $$",
            params=None,
        )
    for name, event in _EVENTS.items():
        then = (
            f"BEGIN SELECT RAISE(ABORT, {_MESSAGE}); END"
            if sqlite
            else "FOR EACH ROW EXECUTE FUNCTION refuse_audit_change()"
        )
        schema_editor.execute(f"CREATE TRIGGER {name} BEFORE {event} ON server_auditentry {then}", params=None)
    schema_editor.execute(
        f"CREATE TRIGGER audit_no_other {_OTHER[schema_editor.connection.vendor]}", params=None
    )


def drop_triggers(_apps: object, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Drop them again."""
    sqlite = schema_editor.connection.vendor == "sqlite"
    for name in (*_EVENTS, "audit_no_other"):
        schema_editor.execute(f"DROP TRIGGER {name}" + ("" if sqlite else " ON server_auditentry"))
    if not sqlite:
        schema_editor.execute("DROP FUNCTION refuse_audit_change")


class Migration(migrations.Migration):
    dependencies = [
        ("server", "0003_server"),
    ]

    operations = [
        migrations.RunPython(create_triggers, drop_triggers),
    ]
