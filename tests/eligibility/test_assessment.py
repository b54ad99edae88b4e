"""The evidence of an evaluation, and the tier that follows (R3, R4, R5, D15)."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from chat.models import Content, Conversation, Message
from customers.models import Signal
from eligibility import assessment, calendar
from eligibility.calendar import Timetable
from eligibility.criteria import criteria
from eligibility.models import Evaluation
from tests.factories import (
    LONG_AGO,
    NOW,
    WEEK,
    BuyerFactory,
    ContactFactory,
    MarketFactory,
    MetricsFactory,
    PolicyFactory,
    SellerFactory,
)

SUNDAY = datetime(2026, 11, 15, 12, tzinfo=UTC)  # 20:00 in Manila
HOUR = timedelta(hours=1)


@pytest.fixture
def seller(db):
    market = MarketFactory()
    PolicyFactory(market=market)
    return SellerFactory(market=market)


def evaluate(seller):
    calendar.plan(NOW)
    assessment.evaluate(seller.market, week=WEEK)
    return Evaluation.objects.select_related("policy").get(seller=seller)


def project(seller, now):
    return assessment.project(seller, timetable=Timetable.read(seller.market, now=now))


def verdicts(evaluation):
    return {criterion.name: criterion.verdict for criterion in criteria(evaluation)}


@pytest.mark.parametrize(("followers", "tier"), [(49, "basic"), (50, "advance"), (51, "advance")])
def test_fifty_followers_make_advance(seller, followers, tier):
    MetricsFactory(seller=seller, followers=followers)
    assert evaluate(seller).tier == tier


@pytest.mark.parametrize(
    ("rating", "response_rate", "tier"),
    [
        ("85", "85", "basic"),
        ("84.99", "85", "none"),
        ("85", "84.99", "none"),
        ("84.9999", "100", "none"),
        ("100", "84.9999", "none"),
    ],
)
def test_both_rates_reach_85_per_cent_unrounded(seller, rating, response_rate, tier):
    MetricsFactory(seller=seller, rating=rating, response_rate=response_rate)
    assert evaluate(seller).tier == tier


@pytest.mark.parametrize("missing", ["rating", "response_rate"])
def test_a_missing_metric_is_not_met_and_is_no_data(seller, missing):
    MetricsFactory(seller=seller, followers=60, **{missing: None})
    evaluation = evaluate(seller)
    assert evaluation.tier == "none"
    criterion = next(item for item in criteria(evaluation) if item.name == missing)
    assert (criterion.verdict, criterion.value, criterion.met) == ("no data", "no data", False)
    assert criterion.as_of is None


def test_a_seller_of_whom_nothing_is_known_is_evaluated_too(seller):
    assert verdicts(evaluate(seller)) == {
        "rating": "no data",
        "response_rate": "no data",
        "followers": "not met",
    }


def test_thresholds_are_the_policy_s(db):
    policy = PolicyFactory(min_rating=90, min_followers=10)
    seller = SellerFactory(market=policy.market)
    MetricsFactory(seller=seller, rating=89, followers=10)
    evaluation = evaluate(seller)
    assert evaluation.tier == "none"
    assert verdicts(evaluation) == {"rating": "not met", "response_rate": "met", "followers": "met"}


def test_the_latest_metrics_as_of_the_evaluation_count(seller):
    MetricsFactory(seller=seller, as_of=SUNDAY - HOUR, followers=10)
    MetricsFactory(seller=seller, as_of=SUNDAY, followers=50)
    MetricsFactory(seller=seller, as_of=SUNDAY + HOUR, rating=10)
    evaluation = evaluate(seller)
    assert (evaluation.tier, evaluation.followers_at, evaluation.evaluated_at) == ("advance", SUNDAY, SUNDAY)


def test_only_sellers_of_the_market_are_evaluated(seller):
    SellerFactory(market=PolicyFactory().market)
    calendar.plan(NOW)
    assert assessment.evaluate(seller.market, week=WEEK) == {"none": 1, "basic": 0, "advance": 0}
    assert Evaluation.objects.count() == 1


# --- fallbacks -----------------------------------------------------------------------------


def followed(seller, buyer, kind, at, event):
    Signal.objects.create(market=seller.market, event=event, kind=kind, at=at, seller=seller, buyer=buyer)


def test_followers_fall_back_to_the_shop_s_own_contacts(seller):
    MetricsFactory(seller=seller, followers=None)
    for _ in range(50):
        ContactFactory(seller=seller, followed_times=[LONG_AGO], follow_at=LONG_AGO)
    ContactFactory(seller=seller)
    evaluation = evaluate(seller)
    assert (evaluation.tier, evaluation.followers, evaluation.followers_at) == ("advance", 50, SUNDAY)


def test_who_followed_or_left_since_sunday_counts_as_on_sunday(seller):
    new = ContactFactory(seller=seller, followed_times=[SUNDAY + HOUR], follow_at=SUNDAY + HOUR)
    followed(seller, new.buyer, "followed", SUNDAY + HOUR, "new")
    left = ContactFactory(seller=seller, followed_times=[], follow_at=SUNDAY + HOUR)
    followed(seller, left.buyer, "followed", SUNDAY - HOUR, "left 1")
    followed(seller, left.buyer, "unfollowed", SUNDAY + HOUR, "left 2")
    back = ContactFactory(seller=seller, followed_times=[SUNDAY + HOUR], follow_at=SUNDAY + HOUR)
    followed(seller, back.buyer, "followed", SUNDAY - 2 * HOUR, "back 1")
    followed(seller, back.buyer, "unfollowed", SUNDAY - HOUR, "back 2")
    followed(seller, back.buyer, "followed", SUNDAY + HOUR, "back 3")
    assert evaluate(seller).followers == 1


def ask(seller, *, day, answered):
    """One buyer's inquiry on a day, and the answer of a person within the hour."""
    buyer = BuyerFactory(market=seller.market)
    Conversation.objects.create(seller=seller, buyer=buyer, last_at=day + HOUR)
    for from_buyer in [True, False] if answered else [True]:
        Message.objects.create(
            week=WEEK, seller=seller, buyer=buyer, from_buyer=from_buyer,
            content=Content.objects.create(seller=seller, text="words"),
            sent_at=day if from_buyer else day + HOUR,
        )  # fmt: skip


