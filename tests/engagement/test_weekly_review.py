"""The week as its jobs run it: standings, read rates, growth and quotas (R3–R8, R10, D8, D10, D11)."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.db.models import F, Sum

from chat.models import Message
from eligibility import calendar
from eligibility.calendar import current_week
from eligibility.models import Evaluation, Job, Standing
from engagement import failpoints, retention, weekly_review
from engagement.entitlement import tier_of
from engagement.models import Batch
from quotas import growth
from quotas.growth import explain, quota_of_week
from quotas.models import Allowance, Growth, LedgerEntry, Quota, Scenario
from tests.factories import (
    LONG_AGO,
    WEEK,
    BroadcastFactory,
    MarketFactory,
    MetricsFactory,
    PolicyFactory,
    SellerFactory,
)

SUNDAY = datetime(2026, 11, 15, 12, tzinfo=UTC)  # 20:00 in Manila
MONDAY = datetime(2026, 11, 16, 6, tzinfo=UTC)  # 14:00 in Manila
DAY, HOUR, ONE_WEEK = timedelta(days=1), timedelta(hours=1), timedelta(days=7)


@pytest.fixture
def seller(db):
    seller = SellerFactory(market=PolicyFactory(market=MarketFactory()).market)
    MetricsFactory(seller=seller, followers=60)
    for scenario in Scenario.objects.filter(charges_quota=True):
        Allowance.objects.create(
            market=seller.market, scenario=scenario, effective_from=LONG_AGO,
            base=300 if scenario.code == "loyalty" else 500,
        )  # fmt: skip
    return seller


def tell(seller, *, delivered, read, at=SUNDAY - 3 * DAY, read_at=None):
    """A broadcast's messages as delivery leaves them behind: `read` of `delivered` were read."""
    broadcast = BroadcastFactory(seller=seller)
    week = at.date() - timedelta(days=at.weekday())
    Batch.objects.create(
        week=week, seller=seller, broadcast=broadcast, number=1, first_rank=1, last_rank=delivered,
        turn=at, status="closed", closed_at=at, delivered=delivered,
    )  # fmt: skip
    Message.objects.bulk_create(
        Message(
            week=week, seller=seller, buyer_id=number, content=broadcast.content, batch=1, sent_at=at,
            read_at=(read_at or at + HOUR) if number <= read else None,
        )
        for number in range(1, delivered + 1)
    )  # fmt: skip


def review(now=MONDAY):
    weekly_review.run_due(now=now)


def growth_of(seller, week=WEEK):
    return Growth.objects.get(seller=seller, week=week)


def limits(seller, week=WEEK):
    quotas = Quota.objects.filter(seller=seller, week=week)
    return dict(quotas.values_list("scenario__code", "limit"))


def test_sunday_freezes_and_monday_publishes(seller):
    review(MONDAY - ONE_WEEK)
    review(SUNDAY)
    assert Evaluation.objects.get(week=WEEK).tier == "advance"
    assert not Standing.objects.filter(week=WEEK).exists()
    assert current_week(seller.market) == WEEK - ONE_WEEK
    review(MONDAY)
    assert current_week(seller.market) == WEEK
    standing = Standing.objects.get(week=WEEK)
    assert (standing.tier, standing.evaluation.evaluated_at, standing.published_at) == (
        "advance", SUNDAY, MONDAY,
    )  # fmt: skip
    assert [job.outcome for job in Job.objects.filter(week=WEEK).order_by("kind")] == [
        {"none": 0, "basic": 0, "advance": 1},
        {"standings": 1, "quotas": 7},
    ]


@pytest.mark.parametrize(
    ("metrics", "tier"),
    [
        ({"followers": 49}, "basic"),
        ({"followers": 50}, "advance"),
        ({"followers": 51}, "advance"),
        ({"rating": "84.99"}, "none"),
        ({"rating": 85, "response_rate": 85}, "advance"),
        ({"response_rate": None}, "none"),
    ],
)
def test_the_standing_follows_from_sunday_s_metrics(seller, metrics, tier):
    MetricsFactory(seller=seller, as_of=SUNDAY, **{"followers": 60} | metrics)
    review()
    assert tier_of(seller, week=WEEK) == tier


def test_who_drops_on_tuesday_keeps_access_until_the_refresh(seller):
    review(MONDAY)
    MetricsFactory(seller=seller, as_of=MONDAY + DAY, rating=50)
    for now in (MONDAY + 2 * DAY, SUNDAY + ONE_WEEK, MONDAY + ONE_WEEK - HOUR):
        review(now)
        assert tier_of(seller, week=current_week(seller.market)) == "advance"
    review(MONDAY + ONE_WEEK)
    assert tier_of(seller, week=current_week(seller.market)) == "none"


