"""Do the books agree? The invariants I2, I3, I4 and I9 over the whole database, read-only.

Each check is one statement that returns a row for every discrepancy: what it is about, what the
books say, and what the rows say. None means that all is well. Parameters: none. They read whole
tables: for tests, `manage.py check_books` and the end of the demo's making, not for pages. Of weeks
past the retention only the totals of their broadcasts are left to be checked.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """One figure that does not agree with the rows that it counts."""

    invariant: str
    what: str
    subject: str
    booked: str
    found: str

    def __str__(self) -> str:
        return f"{self.invariant}: {self.what} of {self.subject} is {self.booked}, the rows say {self.found}"


# limit = grants + adjustments; used = charges − refunds
LEDGER = """
SELECT 'quota ' || quota.id, quota."limit" || ' / ' || quota.used, entered."limit" || ' / ' || entered.used
FROM quotas_quota AS quota
CROSS JOIN LATERAL (
    SELECT COALESCE(sum(amount) FILTER (WHERE kind IN ('grant', 'adjust')), 0) AS "limit",
           COALESCE(sum(CASE kind WHEN 'charge' THEN amount WHEN 'refund' THEN -amount END), 0) AS used
    FROM quotas_ledgerentry AS entry WHERE entry.quota_id = quota.id
) AS entered
WHERE (quota."limit", quota.used) <> (entered."limit", entered.used)
"""

# used = distinct customers held or reached this week: an exception counts until it is settled
CUSTOMERS = """
WITH reached AS (
    SELECT broadcast.seller_id, broadcast.scenario_id, broadcast.week,
           count(DISTINCT recipient.buyer_id) AS customers
    FROM engagement_recipient AS recipient
    JOIN engagement_broadcast AS broadcast ON broadcast.id = recipient.broadcast_id
    WHERE recipient.outcome IS NULL OR broadcast.ended_at IS NULL
    GROUP BY 1, 2, 3
)
SELECT 'quota ' || quota.id, quota.used::text, COALESCE(reached.customers, 0)::text
FROM quotas_quota AS quota
LEFT JOIN reached USING (seller_id, scenario_id, week)
WHERE quota.used <> COALESCE(reached.customers, 0) AND NOT EXISTS (
    SELECT FROM engagement_broadcast AS broadcast
    JOIN engagement_broadcasttotals AS kept ON kept.broadcast_id = broadcast.id
    WHERE (broadcast.seller_id, broadcast.week, broadcast.scenario_id)
        = (quota.seller_id, quota.week, quota.scenario_id)
)
"""

# what a broadcast charged is what the ledger says of it
CHARGES = """
SELECT 'broadcast ' || broadcast.id, broadcast.charged::text, COALESCE(sum(entry.amount), 0)::text
FROM engagement_broadcast AS broadcast
LEFT JOIN quotas_quota AS quota
  ON (quota.seller_id, quota.week, quota.scenario_id)
   = (broadcast.seller_id, broadcast.week, broadcast.scenario_id)
LEFT JOIN quotas_ledgerentry AS entry
  ON entry.quota_id = quota.id AND entry.kind = 'charge'
 AND entry.reference = 'broadcast:' || broadcast.id
GROUP BY broadcast.id
HAVING broadcast.charged <> COALESCE(sum(entry.amount), 0)
"""

# selected = delivered + failed + skipped + stopped + unknown once a broadcast has ended
OUTCOMES = """
SELECT 'broadcast ' || broadcast.id, broadcast.selected::text, COALESCE(counted.n, 0)::text
FROM engagement_broadcast AS broadcast
LEFT JOIN engagement_broadcasttotals AS kept ON kept.broadcast_id = broadcast.id
CROSS JOIN LATERAL (
    SELECT COALESCE(sum(delivered + failed + skipped + stopped + unknown),
                    kept.delivered + kept.failed + kept.skipped + kept.stopped + kept.unknown) AS n
    FROM engagement_batch AS batch
    WHERE (batch.week, batch.seller_id, batch.broadcast_id)
        = (broadcast.week, broadcast.seller_id, broadcast.id)
) AS counted
WHERE broadcast.ended_at IS NOT NULL AND broadcast.selected <> COALESCE(counted.n, 0)
"""

# what has ended is at rest, only a foreign chat's broadcast is ever in foreign hands, and what is paused is so as a
# whole (but for what was in foreign hands then, and was put back), as is what waits for the end of a large stop
ENDED = """
SELECT 'batch ' || batch.broadcast_id || '/' || batch.number, batch.status,
       CASE WHEN broadcast.ended_at IS NOT NULL THEN 'an ended broadcast'
            WHEN (batch.status, broadcast.status) IN (('open', 'paused'), ('paused', broadcast.status))
            THEN 'a ' || broadcast.status || ' broadcast' ELSE 'a broadcast into our own chat' END
