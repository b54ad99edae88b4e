"""What the migrations of tables that are kept by week share. It is frozen from the first deployment on."""

from django.db import migrations


class CreateByWeek(migrations.CreateModel):
    """Create the table with a partition a week; the default one follows, and the portal makes the others."""

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        whole = schema_editor.sql_create_table
        schema_editor.sql_create_table = f"{whole} PARTITION BY RANGE (week)"
        try:
            super().database_forwards(app_label, schema_editor, from_state, to_state)
        finally:
            schema_editor.sql_create_table = whole
