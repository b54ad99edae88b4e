"""The group of marketplace support: it sees everything and does five things. Administrators do the rest."""

from django.db import migrations

VIEWED = [
    ("auth", "group"), ("axes", "accessattempt"), ("axes", "accessfailurelog"), ("axes", "accesslog"),
    ("customers", "buyer"),
    ("django_celery_beat", "clockedschedule"), ("django_celery_beat", "crontabschedule"),
    ("django_celery_beat", "intervalschedule"), ("django_celery_beat", "periodictask"),
    ("django_celery_beat", "solarschedule"),
    ("eligibility", "evaluation"), ("eligibility", "job"), ("eligibility", "metrics"),
    ("eligibility", "policy"), ("eligibility", "standing"),
    ("engagement", "broadcast"),
    ("quotas", "allowance"), ("quotas", "condition"), ("quotas", "growth"), ("quotas", "ledgerentry"),
    ("quotas", "quota"), ("quotas", "scenario"),
    ("sellers", "chatuser"), ("sellers", "market"), ("sellers", "seller"),
]  # fmt: skip
DONE = [
    ("quotas", "quota", "adjust_quota", "Can adjust a quota"),
    ("engagement", "broadcast", "stop_broadcast", "Can stop a broadcast"),
    ("engagement", "broadcast", "pause_broadcast", "Can pause and resume a broadcast"),
    ("engagement", "broadcast", "wake_broadcast", "Can wake the delivery of a stuck broadcast"),
    ("sellers", "market", "switch_sending", "Can stop and resume all sending in a market"),
]


def create(apps, schema_editor):
    ContentType = apps.get_model("contenttypes", "ContentType")
    Permission = apps.get_model("auth", "Permission")
    group, _ = apps.get_model("auth", "Group").objects.get_or_create(name="Support")
    named = [(app, model, f"view_{model}", f"Can view {model}") for app, model in VIEWED] + DONE
    for app, model, codename, name in named:
        content_type, _ = ContentType.objects.get_or_create(app_label=app, model=model)
        permission, _ = Permission.objects.get_or_create(
            content_type=content_type, codename=codename, defaults={"name": name}
        )
        group.permissions.add(permission)


class Migration(migrations.Migration):
    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("customers", "0001_initial"),
        ("eligibility", "0001_initial"),
        ("engagement", "0001_initial"),
        ("quotas", "0001_initial"),
        ("sellers", "0001_initial"),
    ]
    operations = [migrations.RunPython(create, migrations.RunPython.noop)]