FROM engagement_batch AS batch
JOIN engagement_broadcast AS broadcast ON broadcast.id = batch.broadcast_id
WHERE (broadcast.ended_at IS NOT NULL AND batch.status NOT IN ('closed', 'stopped'))
   OR (broadcast.gateway = '' AND (batch.status IN ('outbound', 'handed', 'unsure') OR batch.fencing_token > 0))
   OR (broadcast.gateway <> '' AND batch.status = 'open')
   OR (batch.status = 'paused' AND broadcast.status NOT IN ('paused', 'stopped'))
   OR (batch.status = 'open' AND broadcast.status = 'paused')
"""

# one by one: who is delivered has the message, and nobody else has it
FATES = """
SELECT 'recipient ' || recipient.broadcast_id || '/' || recipient.rank,
       COALESCE(recipient.outcome, 'delivered'),
       CASE WHEN message.content_id IS NULL THEN 'no message' ELSE 'a message' END
FROM engagement_batch AS batch
JOIN engagement_broadcast AS broadcast ON broadcast.id = batch.broadcast_id
JOIN engagement_recipient AS recipient
  ON (recipient.week, recipient.seller_id, recipient.broadcast_id)
   = (batch.week, batch.seller_id, batch.broadcast_id)
 AND recipient.rank BETWEEN batch.first_rank AND batch.last_rank
LEFT JOIN chat_message AS message
  ON (message.week, message.seller_id, message.buyer_id, message.content_id)
   = (recipient.week, recipient.seller_id, recipient.buyer_id, broadcast.content_id)
WHERE batch.status NOT IN ('open', 'outbound', 'paused')
  AND (recipient.outcome IS NULL) <> (message.content_id IS NOT NULL)
"""

# a broadcast's recipients, and their ranks, are those that admission selected
SELECTED = """
SELECT 'broadcast ' || broadcast.id, broadcast.selected::text,
       count(recipient.rank) || ', ranked to ' || COALESCE(max(recipient.rank), 0)
FROM engagement_broadcast AS broadcast
LEFT JOIN engagement_recipient AS recipient
  ON (recipient.week, recipient.seller_id, recipient.broadcast_id)
   = (broadcast.week, broadcast.seller_id, broadcast.id)
WHERE NOT EXISTS (SELECT FROM engagement_broadcasttotals AS kept WHERE kept.broadcast_id = broadcast.id)
GROUP BY broadcast.id
HAVING broadcast.selected <> count(recipient.rank)
    OR broadcast.selected <> COALESCE(max(recipient.rank), 0)
"""

# a batch's counters are its recipients by outcome, once anything of it may have been sent
BATCH_OUTCOMES = """
SELECT 'batch ' || batch.broadcast_id || '/' || batch.number,
       concat_ws(' ', batch.delivered, batch.failed, batch.skipped, batch.stopped, batch.unknown),
       concat_ws(' ', counted.delivered, counted.failed, counted.skipped, counted.stopped, counted.unknown)
FROM engagement_batch AS batch
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE outcome IS NULL) AS delivered,
           count(*) FILTER (WHERE outcome = 'failed') AS failed,
           count(*) FILTER (WHERE outcome IN ('muted', 'changed', 'stock', 'voucher', 'withheld'))
               AS skipped,
           count(*) FILTER (WHERE outcome = 'stopped') AS stopped,
           count(*) FILTER (WHERE outcome = 'unknown') AS unknown
    FROM engagement_recipient AS recipient
    WHERE (recipient.week, recipient.seller_id, recipient.broadcast_id)
        = (batch.week, batch.seller_id, batch.broadcast_id)
      AND recipient.rank BETWEEN batch.first_rank AND batch.last_rank
) AS counted
WHERE batch.status NOT IN ('open', 'outbound', 'paused')
  AND (batch.delivered, batch.failed, batch.skipped, batch.stopped, batch.unknown)
   <> (counted.delivered, counted.failed, counted.skipped, counted.stopped, counted.unknown)
"""

# a batch's messages, and what the chat has marked on them, are what its counters say
BATCH_MESSAGES = """
WITH counted AS (
    SELECT week, seller_id, content_id, batch AS number,
           count(*) AS delivered, count(read_at) AS reads, count(clicked_at) AS clicks,
           count(claimed_at) AS claims, count(replied_at) AS replies, count(reported_at) AS reports,
           count(muted_at) AS mutes
    FROM chat_message WHERE batch IS NOT NULL
    GROUP BY week, seller_id, content_id, batch
)
SELECT 'batch ' || COALESCE(batch.broadcast_id::text, 'of no broadcast, content ' || counted.content_id)
           || '/' || COALESCE(batch.number, counted.number),
       concat_ws(' ', batch.delivered, batch.reads, batch.clicks, batch.claims, batch.replies, batch.reports,
                 batch.mutes),
       concat_ws(' ', counted.delivered, counted.reads, counted.clicks, counted.claims, counted.replies,
                 counted.reports, counted.mutes)
