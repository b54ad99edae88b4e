"""Time passes in the demo, and the product's own jobs do the rest."""

from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from cem_portal.demo import tmall
from cem_portal.demo.shift import EvaluationPending, NothingToWaitFor, bring_near
from customers.models import Contact
from eligibility.calendar import current_week
from eligibility.models import Evaluation, Job, Metrics
from engagement import weekly_review
from quotas.defaults import open_market
from quotas.models import LedgerEntry
from sellers.models import Market
from tests.factories import ContactFactory, SellerFactory

pytestmark = pytest.mark.django_db
SOON = timedelta(seconds=61)


@pytest.fixture
def seller():
    now = timezone.now()
    seller = SellerFactory()
    open_market(seller.market)
    ContactFactory(seller=seller, followed_times=[now - timedelta(days=3)], viewed_times=[])
    Metrics.objects.create(seller=seller, as_of=now - timedelta(days=20), rating=95, response_rate=95)
    weekly_review.run_due(now=now)
    for kind in (Job.Kind.REFRESH,) if pending(seller) else ():
        bring_near(kind, seller.market, now=timezone.now())
        weekly_review.run_due(now=timezone.now() + SOON)
    return seller


def pending(seller):
    """Between a Sunday's evaluation and its Monday: the clock decides when these tests run."""
    return Job.objects.filter(market=seller.market, done_at__isnull=True).exists()


def test_a_sunday_and_a_monday_come_within_a_minute_each(seller):
    week, evaluations = current_week(seller.market), Evaluation.objects.count()

    bring_near(Job.Kind.EVALUATION, seller.market, now=timezone.now())
    assert weekly_review.run_due(now=timezone.now()) == 0
    assert weekly_review.run_due(now=timezone.now() + SOON) == 1
    assert Evaluation.objects.count() == evaluations + 1
    assert current_week(seller.market) == week

    bring_near(Job.Kind.REFRESH, seller.market, now=timezone.now())
    assert weekly_review.run_due(now=timezone.now() + SOON) == 1
    assert current_week(seller.market) == week + timedelta(weeks=1)


def test_everything_gets_older_by_the_same_span_and_the_evidence_with_it(seller):
    contact, entry = Contact.objects.get(), LedgerEntry.objects.first()
    before = (contact.followed_times[0], entry.at)

    bring_near(Job.Kind.EVALUATION, seller.market, now=timezone.now())

    contact.refresh_from_db()
    entry.refresh_from_db()
    spans = {before[0] - contact.followed_times[0], before[1] - entry.at}
    assert len(spans) == 1
    assert spans.pop() > timedelta(0)
    assert contact.viewed_times == []


def test_a_second_sunday_waits_for_the_monday_between(seller):
    bring_near(Job.Kind.EVALUATION, seller.market, now=timezone.now())
    weekly_review.run_due(now=timezone.now() + SOON)

    with pytest.raises(NothingToWaitFor, match="Monday"):
        bring_near(Job.Kind.EVALUATION, seller.market, now=timezone.now())


def test_what_comes_after_keeps_to_the_calendar(seller):
    bring_near(Job.Kind.EVALUATION, seller.market, now=timezone.now())
    weekly_review.run_due(now=timezone.now() + SOON)
    refresh = seller.market.local(Job.objects.get(market=seller.market, done_at__isnull=True).due_at)
    assert (refresh.weekday(), refresh.hour) == (0, 14)


def test_every_market_comes_along(seller):
    other = SellerFactory(market__time_zone="America/Sao_Paulo").market
    open_market(other)
    weekly_review.run_due(now=timezone.now())
    bring_near(Job.Kind.REFRESH, seller.market, now=timezone.now())
    weekly_review.run_due(now=timezone.now() + SOON)
    assert current_week(other) == current_week(seller.market)


def test_a_monday_does_not_hold_back_a_sunday_that_is_due(seller):
    bring_near(Job.Kind.EVALUATION, seller.market, now=timezone.now())
    with pytest.raises(EvaluationPending, match="has not run yet"):
        bring_near(Job.Kind.REFRESH, seller.market, now=timezone.now())
    weekly_review.run_due(now=timezone.now() + SOON)
    bring_near(Job.Kind.REFRESH, seller.market, now=timezone.now())


def test_the_command_waits_for_it_and_says_what_is_missing(seller, monkeypatch, capsys):
    Market.objects.filter(pk=seller.market_id).update(code=tmall.MARKET)
    bring_near(Job.Kind.EVALUATION, seller.market, now=timezone.now())
    monkeypatch.setattr("cem_portal.management.commands.demo.WAIT", timedelta(seconds=1))
    with pytest.raises(CommandError, match="Are a worker and beat running"):
        call_command("demo", to_monday=True)
    assert "Waiting for the evaluation" in capsys.readouterr().out