def test_who_recovers_on_tuesday_waits_for_the_refresh(seller):
    MetricsFactory(seller=seller, as_of=SUNDAY, rating=50)
    review(MONDAY)
    MetricsFactory(seller=seller, as_of=MONDAY + DAY, followers=60)
    for now in (MONDAY + 2 * DAY, SUNDAY + ONE_WEEK, MONDAY + ONE_WEEK - HOUR):
        review(now)
        assert tier_of(seller, week=current_week(seller.market)) == "none"
    review(MONDAY + ONE_WEEK)
    assert tier_of(seller, week=current_week(seller.market)) == "advance"


def test_who_recovers_between_sunday_and_monday_waits_a_week(seller):
    MetricsFactory(seller=seller, as_of=SUNDAY, rating=50)
    MetricsFactory(seller=seller, as_of=SUNDAY + HOUR, followers=60)
    review(MONDAY)
    assert tier_of(seller, week=WEEK) == "none"


# --- growth --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("delivered", "read", "limit"),
    [
        (1250, 112, 500),  # 8.96 %
        (100, 9, 600),
        (10000, 899, 500),  # 8.99 %
        (19, 19, 500),  # too few delivered
        (20, 2, 600),
        (20, 0, 500),
    ],
)
def test_a_read_rate_of_nine_per_cent_raises_the_quota_by_a_fifth(seller, delivered, read, limit):
    tell(seller, delivered=delivered, read=read)
    review()
    assert limits(seller)["followers"] == limit
    growth = growth_of(seller)
    assert (growth.delivered, growth.read, growth.target) == (delivered, read, 9)
    assert growth.reached == (limit == 600)


def test_the_read_rate_is_over_all_scenarios_and_broadcasts(seller):
    tell(seller, delivered=50, read=0)
    tell(seller, delivered=50, read=9, at=SUNDAY - 5 * DAY)
    review()
    assert (growth_of(seller).delivered, growth_of(seller).read) == (100, 9)


@pytest.mark.parametrize(
    ("before", "counts"),
    [
        (DAY, False),
        (DAY + timedelta(seconds=1), True),
        (8 * DAY, True),
        (8 * DAY + timedelta(seconds=1), False),
    ],
)
def test_what_was_delivered_in_the_seven_days_that_end_a_day_before_counts(seller, before, counts):
    tell(seller, delivered=30, read=0, at=SUNDAY - before)
    review()
    assert growth_of(seller).delivered == (30 if counts else 0)


def test_a_batch_that_waited_for_weeks_counts_when_it_was_delivered(seller):
    tell(seller, delivered=30, read=3)
    Batch.objects.update(week=WEEK - 5 * ONE_WEEK)
    Message.objects.update(week=WEEK - 5 * ONE_WEEK)
    review()
    assert growth_of(seller).reached


def test_reads_count_until_the_evaluation(seller):
    tell(seller, delivered=30, read=3, read_at=SUNDAY - timedelta(seconds=1))
    tell(seller, delivered=30, read=3, read_at=SUNDAY)
    review(MONDAY + 2 * DAY)
    assert (growth_of(seller).delivered, growth_of(seller).read) == (60, 3)


def test_what_people_write_to_each_other_counts_neither_way(seller):
    tell(seller, delivered=30, read=3)
    Message.objects.filter(buyer_id__gt=20).update(batch=None)
    review()
    assert growth_of(seller).delivered == 20


def weeks_of(seller, reads, **policy):
    """Run a week for each of `reads` (of 100 delivered); returns the weeks' limits for followers."""
    found = []
    for number, read in enumerate(reads):
        shift = number * ONE_WEEK
        tell(seller, delivered=100, read=read, at=SUNDAY - 3 * DAY + shift)
        review(MONDAY + shift)
        found.append(limits(seller, WEEK + shift)["followers"])
    return found


def test_weeks_reached_compound_and_a_miss_takes_none_away(seller):
    assert weeks_of(seller, [9, 9, 0, 9, 8]) == [600, 720, 720, 864, 864]


