import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django_celery_beat.models import PeriodicTask

from cem_portal.management.commands.doctor import examine_migrations

pytestmark = pytest.mark.django_db


@pytest.fixture
def recorder():
    return MigrationRecorder(connection)


def test_an_older_database_is_brought_up_to_date(recorder):
    PeriodicTask.objects.all().delete()
    recorder.record_unapplied("engagement", "0004_schedule")
    assert examine_migrations().says == "1 not applied"
    call_command("prepare")
    assert PeriodicTask.objects.filter(task="engagement.tasks.tick").exists()
    assert examine_migrations().well


def test_one_made_by_migrations_that_are_no_more_is_left_alone_and_says_what_to_do(recorder):
    recorder.record_applied("engagement", "0010_foreign_chat_in_order")
    recorder.record_applied("engagement", "0011_by_week")
    recorder.record_unapplied("engagement", "0004_schedule")
    with pytest.raises(CommandError, match=r"0010_foreign_chat_in_order and 1 more.*`make reset`"):
        call_command("prepare")
    assert ("engagement", "0004_schedule") not in recorder.applied_migrations()
    finding = examine_migrations()
    assert not finding.well
    assert "make reset" in finding.advice


def test_one_that_is_only_newer_starts(recorder):
    recorder.record_applied("engagement", "9999_of_tomorrow")
    call_command("prepare")
    assert examine_migrations().well


def test_what_an_app_left_that_is_gone_stops_nobody(recorder):
    recorder.record_applied("gone", "0001_initial")
    recorder.record_unapplied("engagement", "0004_schedule")
    call_command("prepare")
    assert examine_migrations().well
