"""Chaos itself: that its checker and its verdict can fail, and that nothing outlives it.

The quick suite wants the machine to itself: `.ci/run` runs it after the tests, as `make chaos ARGS="--quick"`.
"""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from django.conf import settings
from django.db import IntegrityError

from cem_portal.chaos import arena, guards, quota_paths, sizes, suite
from cem_portal.chaos.checker import Findings, check, check_abroad
from cem_portal.chaos.faults import Outcome
from cem_portal.chaos.stage import Stage
from chat.models import Message
from engagement import broadcasting, delivery, handover
from engagement.models import Batch, BuyerLoad, Recipient
from engagement.settlement import settle_ended
from quotas.models import Quota
from tests.factories import NOW, BroadcastFactory, ContactFactory, SellerFactory, follow, open_week


def run_manage(*arguments, **environment):
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=settings.BASE_DIR,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def outcome(found, control):
    return Outcome(suite.FAULTS[0], 1, "it struck", found, control, 1.0)


def verdict(*outcomes):
    return suite.passed(suite.merge([suite.sum_up(outcomes)], seed=1))


def test_the_suite_passes_when_nothing_is_wrong_and_every_control_failed():
    assert verdict(outcome(Findings(), Findings(lost=1)), outcome(Findings(), Findings(duplicates=1)))


def test_a_control_that_passes_fails_the_suite():
    assert not verdict(outcome(Findings(), Findings(lost=1)), outcome(Findings(), Findings()))


@pytest.mark.parametrize("wrong", ["lost", "unexpected", "duplicates", "ledger_off"])
def test_one_figure_that_is_not_zero_fails_the_suite(wrong):
    assert not verdict(outcome(Findings(**{wrong: 1}), Findings(lost=1)))


def test_a_suite_that_tried_nothing_has_not_passed():
    assert not verdict()


def test_the_last_line_has_the_figures_of_all_parts():
    part = suite.sum_up([outcome(Findings(lost=2), Findings(lost=1)), outcome(Findings(), Findings())])
    assert suite.merge([part, part], seed=7) == {
        "seed": 7,
        "faults": 4,
        "lost": 4,
        "unexpected": 0,
        "duplicates": 0,
        "ledger_off": 0,
        "controls_failed_as_they_must": 2,
    }


def test_every_fault_has_a_name_of_its_own():
    names = [fault.name for fault in suite.FAULTS]
    assert len(names) == len(set(names))