def test_growth_ends_at_five_times_the_base_and_is_rounded_once(seller):
    grown = weeks_of(seller, [9] * 11)
    # 500 × 1.2, 1.44, 1.728, 2.0736, 2.48832, 2.985984, 3.5831808, 4.29981696, then 5
    assert grown == [600, 720, 864, 1037, 1244, 1493, 1792, 2150, 2500, 2500, 2500]
    last = growth_of(seller, WEEK + 10 * ONE_WEEK)
    assert (last.weeks_reached, last.multiplier) == (11, 5)


def test_a_half_is_rounded_up(seller):
    Allowance.objects.create(
        market=seller.market, scenario=Scenario.objects.get(code="followers"),
        effective_from=LONG_AGO + DAY, base=1250 + 1,
    )  # fmt: skip
    PolicyFactory(market=seller.market, effective_from=LONG_AGO + DAY, growth_factor="1.5")
    assert weeks_of(seller, [9]) == [1877]  # 1,876.5


def test_while_achieved_the_factor_lasts_for_a_week(db, seller):
    PolicyFactory(market=seller.market, effective_from=LONG_AGO + DAY, growth_mode="while_achieved")
    assert weeks_of(seller, [9, 9, 0, 9]) == [600, 600, 500, 600]


def test_growth_outlasts_a_lost_eligibility(seller):
    weeks_of(seller, [9, 9])
    MetricsFactory(seller=seller, as_of=MONDAY + ONE_WEEK + DAY, rating=10)
    review(MONDAY + 2 * ONE_WEEK)
    review(MONDAY + 3 * ONE_WEEK)
    assert limits(seller, WEEK + 3 * ONE_WEEK) == {}
    MetricsFactory(seller=seller, as_of=MONDAY + 3 * ONE_WEEK + DAY, followers=60)
    review(MONDAY + 4 * ONE_WEEK)
    assert limits(seller, WEEK + 4 * ONE_WEEK)["followers"] == 720


def test_a_week_that_was_reached_counts_though_eligibility_is_lost_with_it(seller):
    review(MONDAY - ONE_WEEK)
    tell(seller, delivered=100, read=9)
    MetricsFactory(seller=seller, as_of=SUNDAY, rating=10)
    review(MONDAY)
    assert growth_of(seller).weeks_reached == 1
    assert limits(seller) == {}


def test_the_arithmetic_is_told_in_a_sentence(seller):
    weeks_of(seller, [9, 8])
    policy = Evaluation.objects.latest("week").policy
    assert explain(growth_of(seller), policy) == (
        "9 of 100 customers read the shop's messages: that reached 9 %. 1 week reached so far: quotas are × 1.2."
    )
    assert explain(growth_of(seller, WEEK + ONE_WEEK), policy) == (
        "8 of 100 customers read the shop's messages: that missed 9 %. 1 week reached so far: quotas are × 1.2."
    )


# --- quotas --------------------------------------------------------------------------------


def test_quotas_open_for_the_scenarios_that_consume_any(seller):
    review()
    assert limits(seller) == {
        "followers": 500, "new_followers": 500, "visitors": 500, "past_buyers": 500,
        "lapsed_buyers": 500, "review": 500, "loyalty": 300,
    }  # fmt: skip


def test_basic_gets_no_quota_for_loyalty_and_none_gets_none(seller):
    MetricsFactory(seller=seller, as_of=SUNDAY, followers=0)
    other = SellerFactory(market=seller.market)
    review()
    assert len(limits(seller)) == 6
    assert "loyalty" not in limits(seller)
    assert limits(other) == {}


def test_every_quota_is_opened_by_a_grant_of_the_ledger(seller):
    tell(seller, delivered=100, read=9)
    review()
    opened = Quota.objects.annotate(granted=Sum("entries__amount"))
    assert opened.count() == 7
    assert not opened.exclude(granted=F("limit")).exists()
    entry = LedgerEntry.objects.first()
    assert (entry.kind, entry.reference, entry.at) == ("grant", f"week:{WEEK}", MONDAY)


def test_a_scenario_made_in_mid_week_opens_with_the_same_growth(seller):
    weeks_of(seller, [9] * 8)
    week = WEEK + 7 * ONE_WEEK
    scenario = Scenario.objects.create(code="new", name="New")
    Allowance.objects.create(market=seller.market, scenario=scenario, effective_from=LONG_AGO, base=500)
    quota = quota_of_week(seller, scenario, week=week, now=MONDAY + 7 * ONE_WEEK)
    assert quota.limit == limits(seller, week)["followers"] == 2150
    assert growth_of(seller, week).multiplier == Decimal("4.29981696")


# --- D16, order, crashes -------------------------------------------------------------------