@pytest.mark.parametrize(("answered", "tier"), [(17, "basic"), (16, "none")])
def test_the_response_rate_falls_back_to_the_chat_s(seller, answered, tier):
    MetricsFactory(seller=seller, response_rate=None)
    for number in range(20):
        ask(seller, day=SUNDAY - timedelta(days=2), answered=number < answered)
    evaluation = evaluate(seller)
    assert (evaluation.tier, evaluation.response_rate) == (tier, Decimal(answered * 5))
    assert evaluation.response_rate_at == SUNDAY


def test_a_rate_from_the_chat_is_cut_and_never_rounded_up(seller):
    MetricsFactory(seller=seller, response_rate=None)
    for number in range(3):
        ask(seller, day=SUNDAY - timedelta(days=2), answered=number < 2)
    assert evaluate(seller).response_rate == Decimal("66.6666")


def test_a_reported_response_rate_goes_before_the_chat_s(seller):
    MetricsFactory(seller=seller, response_rate=85)
    ask(seller, day=SUNDAY - timedelta(days=2), answered=False)
    assert evaluate(seller).response_rate == 85


# --- if Sunday were today ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metrics", "sentence"),
    [
        ({"followers": 47}, "If Sunday were today: basic, 3 followers short of advance."),
        ({"followers": 49}, "If Sunday were today: basic, 1 follower short of advance."),
        ({"followers": 50}, "If Sunday were today: advance."),
        ({"rating": "84.99"}, "If Sunday were today: no access, seller rating 0.01 points short."),
        (
            {"rating": "84", "response_rate": "80"},
            (
                "If Sunday were today: no access, "
                "seller rating 1 point short and same-day response rate 5 points short."
            ),
        ),
        ({"rating": None}, "If Sunday were today: no access, seller rating without data."),
    ],
)
def test_the_coach_says_what_the_next_evaluation_would_say(seller, metrics, sentence):
    MetricsFactory(seller=seller, **metrics)
    projection = project(seller, NOW)
    assert projection.sentence == sentence
    assert projection.tier in sentence or projection.tier == "none"
    assert not Evaluation.objects.exists()


def test_the_coach_judges_by_the_policy_of_the_next_evaluation(seller):
    MetricsFactory(seller=seller, followers=50)
    PolicyFactory(
        market=seller.market, min_followers=60, effective_from=calendar.takes_effect_at(seller.market, NOW)
    )
    assert project(seller, NOW).sentence.endswith("10 followers short of advance.")


def test_the_coach_names_the_day_of_the_evaluation_that_comes(seller):
    MetricsFactory(seller=seller, followers=50)
    begins = calendar.takes_effect_at(seller.market, NOW)
    PolicyFactory(market=seller.market, evaluation_weekday=4, effective_from=begins)
    assert project(seller, NOW).sentence == "If Sunday were today: advance."
    assert project(seller, begins + HOUR).sentence == "If Friday were today: advance."


def test_the_coach_looks_at_now_and_the_evaluation_at_sunday(seller):
    MetricsFactory(seller=seller, as_of=SUNDAY - HOUR, followers=10)
    MetricsFactory(seller=seller, as_of=NOW - HOUR, followers=50)
    assert evaluate(seller).tier == "basic"
    assert project(seller, NOW).tier == "advance"


def test_the_coach_asks_a_pinned_number_of_queries(seller, django_assert_num_queries):
    MetricsFactory(seller=seller)
    with django_assert_num_queries(3):
        project(seller, NOW)
