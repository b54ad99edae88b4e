"""What the migrations of the audit trail share: the triggers that write it, and those that keep it.

Their text is that of django-pghistory 3.9, as `makemigrations` writes it out. It is frozen: from the first
deployment on, a trigger that reads otherwise is a migration of its own, with its text written out.
"""

import hashlib

from pgtrigger.compiler import Trigger, UpsertTriggerSql
from pgtrigger.migrations import AddTrigger

EVENT = (
    "WITH _pgh_attached_context AS ( SELECT _pgh_attach_context() AS value ) "
    'INSERT INTO "{table}" ({columns}) SELECT {values} '
    "FROM ( SELECT {rows}.* FROM {source} {where} ) AS {rows}, _pgh_attached_context; RETURN NULL;"
)
OF_EVENT = {
    "pgh_context": "COALESCE(NULLIF(CURRENT_SETTING('pghistory.context_metadata', TRUE), ''), NULL)::JSONB",
    "pgh_context_id": "COALESCE(NULLIF(CURRENT_SETTING('pghistory.context_id', TRUE), ''), NULL)::UUID",
    "pgh_created_at": "NOW()",
}
BOTH = 'old_values JOIN new_values ON (old_values."id") = (new_values."id")'
# operation: the rows that it tells of, where they are found, what the trigger refers to
OPERATIONS = {
    "INSERT": ("new_values", "new_values", "NEW TABLE AS new_values "),
    "UPDATE": ("new_values", BOTH, "OLD TABLE AS old_values  NEW TABLE AS new_values "),
    "DELETE": ("old_values", "old_values", "OLD TABLE AS old_values "),
}


def follow(app, model, operation, columns, *, label=None, where="", table=None, named=True):
    """Write an event, a row of <model>Event, for each row inserted, updated or deleted by a statement.

    `columns` are those that the event keeps; `where` says which rows it tells of, for an update at first those
    that have changed; `named` events point to their row by pgh_obj.
    """
    label = label or operation.lower()
    rows, source, referencing = OPERATIONS[operation]
    if operation == "UPDATE":
        where = f"WHERE ({where or 'old_values.* IS DISTINCT FROM new_values.*'})"
    elif where:
        where = f"WHERE ({where})"
    values = {column: f'{rows}."{column}"' for column in columns} | OF_EVENT | {"pgh_label": f"'{label}'"}
    if named:
        values["pgh_obj_id"] = f'{rows}."id"'
    func = EVENT.format(
        table=f"{app}_{model.lower()}event",
        columns=", ".join(f'"{column}"' for column in sorted(values)),
        values=", ".join(values[column] for column in sorted(values)),
        rows=rows,
        source=source,
        where=where,
    )
    return add(
        app, model, f"{label}_{operation.lower()}",
        func=func, level="STATEMENT", operation=operation, referencing=f"REFERENCING {referencing}",
        table=table or f"{app}_{model.lower()}", when="AFTER",
    )  # fmt: skip


def changed(*columns):
    """The rows of an update in which one of these columns is another than before."""
    return " OR ".join(
        f'old_values."{column}" IS DISTINCT FROM (new_values."{column}")' for column in sorted(columns)
    )


def keep(app, model, name="append_only"):
    """Refuse to update or delete rows (I8)."""
    return add(
        app, model, name,
        func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;",
        operation="UPDATE OR DELETE", table=f"{app}_{model.lower()}", when="BEFORE",
    )  # fmt: skip


def add(app, model, name, **text):
    number = hashlib.sha1(f"{app}.{model}:{name}".encode()).hexdigest()[:5]
    sql = UpsertTriggerSql(pgid=f"pgtrigger_{name}_{number}", **text)
    return AddTrigger(model_name=model.lower(), trigger=Trigger(name=name, sql=sql))
