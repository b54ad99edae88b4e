"""The evaluation: each seller's evidence as of a moment, and the tier that follows (R3–R5, D15).

One query tells the evidence. Sunday's evaluation freezes it for all sellers of a market in one
INSERT … SELECT; "if Sunday were today" asks the same query about one seller.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db import connection

from chat import response_rate
from chat.partitions import monday_of
from eligibility import calendar
from eligibility.calendar import Timetable
from eligibility.criteria import Criterion, criteria, outlook
from eligibility.models import Evaluation, Job, Policy, Tier, Weekday
from sellers.models import Market, Seller

# The evidence of a market's sellers as of a moment. What the marketplace told last counts; a null
# in it is no data, but for the response rate, which our chats know, and followers, whom our
# contacts know. A contact who followed or unfollowed since that moment is told by the signals
# before it. Rates are cut to the four places that a metric keeps, so none is rounded up to a
# threshold. A comparison with null is never true: a missing metric is not met (R3).
# Indexes: one_metrics_per_time, the contacts' key, signal_follows.
# Parameters: market, sellers (null: all), as_of, the policy's thresholds, and the chat's.
EVIDENCE = f"""
WITH chats (seller_id, inquiries, answered) AS ({response_rate.MEASURE}),
evidence AS (
    SELECT seller.id AS seller_id,
           told.rating,
           CASE WHEN told.rating IS NOT NULL THEN told.as_of END AS rating_at,
           COALESCE(
               told.response_rate, (chats.answered * 1000000 / chats.inquiries) / 10000.0
           )::numeric(7, 4) AS response_rate,
           CASE WHEN told.response_rate IS NOT NULL THEN told.as_of
                WHEN chats.inquiries > 0 THEN %(as_of)s END AS response_rate_at,
           COALESCE(told.followers, own.followers) AS followers,
           CASE WHEN told.followers IS NOT NULL THEN told.as_of ELSE %(as_of)s END AS followers_at
    FROM sellers_seller AS seller
    LEFT JOIN LATERAL (
        SELECT metrics.as_of, metrics.rating, metrics.response_rate, metrics.followers
        FROM eligibility_metrics AS metrics
        WHERE metrics.seller_id = seller.id AND metrics.as_of <= %(as_of)s
        ORDER BY metrics.as_of DESC
        LIMIT 1
    ) AS told ON TRUE
    LEFT JOIN chats ON chats.seller_id = seller.id
    LEFT JOIN LATERAL (
        SELECT count(*) AS followers
        FROM customers_contact AS contact
        WHERE contact.seller_id = seller.id
          AND CASE WHEN contact.follow_at > %(as_of)s THEN (
                  SELECT signal.kind = 'followed'
                  FROM customers_signal AS signal
                  WHERE signal.seller_id = contact.seller_id AND signal.buyer_id = contact.buyer_id
                    AND signal.kind IN ('followed', 'unfollowed') AND signal.at <= %(as_of)s
                  ORDER BY signal.at DESC, signal.event COLLATE "C" DESC
                  LIMIT 1
              ) ELSE contact.followed_times[1] <= %(as_of)s END
    ) AS own ON told.followers IS NULL
    WHERE seller.market_id = %(market)s
      AND (%(sellers)s::bigint[] IS NULL OR seller.id = ANY (%(sellers)s::bigint[]))
),
judged AS (
    SELECT evidence.*,
           CASE WHEN rating >= %(min_rating)s AND response_rate >= %(min_response_rate)s
                THEN CASE WHEN followers >= %(min_followers)s THEN 'advance' ELSE 'basic' END
                ELSE 'none' END AS tier
    FROM evidence
)
"""

EVALUATE = f"""
{EVIDENCE},
frozen AS (
    INSERT INTO eligibility_evaluation
        (seller_id, week, policy_id, evaluated_at, rating, rating_at, response_rate,
         response_rate_at, followers, followers_at, tier)
    SELECT seller_id, %(week)s, %(policy)s, %(as_of)s, rating, rating_at, response_rate,
           response_rate_at, followers, followers_at, tier
    FROM judged
    RETURNING tier
)
SELECT tier, count(*) FROM frozen GROUP BY tier
"""

PROJECT = f"""
{EVIDENCE}
SELECT rating, rating_at, response_rate, response_rate_at, followers, followers_at, tier FROM judged
"""


@dataclass(frozen=True, slots=True)
class Projection:
    """What the next evaluation would say if it were now: not saved, and not yet so."""

    evaluation: Evaluation
    criteria: list[Criterion]
    sentence: str  # "If Sunday were today: basic, 3 followers short of advance."

    @property
    def tier(self) -> str:
        return self.evaluation.tier


def evaluate(market: Market, *, week: date) -> dict[str, int]:
    """Freeze the evidence of every seller of a market for a week, as of when it was due (R3–R5).

    Set-based. Returns how many sellers have which tier. IntegrityError when it was done (I5).
    """
    as_of = calendar.due_time(market, week=week, kind=Job.Kind.EVALUATION)
    policy = Policy.objects.in_force(market, as_of)
    with connection.cursor() as cursor:
        bound = _bind(policy, market=market, as_of=as_of)
        cursor.execute(EVALUATE, bound | {"week": week, "policy": policy.pk})
        return dict.fromkeys(Tier.values, 0) | dict(cursor.fetchall())


def project(seller: Seller, *, timetable: Timetable) -> Projection:
    """What the next evaluation would say of a seller if it were at the timetable's moment (R5, D16).

    One query, which counts the seller's followers and chats where the marketplace told nothing of them.
    """
    market, now = timetable.market, timetable.now
    policy = timetable.policy_at(timetable.next(Job.Kind.EVALUATION))
    # the coming week's times are those of the policy before it, even if another one judges (D16)
    timed = policy if policy.effective_from <= now else timetable.policy_at(now)
    with connection.cursor() as cursor:
        cursor.execute(PROJECT, _bind(policy, market=market, as_of=now, sellers=[seller.pk]))
        assert cursor.description is not None
        names = [column.name for column in cursor.description]
        evidence = dict(zip(names, cursor.fetchone(), strict=True))
    evaluation = Evaluation(seller=seller, policy=policy, evaluated_at=now, **evidence)
    judged = criteria(evaluation)
    sentence = f"If {Weekday(timed.evaluation_weekday).label} were today: {outlook(evaluation.tier, judged)}."
    return Projection(evaluation=evaluation, criteria=judged, sentence=sentence)


def _bind(
    policy: Policy, *, market: Market, as_of: datetime, sellers: list[int] | None = None
) -> dict[str, Any]:
    since, until = response_rate.window(market, until=as_of, days=policy.response_window_days)
    return {
        "market": market.pk,
        "sellers": sellers,
        "as_of": as_of,
        "zone": market.time_zone,
        "first_week": monday_of(market.day(since)),
        "since": since,
        "until": until,
        "min_rating": policy.min_rating,
        "min_response_rate": policy.min_response_rate,
        "min_followers": policy.min_followers,
    }
