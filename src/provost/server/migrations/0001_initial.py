import uuid

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Asset",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=255, unique=True)),
                ("kind", models.CharField(max_length=50)),
                ("address", models.CharField(max_length=255)),
                ("port", models.PositiveIntegerField()),
                ("options", models.JSONField(blank=True, default=dict)),
                ("comment", models.TextField(blank=True)),
                ("created", models.DateTimeField(auto_now_add=True)),
                (
                    "via",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="behind",
                        to="server.asset",
                    ),
                ),
            ],
            options={
                "ordering": ["name"],
            },
        ),
        migrations.CreateModel(
            name="Node",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("path", models.CharField(max_length=255, unique=True)),
                ("depth", models.PositiveIntegerField()),
                ("numchild", models.PositiveIntegerField(default=0)),
                ("name", models.CharField(max_length=100)),
                ("full_path", models.CharField(max_length=1000, unique=True)),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="Run",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("action", models.CharField(max_length=20)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("queued", "Queued"),
                            ("running", "Running"),
                            ("finished", "Finished"),
                            ("cancelled", "Cancelled"),
                            ("interrupted", "Interrupted"),
                        ],
                        default="queued",
                        max_length=20,
                    ),
                ),
                ("spec", models.JSONField(default=dict)),
                ("owner", models.CharField(blank=True, max_length=255)),
                ("heartbeat", models.DateTimeField(blank=True, null=True)),
                ("cancel_requested", models.BooleanField(default=False)),
                ("created", models.DateTimeField(auto_now_add=True)),
                ("started", models.DateTimeField(blank=True, null=True)),
                ("finished", models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name="SecretVersion",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                (
                    "secret_type",
                    models.CharField(choices=[("password", "password"), ("ssh_key", "ssh_key")], max_length=10),
                ),
                ("version", models.PositiveIntegerField()),
                (
                    "state",
                    models.CharField(
                        choices=[("pending", "pending"), ("current", "current"), ("retired", "retired")],
                        max_length=10,
                    ),
                ),
                ("ciphertext", models.BinaryField()),
                ("key_id", models.BigIntegerField(db_index=True)),
                ("public_key", models.TextField(blank=True)),
                ("public_only", models.BooleanField(default=False)),
                (
                    "origin",
                    models.CharField(choices=[("specified", "specified"), ("random", "random")], max_length=10),
                ),
                ("created", models.DateTimeField()),
                ("promoted_at", models.DateTimeField(blank=True, null=True)),
                ("retired_at", models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name="AssetLock",
            fields=[
                (
                    "asset",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="lock",
                        serialize=False,
                        to="server.asset",
                    ),
                ),
                ("owner", models.CharField(max_length=255)),
                ("expires", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="Account",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("username", models.CharField(max_length=255)),
                ("privileged", models.BooleanField(default=False)),
                ("priority", models.IntegerField(default=10)),
                (
                    "become",
                    models.CharField(
                        choices=[("none", "none"), ("sudo", "sudo"), ("su", "su")],
                        default="none",
                        max_length=10,
                    ),
                ),
                ("created_by_provost", models.BooleanField(default=False)),
                ("listed_at", models.DateTimeField(blank=True, null=True)),
                ("created", models.DateTimeField(auto_now_add=True)),
                (
                    "asset",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="accounts", to="server.asset"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="HostKey",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("key", models.TextField()),
                ("fingerprint", models.CharField(max_length=100)),
                (
                    "state",
                    models.CharField(
                        choices=[("trusted", "Trusted"), ("replaced", "Replaced")],
                        default="trusted",
                        max_length=10,
                    ),
                ),
                ("first_seen", models.DateTimeField(auto_now_add=True)),
                (
                    "asset",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="host_keys", to="server.asset"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Keyset",
            fields=[
                ("id", models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("wrapped", models.TextField()),
                ("master_key_id", models.BigIntegerField()),
                ("created", models.DateTimeField(auto_now_add=True)),
                ("rotated", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "constraints": [models.CheckConstraint(condition=models.Q(("id", 1)), name="one_keyset")],
            },
        ),
        migrations.AddField(
            model_name="asset",
            name="nodes",
            field=models.ManyToManyField(blank=True, related_name="assets", to="server.node"),
        ),
        migrations.CreateModel(
            name="Record",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("asset_name", models.CharField(max_length=255)),
                ("username", models.CharField(max_length=255)),
                (
                    "secret_type",
                    models.CharField(choices=[("password", "password"), ("ssh_key", "ssh_key")], max_length=10),
                ),
                (
                    "decision",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("create", "create"),
                            ("adopt", "adopt"),
                            ("restore", "restore"),
                            ("leave", "leave"),
                        ],
                        max_length=10,
                        null=True,
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("succeeded", "succeeded"),
                            ("unchanged", "unchanged"),
                            ("unverified", "unverified"),
                            ("uncertain", "uncertain"),
                            ("failed", "failed"),
                            ("skipped", "skipped"),
                            ("cancelled", "cancelled"),
                        ],
                        max_length=12,
                        null=True,
                    ),
                ),
                ("reason", models.CharField(blank=True, max_length=50)),
                ("message", models.TextField(blank=True)),
                ("seconds", models.FloatField(default=0.0)),
                ("actor", models.CharField(blank=True, max_length=255)),
                ("settled_at", models.DateTimeField(blank=True, null=True)),
                (
                    "account",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="records",
                        to="server.account",
                    ),
                ),
                (
                    "asset",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="records",
                        to="server.asset",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="SpecifiedSecret",
            fields=[
                (
                    "run",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="server.run",
                    ),
                ),
                ("ciphertext", models.BinaryField()),
                ("key_id", models.BigIntegerField(db_index=True)),
            ],
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(fields=["-created"], name="run_created"),
        ),
        migrations.AddField(
            model_name="record",
            name="run",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="records", to="server.run"
            ),
        ),
        migrations.AddField(
            model_name="secretversion",
            name="account",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="versions", to="server.account"
            ),
        ),
        migrations.AddField(
            model_name="secretversion",
            name="run",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="server.run",
            ),
        ),
        migrations.AddField(
            model_name="assetlock",
            name="run",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="locks", to="server.run"
            ),
        ),
        migrations.AddConstraint(
            model_name="account",
            constraint=models.UniqueConstraint(fields=("asset", "username"), name="account_once_per_asset"),
        ),
        migrations.AddIndex(
            model_name="record",
            index=models.Index(fields=["run", "status"], name="record_run_status"),
        ),
        migrations.AddIndex(
            model_name="record",
            index=models.Index(fields=["account", "-settled_at"], name="record_account"),
        ),
        migrations.AddConstraint(
            model_name="record",
            constraint=models.UniqueConstraint(
                fields=("run", "asset_name", "username", "secret_type"), name="record_once_per_run"
            ),
        ),
        migrations.AddConstraint(
            model_name="secretversion",
            constraint=models.UniqueConstraint(
                fields=("account", "secret_type", "version"), name="version_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="secretversion",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state", "current")),
                fields=("account", "secret_type"),
                name="one_current_secret",
            ),
        ),
    ]
