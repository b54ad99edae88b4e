"""What Prometheus reads, and who may."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone
from django_celery_beat.models import PeriodicTask
from prometheus_client.parser import text_string_to_metric_families

from eligibility.models import Job
from engagement import broadcasting, lateness
from engagement.delivery import deliver_next_batch
from engagement.models import Batch, Broadcast
from quotas.models import LedgerEntry
from tests.factories import BroadcastFactory, SellerFactory, follow, open_week

TOKEN = "a-token-that-is-long-enough"


def figures(client):
    """Every sample as {(name, label values by the label's name…): value}."""
    response = client.get("/metrics")
    assert response.status_code == 200
    assert response["Content-Type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def launch(*, followers=3, minutes=0):
    seller = SellerFactory()
    open_week(seller, limit=500, week=timezone.now().date())
    follow(seller, followers)
    at = timezone.now() - timedelta(minutes=minutes)
    return broadcasting.launch(BroadcastFactory(seller=seller), now=at)


# --- Who may


@pytest.mark.django_db
def test_only_this_machine_reads_them_without_a_token(client):
    assert client.get("/metrics").status_code == 200
    assert client.get("/metrics", REMOTE_ADDR="::1").status_code == 200
    for address in ("10.0.0.7", "203.0.113.9", "", "unix:"):
        refused = client.get("/metrics", REMOTE_ADDR=address)
        assert refused.status_code == 403, address
        assert "cem_" not in refused.text


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"])
@pytest.mark.django_db
def test_a_proxy_on_this_machine_opens_them_to_nobody(client, header):
    assert client.get("/metrics", headers={header: "203.0.113.9"}).status_code == 403


@pytest.mark.parametrize("setting", ["HTTPS", "BEHIND_PROXY"])
@pytest.mark.django_db
def test_where_a_proxy_is_expected_only_a_token_opens_them(client, settings, setting):
    setattr(settings, setting, True)
    assert client.get("/metrics").status_code == 403
    settings.METRICS_TOKEN = TOKEN
    assert client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200


@pytest.mark.django_db
def test_with_a_token_nothing_else_opens_them(client, settings):
    settings.METRICS_TOKEN = TOKEN
    wrong = ("", "Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Basic {TOKEN}", TOKEN, "Bearer tökén")
    for shown in wrong:
        refused = client.get("/metrics", headers={"Authorization": shown} if shown else {})
        assert (refused.status_code, refused["WWW-Authenticate"]) == (401, 'Bearer realm="metrics"'), shown
        assert "cem_" not in refused.text
    for shown in (f"Bearer {TOKEN}", f"bearer {TOKEN}"):
        answer = client.get("/metrics", headers={"Authorization": shown}, REMOTE_ADDR="10.0.0.7")
        assert answer.status_code == 200


# --- What they say


@pytest.mark.django_db
def test_they_say_what_the_rows_say(client):
    launch(minutes=10)
    sent = launch()
    before = figures(client)
    market = sent.seller.market.code
    assert before["cem_database_up",] == 1
    assert before["cem_broker_up",] == 0
    assert before["cem_open_batches", market] == 1
    assert before["cem_broadcasts", "sending"] == 2
    assert before["cem_broadcasts_stuck",] == 1
    assert 590 <= before["cem_oldest_due_batch_age_seconds",] < 660

    while deliver_next_batch(now=timezone.now()):
        pass
    after = figures(client)
    week = sent.week.isoformat()
    assert after["cem_recipients_total", "delivered", week] == 6
    assert after["cem_recipients_total", "skipped", week] == 0
    assert after["cem_oldest_due_batch_age_seconds",] == 0
    assert after["cem_open_batches", market] == 0
    assert after["cem_broadcasts_stuck",] == 0
    Batch.objects.update(reads=2)
    assert figures(client)["cem_reads_total", week] == 4


@pytest.mark.django_db
def test_refunds_are_those_of_the_last_day(client):
    broadcast = launch()
    broadcasting.stop(broadcast, reason="a test", now=timezone.now())
    assert figures(client)["cem_refunded_customers_last_day",] == 3
    assert figures(client)["cem_broadcasts", "stopped"] == 1
    old = LedgerEntry.objects.get(kind="refund")
    LedgerEntry.objects.create(
        quota=old.quota, kind="refund", amount=5, reference="x", at=timezone.now() - timedelta(days=2)
    )
    assert figures(client)["cem_refunded_customers_last_day",] == 3


@pytest.mark.django_db
def test_what_was_written_long_ago_counts_only_while_it_is_under_way(client):
    for status in ("draft", "scheduled"):
        BroadcastFactory(status=status, send_at=timezone.now() + timedelta(days=1))
    Broadcast.objects.update(created_at=timezone.now() - timedelta(days=30))
    found = figures(client)
    assert (found["cem_broadcasts", "draft"], found["cem_broadcasts", "scheduled"]) == (0, 1)


@pytest.mark.django_db
def test_an_overdue_job_schedule_tick_and_receipt_are_told_with_their_age(client):
    now = timezone.now()
    seller = SellerFactory()
    open_week(seller)
    late = BroadcastFactory(seller=seller, status="scheduled", send_at=now - timedelta(minutes=5))
    Job.objects.filter(market=seller.market, kind="refresh").update(
        done_at=None, due_at=now - timedelta(hours=2)
    )
    PeriodicTask.objects.update(last_run_at=None)
    lateness.note(now - timedelta(seconds=90), now=now)
    found = figures(client)
    assert 7200 <= found["cem_job_lag_seconds", "refresh", seller.market.code] < 7260
    assert found["cem_job_lag_seconds", "evaluation", seller.market.code] == 0
    assert 300 <= found["cem_oldest_due_schedule_age_seconds",] < 360
    assert found["cem_beat_last_tick_age_seconds",] == float("inf")
    assert 90 <= found["cem_receipt_lag_seconds",] < 150
    seller.market.stop_sending(reason="a test", now=now)
    stopped = figures(client)
    assert stopped["cem_oldest_due_schedule_age_seconds",] == 0, f"{late} waits for the switch"
    assert stopped["cem_markets_stopped",] == 1


@pytest.mark.django_db
def test_a_scrape_asks_the_same_few_questions_however_much_there_is(client, django_assert_num_queries):
    for _ in range(3):
        launch()
    with django_assert_num_queries(24):
        client.get("/metrics")


@pytest.mark.django_db(transaction=True)
def test_without_a_database_they_say_that_and_no_more(client, monkeypatch):
    with monkeypatch.context() as moved:
        connection.close()
        moved.setitem(connection.settings_dict, "HOST", "/nowhere-at-all")
        found = figures(client)
    assert found == {("cem_broker_up",): 0, ("cem_database_up",): 0}
