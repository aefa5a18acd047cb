"""Indexes for the audit trail of one thing, or of one person."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("server", "0006_overview"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(fields=["subject", "number"], name="audit_subject"),
        ),
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(fields=["who", "number"], name="audit_who"),
        ),
    ]
