"""A market names the chat that carries its broadcasts; its audit trail follows."""

import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("sellers", "0002_audit"),
    ]

    operations = [
        pgtrigger.migrations.RemoveTrigger(
            model_name="market",
            name="insert_insert",
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name="market",
            name="update_update",
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name="market",
            name="delete_delete",
        ),
        migrations.AddField(
            model_name="market",
            name="chat_gateway",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="The chat for broadcasts from now on, one that CHAT_GATEWAYS names; what is under way stays.",
                max_length=32,
                verbose_name="carried by",
            ),
        ),
        migrations.AddField(
            model_name="marketevent",
            name="chat_gateway",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="The chat for broadcasts from now on, one that CHAT_GATEWAYS names; what is under way stays.",
                max_length=32,
                verbose_name="carried by",
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="market",
            trigger=pgtrigger.compiler.Trigger(
                name="insert_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='WITH _pgh_attached_context AS ( SELECT _pgh_attach_context() AS value ) INSERT INTO "sellers_marketevent" ("chat_gateway", "code", "currency", "id", "language", "name", "pgh_context", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "sending_stopped_at", "sending_stopped_reason", "time_zone") SELECT new_values."chat_gateway", new_values."code", new_values."currency", new_values."id", new_values."language", new_values."name", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_id\', TRUE), \'\'), NULL)::UUID, NOW(), \'insert\', new_values."id", new_values."sending_stopped_at", new_values."sending_stopped_reason", new_values."time_zone" FROM ( SELECT new_values.* FROM new_values  ) AS new_values, _pgh_attached_context; RETURN NULL;',
                    hash="f446e74dd87728179575d0f86bdc733b7587664a",
                    level="STATEMENT",
                    operation="INSERT",
                    pgid="pgtrigger_insert_insert_dad46",
                    referencing="REFERENCING NEW TABLE AS new_values ",
                    table="sellers_market",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="market",
            trigger=pgtrigger.compiler.Trigger(
                name="update_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='WITH _pgh_attached_context AS ( SELECT _pgh_attach_context() AS value ) INSERT INTO "sellers_marketevent" ("chat_gateway", "code", "currency", "id", "language", "name", "pgh_context", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "sending_stopped_at", "sending_stopped_reason", "time_zone") SELECT new_values."chat_gateway", new_values."code", new_values."currency", new_values."id", new_values."language", new_values."name", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_id\', TRUE), \'\'), NULL)::UUID, NOW(), \'update\', new_values."id", new_values."sending_stopped_at", new_values."sending_stopped_reason", new_values."time_zone" FROM ( SELECT new_values.* FROM old_values JOIN new_values ON (old_values."id") = (new_values."id") WHERE (old_values.* IS DISTINCT FROM new_values.*) ) AS new_values, _pgh_attached_context; RETURN NULL;',
                    hash="d3fe416250d01f98d3f256b0afbd245b9c7d8db6",
                    level="STATEMENT",
                    operation="UPDATE",
                    pgid="pgtrigger_update_update_e5645",
                    referencing="REFERENCING OLD TABLE AS old_values  NEW TABLE AS new_values ",
                    table="sellers_market",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="market",
            trigger=pgtrigger.compiler.Trigger(
                name="delete_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='WITH _pgh_attached_context AS ( SELECT _pgh_attach_context() AS value ) INSERT INTO "sellers_marketevent" ("chat_gateway", "code", "currency", "id", "language", "name", "pgh_context", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "sending_stopped_at", "sending_stopped_reason", "time_zone") SELECT old_values."chat_gateway", old_values."code", old_values."currency", old_values."id", old_values."language", old_values."name", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_id\', TRUE), \'\'), NULL)::UUID, NOW(), \'delete\', old_values."id", old_values."sending_stopped_at", old_values."sending_stopped_reason", old_values."time_zone" FROM ( SELECT old_values.* FROM old_values  ) AS old_values, _pgh_attached_context; RETURN NULL;',
                    hash="3a480cc6f728414c38f7da57db09c812f3750e85",
                    level="STATEMENT",
                    operation="DELETE",
                    pgid="pgtrigger_delete_delete_4c1bb",
                    referencing="REFERENCING OLD TABLE AS old_values ",
                    table="sellers_market",
                    when="AFTER",
                ),
            ),
        ),
    ]