def test_every_two_paths_to_a_quota_race():
    paths = len(quota_paths.PATHS)
    assert len(quota_paths.FAULTS) == paths * (paths + 1) // 2


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_ended_early_it_leaves_no_process_and_no_folder(tmp_path, sign):
    running = subprocess.Popen(
        [sys.executable, "manage.py", "chaos", "--quick", "--only", "worker-group-killed"],
        cwd=settings.BASE_DIR,
        env=os.environ | {"PORTAL_DATA": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        until = time.monotonic() + 60
        while len(found := started(tmp_path)) < 6:
            assert time.monotonic() < until, f"a run, PostgreSQL, Valkey, a chat, and workers: {found}"
            time.sleep(0.05)
        running.send_signal(sign)
        assert running.wait(timeout=30) != 0
    finally:
        running.kill()
    assert not started(tmp_path)
    assert not any(folder.exists() for folder in set(found.values()))


def started(mark):
    """The folder of chaos by process, of those that were started with this folder of data."""
    found = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            environment = process.environ()
            if environment.get("PORTAL_DATA") == str(mark) and arena.INSIDE in environment:
                found[process.pid] = Path(environment[arena.INSIDE])
    return found


@pytest.fixture
def sent(db):
    """A broadcast to three followers, sent and settled."""
    seller = SellerFactory()
    open_week(seller, limit=500)
    follow(seller, 3)
    broadcast = broadcasting.launch(BroadcastFactory(seller=seller), now=NOW)
    while delivery.deliver_next_batch(now=NOW):
        pass
    settle_ended(now=NOW)
    return broadcast


def test_the_checker_finds_nothing_where_nothing_happened(sent):
    assert check([sent.pk]).well


def test_the_checker_counts_a_recipient_without_a_message(sent):
    Message.objects.filter(content=sent.content).first().delete()
    assert check([sent.pk]).lost == 1


def test_the_checker_counts_an_acknowledged_broadcast_that_never_went_out(sent):
    draft = BroadcastFactory(seller=sent.seller)
    assert check([sent.pk, draft.pk]).lost == 1


def test_the_checker_counts_a_broadcast_that_never_ends(sent):
    type(sent).objects.filter(pk=sent.pk).update(ended_at=None)
    assert check([sent.pk]).lost == 1


def test_the_checker_counts_a_message_to_somebody_who_was_not_chosen(sent):
    stranger = ContactFactory(seller=sent.seller)
    message = Message.objects.filter(content=sent.content).first()
    Message.objects.filter(pk=message.pk).update(buyer_id=stranger.buyer_id)
    found = check([sent.pk])
    assert (found.lost, found.unexpected) == (1, 1)


def test_the_checker_counts_a_message_to_somebody_who_was_booked_as_skipped(sent):
    Recipient.objects.filter(broadcast_id=sent.pk, rank=1).update(outcome="muted")
    assert check([sent.pk]).unexpected == 1


def test_the_checker_counts_a_second_message(sent):
    """Its key lets no second one into the same week: here it stands in another."""
    first = Message.objects.filter(content=sent.content).first()
    names = [field.attname for field in Message._meta.concrete_fields]
    Message.objects.create(**{name: getattr(first, name) for name in names} | {"week": date(2026, 11, 9)})
    assert check([sent.pk]).duplicates == 1


def test_the_checker_counts_what_the_ledger_does_not_know(sent):
    Quota.objects.filter(seller=sent.seller, scenario=sent.scenario).update(used=2)
    assert check([sent.pk]).ledger_off


def test_the_checker_counts_a_buyers_load_that_is_off(sent):
    BuyerLoad.objects.filter(buyer_id=Recipient.objects.first().buyer_id).update(week_count=7)
    assert check([sent.pk]).ledger_off == 1


def test_the_checker_looks_at_a_buyers_load_in_its_latest_week_alone(sent):
    loads = BuyerLoad.objects.filter(buyer_id=Recipient.objects.first().buyer_id)
    loads.update(week=sent.week + timedelta(days=7), week_count=0)
    assert check([sent.pk]).well
    loads.update(week=sent.week - timedelta(days=7), week_count=1)
    assert check([sent.pk]).ledger_off


def test_the_checker_counts_a_counter_that_is_off(sent):
    Batch.objects.update(clicks=1)
    assert check([sent.pk]).ledger_off == 1


@pytest.fixture
def told(sent):
    """The same broadcast as if a foreign chat had carried it, and what that chat delivered."""
    type(sent).objects.filter(pk=sent.pk).update(gateway="acme")
    recipients = Recipient.objects.filter(broadcast_id=sent.pk).select_related("buyer")
    return [
        {"key": handover.key_of(sent, recipient.rank), "buyer": recipient.buyer.code}
        for recipient in recipients
    ]


def checked(deliveries):
    found = Findings()
    check_abroad(found, {"deliveries": deliveries})
    return found


def test_the_checker_finds_nothing_where_the_chat_delivered_what_was_booked(told):
    assert checked(told).well


def test_the_checker_counts_what_the_chat_never_delivered(told):
    assert checked(told[1:]).lost == 1


def test_the_checker_counts_what_the_chat_delivered_twice(told):
    assert checked([*told, told[0]]).duplicates == 1


def test_the_checker_counts_what_the_chat_delivered_and_nobody_booked(told):
    Recipient.objects.filter(rank=1).update(outcome="failed")
    assert checked(told).unexpected == 1


@pytest.fixture
def stage(tmp_path):
    """A stage without servers and workers: for what it says of a database that is at rest."""
    quiet = SimpleNamespace(truth_at_rest=lambda: {"deliveries": []})
    return Stage(tmp_path, None, None, quiet, None, sizes.QUICK, random.Random(1))


def wait_in_vain(stage, broadcast, *, control=False):
    """Someone was told that it goes out, and it does not before the deadline."""
    stage.clicks.acknowledged.add(broadcast.pk)
    stage.control, stage.deadline = control, 0.05
    assert not stage.wait_until_ended()
    return stage.look()


def test_work_that_goes_on_past_the_deadline_fails_the_suite(stage, sent):
    found = wait_in_vain(stage, BroadcastFactory(seller=sent.seller))
    assert (found.lost, found.unexpected) == (1, 1)
    assert "had not ended" in found.notes[-1]
    assert not verdict(outcome(found, Findings(lost=1)))


def test_past_the_deadline_it_fails_although_all_has_ended_by_the_time_of_the_look(stage, sent):
    draft = BroadcastFactory(seller=sent.seller)
    assert wait_in_vain(stage, draft).lost == 1
    type(draft).objects.filter(pk=draft.pk).update(ended_at=NOW)
    found = stage.look()
    assert (found.lost, found.unexpected) == (0, 1)
    assert not verdict(outcome(found, Findings(lost=1)))


def test_a_control_that_is_cut_short_has_not_failed_by_that(stage, sent):
    assert wait_in_vain(stage, BroadcastFactory(seller=sent.seller), control=True).well


@pytest.mark.django_db(transaction=True)
def test_a_dropped_constraint_comes_back():
    def oversell():
        seller = SellerFactory()
        open_week(seller, limit=1)
        Quota.objects.filter(seller=seller).update(used=5)
        return check([])

    with guards.without_constraint("quotas_quota", "quota_used_within_limit"):
        assert oversell().ledger_off
    with pytest.raises(IntegrityError):
        oversell()


def test_a_worker_without_a_guard_refuses_to_start_in_production():
    ran = run_manage("-m", "cem_portal.chaos.worker", DEBUG="0")
    assert ran.returncode == 1
    assert "in production nothing takes a guard away" in ran.stderr


def test_nothing_of_the_portal_imports_chaos_but_its_own_command():
    own = ("cem_portal/chaos/", "cem_portal/management/commands/chaos.py")
    for app in ("cem_portal", "engagement", "quotas", "eligibility", "chat", "customers", "sellers"):
        for file in Path(settings.BASE_DIR, app).rglob("*.py"):
            name = str(file.relative_to(settings.BASE_DIR))
            assert name.startswith(own) or "cem_portal.chaos" not in file.read_text(), name
