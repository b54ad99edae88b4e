"""When a week is evaluated and refreshed, and which jobs are due (R5, D10, D16)."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from eligibility import calendar
from eligibility.calendar import Timetable
from eligibility.models import Job, Policy
from tests.factories import LONG_AGO, NOW, WEEK, MarketFactory, PolicyFactory

MANILA = ZoneInfo("Asia/Manila")
NEW_YORK = ZoneInfo("America/New_York")
SUNDAY = datetime(2026, 11, 15, 20, tzinfo=MANILA)
MONDAY = datetime(2026, 11, 16, 14, tzinfo=MANILA)
ONE_WEEK = timedelta(days=7)


@pytest.fixture
def market(db):
    market = MarketFactory()
    PolicyFactory(market=market)
    return market


def run(*jobs):
    for job in jobs:
        claimed = calendar.claim(job)
        calendar.finish(claimed, at=job.due_at, outcome={})


def names(jobs):
    return [(job.kind, job.week) for job in jobs]


def test_a_week_is_evaluated_on_sunday_evening_and_refreshed_on_monday_afternoon():
    times = calendar.times_of(Policy(), WEEK, zone=MANILA)
    assert (times.evaluation, times.refresh) == (SUNDAY, MONDAY)


def test_an_evaluation_is_the_last_before_its_refresh_whatever_the_days():
    policy = Policy(refresh_weekday=0, refresh_time=time(14), evaluation_weekday=0, evaluation_time=time(14))
    assert calendar.times_of(policy, WEEK, zone=MANILA).evaluation == MONDAY - ONE_WEEK
    policy.evaluation_time = time(13)
    assert calendar.times_of(policy, WEEK, zone=MANILA).evaluation == MONDAY - timedelta(hours=1)
    policy.evaluation_weekday = 1
    assert calendar.times_of(policy, WEEK, zone=MANILA).evaluation.astimezone(MANILA).date() == date(
        2026, 11, 10
    )


def test_the_local_hour_stays_across_daylight_saving():
    before = calendar.times_of(Policy(), date(2026, 3, 2), zone=NEW_YORK).refresh
    after = calendar.times_of(Policy(), date(2026, 3, 9), zone=NEW_YORK).refresh
    assert after - before == timedelta(days=7, hours=-1)
    assert (before.astimezone(NEW_YORK).hour, after.astimezone(NEW_YORK).hour) == (14, 14)


@pytest.mark.parametrize(
    ("zone", "day", "clock", "expected"),
    [
        ("America/New_York", date(2026, 3, 8), time(2, 30), datetime(2026, 3, 8, 7, tzinfo=UTC)),
        ("America/Sao_Paulo", date(2018, 11, 4), time(0), datetime(2018, 11, 4, 3, tzinfo=UTC)),
        ("Australia/Lord_Howe", date(2026, 10, 4), time(2, 15), datetime(2026, 10, 3, 15, 30, tzinfo=UTC)),
        ("Pacific/Apia", date(2011, 12, 30), time(20), datetime(2011, 12, 30, 10, tzinfo=UTC)),
    ],
)
def test_a_time_that_the_clock_skips_is_the_moment_of_the_skip(zone, day, clock, expected):
    assert calendar.moment(day, clock, zone=ZoneInfo(zone)) == expected


def test_a_time_that_comes_twice_is_the_first():
    at = calendar.moment(date(2026, 11, 1), time(1, 30), zone=NEW_YORK)
    assert at == datetime(2026, 11, 1, 5, 30, tzinfo=UTC)


@pytest.mark.parametrize("zone", ["America/New_York", "Australia/Lord_Howe", "Europe/London"])
def test_a_later_time_of_the_day_is_never_an_earlier_moment(zone):
    for day in (date(2026, 3, 8), date(2026, 11, 1), date(2026, 10, 4), date(2026, 4, 5), date(2026, 3, 29)):
        minutes = [time(minute // 60, minute % 60) for minute in range(24 * 60)]
        moments = [calendar.moment(day, clock, zone=ZoneInfo(zone)) for clock in minutes]
        assert moments == sorted(moments)


def test_a_market_begins_with_the_week_in_force(market):
    assert names(calendar.due(NOW)) == [("evaluation", WEEK), ("refresh", WEEK)]
    assert Job.objects.count() == 2


def test_a_market_that_begins_between_evaluation_and_refresh_has_a_week_in_force_too(market):
    last = WEEK - ONE_WEEK
    in_force = [("evaluation", last), ("refresh", last)]
    assert names(calendar.due(SUNDAY)) == [*in_force, ("evaluation", WEEK)]


def test_a_second_before_the_evaluation_it_is_not_due(market):
    last = WEEK - ONE_WEEK
    assert names(calendar.due(SUNDAY - timedelta(seconds=1))) == [("evaluation", last), ("refresh", last)]


def test_planning_again_changes_nothing(market):
    calendar.due(NOW)
    before = list(Job.objects.values())
    calendar.due(NOW)
    assert list(Job.objects.values()) == before


def test_an_outage_is_caught_up_week_by_week_the_evaluation_first(market):
    run(*calendar.due(NOW))
    weeks = [WEEK + ONE_WEEK * number for number in (1, 2, 3)]
    caught_up = names(calendar.due(NOW + 3 * ONE_WEEK))
    assert caught_up == [(kind, week) for week in weeks for kind in ("evaluation", "refresh")]


def test_a_refresh_is_not_to_be_had_before_its_evaluation(market):
    evaluation, refresh = calendar.due(NOW)
    assert calendar.claim(refresh) is None
    run(evaluation)
    assert calendar.claim(refresh) == refresh


def test_a_job_is_not_to_be_had_twice(market):
    evaluation, _ = calendar.due(NOW)
    run(evaluation)
    assert calendar.claim(evaluation) is None


def test_a_market_without_a_policy_has_no_weeks(db):
    MarketFactory()
    assert calendar.due(NOW) == []


def test_the_next_evaluation_and_refresh_are_told_before_their_rows_stand(market):
    assert calendar.next_evaluation(market, NOW) == SUNDAY + ONE_WEEK
    assert calendar.next_refresh(market, NOW) == MONDAY + ONE_WEEK
    run(*calendar.due(SUNDAY))
    assert calendar.next_refresh(market, SUNDAY) == MONDAY
    assert calendar.next_evaluation(market, SUNDAY) == SUNDAY + ONE_WEEK


def test_a_change_of_policy_takes_effect_at_the_next_evaluation(market):
    assert calendar.takes_effect_at(market, NOW) == SUNDAY + ONE_WEEK
    assert calendar.takes_effect_at(market, SUNDAY) == SUNDAY + ONE_WEEK


def test_a_market_s_first_policy_begins_at_once(db):
    assert calendar.takes_effect_at(MarketFactory(), NOW) == NOW


def test_a_first_policy_holds_before_its_beginning_too(db):
    policy = PolicyFactory(effective_from=NOW)
    assert Policy.objects.in_force(policy.market, LONG_AGO) == policy
    assert names(calendar.due(NOW)) == [("evaluation", WEEK), ("refresh", WEEK)]


def test_new_times_hold_from_the_week_after_the_evaluation_that_brings_them(market):
    run(*calendar.due(NOW))
    effective = calendar.takes_effect_at(market, NOW)
    PolicyFactory(market=market, effective_from=effective, evaluation_time=time(18), refresh_time=time(9))
    assert calendar.next_evaluation(market, NOW) == SUNDAY + ONE_WEEK
    assert calendar.next_refresh(market, NOW) == MONDAY + ONE_WEEK
    later = NOW + ONE_WEEK
    assert calendar.next_evaluation(market, later) == SUNDAY + 2 * ONE_WEEK - timedelta(hours=2)
    assert calendar.next_refresh(market, later) == MONDAY + 2 * ONE_WEEK - timedelta(hours=5)


def awaited(kind, market, now):
    return Timetable.read(market, now=now).awaited(kind)


def test_an_evaluation_that_has_not_run_is_awaited_however_late(market):
    run(*calendar.due(NOW))
    due, late = SUNDAY + ONE_WEEK, SUNDAY + ONE_WEEK + timedelta(hours=3)
    assert awaited("evaluation", market, NOW) == due
    assert awaited("evaluation", market, late) == due  # no beat has made its row

    evaluation, *_ = calendar.due(late)
    assert awaited("evaluation", market, late) == due
    run(evaluation)
    assert awaited("evaluation", market, late) == due + ONE_WEEK
    assert awaited("refresh", market, late) == MONDAY + ONE_WEEK