def test_a_change_of_policy_is_never_applied_backwards(seller):
    tell(seller, delivered=100, read=9)
    wednesday = SUNDAY - 4 * DAY
    review(wednesday)
    effective = calendar.takes_effect_at(seller.market, wednesday)
    assert effective == SUNDAY
    PolicyFactory(market=seller.market, effective_from=effective, min_followers=61, growth_factor="1.5")
    review(SUNDAY - HOUR)
    assert tier_of(seller, week=current_week(seller.market)) == "advance"
    review(MONDAY)
    assert tier_of(seller, week=WEEK) == "basic"
    assert limits(seller)["followers"] == 750
    first = Evaluation.objects.earliest("week")
    assert (first.policy.min_followers, first.tier) == (50, "advance")


def test_a_change_between_sunday_and_monday_waits_for_the_next_sunday(seller):
    review(SUNDAY)
    effective = calendar.takes_effect_at(seller.market, SUNDAY + HOUR)
    PolicyFactory(market=seller.market, effective_from=effective, min_followers=61)
    review(MONDAY)
    assert tier_of(seller, week=WEEK) == "advance"
    review(MONDAY + ONE_WEEK)
    assert tier_of(seller, week=WEEK + ONE_WEEK) == "basic"


def test_what_is_caught_up_is_as_it_would_have_been(seller):
    tell(seller, delivered=100, read=9)
    review(MONDAY - ONE_WEEK)
    MetricsFactory(seller=seller, as_of=SUNDAY + DAY, rating=10)
    review(MONDAY + 2 * ONE_WEEK + DAY)
    tiers = Standing.objects.order_by("week").values_list("tier", flat=True)
    assert list(tiers) == ["advance", "advance", "none", "none"]
    assert growth_of(seller).weeks_reached == 1


@pytest.mark.parametrize("place", ["standings published", "quotas opened"])
def test_a_crash_in_mid_refresh_leaves_nothing_half_done(seller, monkeypatch, place):
    def crash(reached):
        if reached == place:
            raise RuntimeError("the lights went out")

    calendar.plan(MONDAY)
    with monkeypatch.context() as patch:
        patch.setattr(failpoints, "reach", crash)
        review(MONDAY)
    for model in (Standing, Growth, Quota, LedgerEntry):
        assert not model.objects.exists()
    assert current_week(seller.market) is None
    review(MONDAY + HOUR)
    assert (Standing.objects.count(), Quota.objects.count(), LedgerEntry.objects.count()) == (1, 7, 7)


def test_a_market_that_fails_holds_up_no_other(seller, monkeypatch):
    other = SellerFactory(market=PolicyFactory().market)
    evaluate = weekly_review.assessment.evaluate

    def fail_for_the_first(market, *, week):
        if market == seller.market:
            raise RuntimeError("no such luck")
        return evaluate(market, week=week)

    monkeypatch.setattr(weekly_review.assessment, "evaluate", fail_for_the_first)
    review()
    assert list(Standing.objects.values_list("seller", flat=True)) == [other.pk]


def test_nothing_is_asked_seller_by_seller(seller, django_assert_num_queries):
    review(MONDAY - ONE_WEEK)
    for _ in range(20):
        MetricsFactory(seller=SellerFactory(market=seller.market), followers=60)
    retention.make_room(WEEK)
    with django_assert_num_queries(32):  # three of them: do the week's partitions stand
        review(MONDAY)
    assert Quota.objects.filter(week=WEEK).count() == 21 * 7


@pytest.mark.parametrize("guard", [True, False])
def test_growth_is_looked_up_by_its_key_also_where_the_table_was_empty(seller, monkeypatch, guard):
    """A million sellers of a new market: read as a whole for each of them, the table grows meanwhile."""
    if not guard:
        monkeypatch.setattr(growth, "BY_KEY", "SELECT 1")
    plans = []

    def explain(execute, sql, parameters, many, context):
        if "INSERT INTO quotas_growth" in sql:
            execute(f"EXPLAIN {sql}", parameters, many, context)
            plans.append("\n".join(line for (line,) in context["cursor"].fetchall()))
        return execute(sql, parameters, many, context)

    with connection.cursor() as cursor:
        cursor.execute("ANALYZE quotas_growth")
    with connection.execute_wrapper(explain):
        review()
    assert plans
    assert ("Seq Scan on quotas_growth" not in "".join(plans)) == guard
    with connection.cursor() as cursor:
        cursor.execute("SHOW enable_seqscan")
        assert cursor.fetchone() == ("on",)
