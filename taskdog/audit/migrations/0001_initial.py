# ruff: noqa: RUF012 - the lists are as makemigrations writes them

import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="AuditLog",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("timestamp", models.DateTimeField(default=django.utils.timezone.now)),
                ("client_name", models.CharField(max_length=150, null=True)),
                ("operation", models.CharField(max_length=50)),
                ("resource_type", models.CharField(max_length=50)),
                ("resource_id", models.BigIntegerField(null=True)),
                ("resource_name", models.CharField(max_length=500, null=True)),
                ("old_values", models.JSONField(null=True)),
                ("new_values", models.JSONField(null=True)),
                ("success", models.BooleanField(default=True)),
                ("error_message", models.TextField(null=True)),
            ],
            options={
                "db_table": "audit_logs",
                "indexes": [
                    models.Index(fields=["timestamp"], name="idx_audit_timestamp"),
                    models.Index(fields=["client_name"], name="idx_audit_client_name"),
                    models.Index(fields=["operation"], name="idx_audit_operation"),
                    models.Index(fields=["resource_id"], name="idx_audit_resource_id"),
                    models.Index(fields=["success"], name="idx_audit_success"),
                    models.Index(
                        fields=["client_name", "timestamp"], name="idx_audit_client_timestamp"
                    ),
                    models.Index(
                        fields=["operation", "timestamp"], name="idx_audit_operation_timestamp"
                    ),
                    models.Index(
                        fields=["resource_type", "resource_id"], name="idx_audit_resource"
                    ),
                ],
            },
        ),
    ]