FROM (
    engagement_batch AS batch
    JOIN engagement_broadcast AS broadcast ON broadcast.id = batch.broadcast_id
) FULL JOIN counted
  ON (counted.week, counted.seller_id, counted.content_id, counted.number)
   = (batch.week, batch.seller_id, broadcast.content_id, batch.number)
WHERE (COALESCE(batch.delivered, 0), COALESCE(batch.reads, 0), COALESCE(batch.clicks, 0),
       COALESCE(batch.claims, 0), COALESCE(batch.replies, 0), COALESCE(batch.reports, 0),
       COALESCE(batch.mutes, 0))
   <> (COALESCE(counted.delivered, 0), COALESCE(counted.reads, 0), COALESCE(counted.clicks, 0),
       COALESCE(counted.claims, 0), COALESCE(counted.replies, 0), COALESCE(counted.reports, 0),
       COALESCE(counted.mutes, 0))
"""

# a batch's sales and GMV are the orders credited to it
BATCH_SALES = """
SELECT 'batch ' || batch.broadcast_id || '/' || batch.number,
       batch.sales || ' for ' || batch.gmv,
       count(credit.order_id) || ' for ' || COALESCE(sum(credit.amount), 0)
FROM engagement_batch AS batch
LEFT JOIN engagement_attribution AS credit
  ON credit.broadcast_id = batch.broadcast_id AND credit.batch = batch.number
GROUP BY batch.week, batch.seller_id, batch.broadcast_id, batch.number, batch.sales, batch.gmv
HAVING (batch.sales, batch.gmv) <> (count(credit.order_id), COALESCE(sum(credit.amount), 0))
"""

# and so are the sales and GMV that the batches of a dropped week left
KEPT_SALES = """
SELECT 'broadcast ' || kept.broadcast_id, kept.sales || ' for ' || kept.gmv,
       count(credit.order_id) || ' for ' || COALESCE(sum(credit.amount), 0)
FROM engagement_broadcasttotals AS kept
LEFT JOIN engagement_attribution AS credit ON credit.broadcast_id = kept.broadcast_id
GROUP BY kept.broadcast_id
HAVING (kept.sales, kept.gmv) <> (count(credit.order_id), COALESCE(sum(credit.amount), 0))
"""

# what a contact remembers of messages and reads is what stands in the chat (messages: once counted); where
# weeks were dropped, it may be more
CONTACTS = """
WITH counted AS (
    SELECT message.seller_id, message.buyer_id,
           count(*) FILTER (WHERE broadcast.remembered) AS messages, count(message.read_at) AS reads
    FROM chat_message AS message
    JOIN engagement_broadcast AS broadcast ON broadcast.content_id = message.content_id
    WHERE message.batch IS NOT NULL
    GROUP BY message.seller_id, message.buyer_id
)
SELECT 'contact ' || contact.seller_id || '/' || contact.buyer_id,
       contact.messages || ' messages, ' || contact.reads || ' read',
       COALESCE(counted.messages, 0) || ' messages, ' || COALESCE(counted.reads, 0) || ' read'
FROM customers_contact AS contact
LEFT JOIN counted USING (seller_id, buyer_id)
WHERE (contact.messages, contact.reads) <> (COALESCE(counted.messages, 0), COALESCE(counted.reads, 0))
  AND (contact.messages < counted.messages OR contact.reads < counted.reads OR contact.seller_id NOT IN (
      SELECT broadcast.seller_id FROM engagement_broadcasttotals AS kept
      JOIN engagement_broadcast AS broadcast ON broadcast.id = kept.broadcast_id))
"""

CHECKS = (
    ("I2", "limit / used", LEDGER),
    ("I2", "used", CUSTOMERS),
    ("I2", "the charge", CHARGES),
    ("I4", "selected", OUTCOMES),
    ("I4", "the state", ENDED),
    ("I3", "the outcome", FATES),
    ("I9", "selected", SELECTED),
    ("I9", "delivered failed skipped stopped unknown", BATCH_OUTCOMES),
    ("I9", "delivered reads clicks claims replies reports mutes", BATCH_MESSAGES),
    ("I9", "sales and GMV", BATCH_SALES),
    ("I9", "sales and GMV", KEPT_SALES),
    ("I9", "the memory", CONTACTS),
)


def discrepancies() -> list[Discrepancy]:
    """Every figure that disagrees with its rows; an empty list when the books are right."""
    found: list[Discrepancy] = []
    with connection.cursor() as cursor:
        for invariant, what, sql in CHECKS:
            cursor.execute(sql)
            found += [Discrepancy(invariant, what, *map(str, row)) for row in cursor.fetchall()]
    return found
