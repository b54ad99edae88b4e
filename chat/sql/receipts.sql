-- Receipts in: what `chat.receipts` runs, in this order, while it holds the lanes of these buyers.
--
-- Why SQL: thousands of receipts are applied at once, and one by the same path. A statement is one of the two `told`,
-- then `mark`. Every receipt needs one look at its thread and one new version of its message; the contact's memory
-- of its reads and the counts follow in the same statement.
--
-- Contacts and messages are changed in the order of (seller, buyer), as everybody does who locks contacts: `sorted`
-- sees to it that no plan joins otherwise, whatever the planner takes the tables to be.
--
-- Indexes: the messages' key, which begins with the buyer: one look a partition from `first` on, or one alone where
-- the week is told; the contacts' key.

-- name: hold
-- One lock for each lane, in order. Parameters: a number that stands for lanes, the lanes.
SELECT pg_advisory_xact_lock(%(class)s, lane) FROM unnest(%(lanes)s::int[]) AS lane ORDER BY lane;

-- name: sorted
-- Until the end of the transaction, or `as_before`.
SELECT set_config(name, 'off', true), before
FROM (
    SELECT name, current_setting(name) AS before
    FROM unnest(ARRAY['enable_hashjoin', 'enable_mergejoin']) AS name OFFSET 0
) AS planner;

-- name: as_before
SELECT set_config('enable_hashjoin', %(hashjoin)s, true), set_config('enable_mergejoin', %(mergejoin)s, true);

-- name: told_by_caller
-- Parameters: arrays of equal length, one element a receipt.
WITH told AS (
    SELECT * FROM unnest(
        %(kinds)s::text[], %(sellers)s::bigint[], %(buyers)s::bigint[], %(ats)s::timestamptz[], %(weeks)s::date[],
        %(contents)s::bigint[], %(throughs)s::timestamptz[]
    ) AS told (kind, seller_id, buyer_id, at, week, content_id, through)
    CROSS JOIN (VALUES (NULL::timestamptz)) AS kept (told_at)
)

-- name: told_by_waiting
-- What was kept, taken out: it stands again when the transaction is undone. Parameter: which rows.
WITH taken AS (
    DELETE FROM chat_waitingreceipts WHERE id = ANY(%(ids)s)
    RETURNING told_at, kinds, seller_ids, buyer_ids, ats, weeks, content_ids, throughs
), told AS (
    SELECT told.*, taken.told_at
    FROM taken, unnest(kinds, seller_ids, buyer_ids, ats, weeks, content_ids, throughs)
        AS told (kind, seller_id, buyer_id, at, week, content_id, through)
)

-- name: mark
-- `reached` has a row a receipt: the oldest week that it marks, and through which moment a read does; `alone` is a read
-- that is its contact's only receipt here, as nearly all are. Those mark at once; of the others each message first
-- gathers the earliest time of each mark. Parameters: `reach` in days (null: every week), and `first`, the oldest week of all,
-- so that only its and later partitions are planned.
, reached AS MATERIALIZED (
    SELECT t.kind, t.seller_id, t.buyer_id, t.at, t.week, t.content_id, t.told_at, t.since, t.alone,
        CASE WHEN t.kind <> 'read' OR t.through IS NOT NULL THEN t.through
             WHEN t.content_id IS NULL THEN t.at
             WHEN t.week IS NOT NULL THEN (
                 SELECT named.sent_at FROM chat_message AS named
                 WHERE named.week = t.week AND named.week >= %(first)s AND named.seller_id = t.seller_id
                     AND named.buyer_id = t.buyer_id AND named.content_id = t.content_id
             )
             ELSE (
                 SELECT named.sent_at FROM chat_message AS named
                 WHERE named.buyer_id = t.buyer_id AND named.seller_id = t.seller_id
                     AND named.content_id = t.content_id AND named.week >= t.since AND named.week >= %(first)s
             )
        END AS through
    FROM (
        SELECT told.*,
            least(told.week, CASE WHEN %(reach)s::int IS NULL THEN '-infinity'::date ELSE
                date_trunc('week', told.at AT TIME ZONE 'UTC' - INTERVAL '1 day')::date - %(reach)s::int
            END) AS since,
            told.kind = 'read' AND count(*) OVER (PARTITION BY told.seller_id, told.buyer_id) = 1 AS alone
        FROM told
    ) AS t
    ORDER BY t.seller_id, t.buyer_id
), read AS (
    UPDATE chat_message AS m SET read_at = greatest(reached.at, m.sent_at)
    FROM reached
    WHERE reached.alone AND m.buyer_id = reached.buyer_id AND m.seller_id = reached.seller_id AND NOT m.from_buyer
        AND m.week >= reached.since AND m.week >= %(first)s AND m.sent_at <= reached.through
        AND (m.read_at IS NULL OR m.read_at > greatest(reached.at, m.sent_at))
    RETURNING m.week, m.seller_id, m.buyer_id, m.content_id, m.batch, m.read_at, old.read_at IS NULL AS first_read
), found AS (
    SELECT m.week, m.seller_id, m.buyer_id, m.content_id,
        min(greatest(r.at, m.sent_at)) FILTER (WHERE r.kind <> 'muted') AS read_at,
        min(greatest(r.at, m.sent_at)) FILTER (WHERE r.kind = 'clicked') AS clicked_at,
        min(greatest(r.at, m.sent_at)) FILTER (WHERE r.kind = 'claimed') AS claimed_at,
        min(greatest(r.at, m.sent_at)) FILTER (WHERE r.kind = 'replied') AS replied_at,
        min(greatest(r.at, m.sent_at)) FILTER (WHERE r.kind = 'reported') AS reported_at,
        min(greatest(r.at, m.sent_at)) FILTER (WHERE r.kind = 'muted') AS muted_at
    FROM reached AS r
    JOIN chat_message AS m
        ON m.buyer_id = r.buyer_id AND m.seller_id = r.seller_id AND NOT m.from_buyer
        AND m.week >= r.since AND m.week >= %(first)s
        AND CASE WHEN r.kind = 'read' THEN m.sent_at <= r.through ELSE m.content_id = r.content_id END
    WHERE NOT r.alone
    GROUP BY m.week, m.seller_id, m.buyer_id, m.content_id
    ORDER BY m.seller_id, m.buyer_id, m.week, m.content_id
), marked AS (
    UPDATE chat_message AS m
    SET read_at = least(m.read_at, found.read_at), clicked_at = least(m.clicked_at, found.clicked_at),
        claimed_at = least(m.claimed_at, found.claimed_at), replied_at = least(m.replied_at, found.replied_at),
        reported_at = least(m.reported_at, found.reported_at), muted_at = least(m.muted_at, found.muted_at)
    FROM found
    WHERE m.week = found.week AND m.seller_id = found.seller_id AND m.buyer_id = found.buyer_id
        AND m.content_id = found.content_id AND m.week >= %(first)s
        AND (m.read_at IS NULL OR m.read_at > found.read_at OR m.clicked_at > found.clicked_at
            OR m.claimed_at > found.claimed_at OR m.replied_at > found.replied_at
            OR m.reported_at > found.reported_at OR m.muted_at > found.muted_at
            OR (m.clicked_at IS NULL AND found.clicked_at IS NOT NULL)
            OR (m.claimed_at IS NULL AND found.claimed_at IS NOT NULL)
            OR (m.replied_at IS NULL AND found.replied_at IS NOT NULL)
            OR (m.reported_at IS NULL AND found.reported_at IS NOT NULL)
            OR (m.muted_at IS NULL AND found.muted_at IS NOT NULL))
    RETURNING m.week, m.seller_id, m.buyer_id, m.content_id, m.batch, m.read_at,
        old.read_at IS NULL AND new.read_at IS NOT NULL AS first_read,
        old.clicked_at IS NULL AND new.clicked_at IS NOT NULL AS first_click,
        old.claimed_at IS NULL AND new.claimed_at IS NOT NULL AS first_claim,
        old.replied_at IS NULL AND new.replied_at IS NOT NULL AS first_reply,
        old.reported_at IS NULL AND new.reported_at IS NOT NULL AS first_report,
        old.muted_at IS NULL AND new.muted_at IS NOT NULL AS first_mute
), new AS (
    SELECT week, seller_id, buyer_id, content_id, batch, read_at, first_read,
        FALSE AS first_click, FALSE AS first_claim, FALSE AS first_reply, FALSE AS first_report, FALSE AS first_mute
    FROM read WHERE batch IS NOT NULL
    UNION ALL
    SELECT week, seller_id, buyer_id, content_id, batch, read_at, first_read, first_click, first_claim, first_reply,
        first_report, first_mute
    FROM marked WHERE batch IS NOT NULL
), readers AS (
    SELECT seller_id, buyer_id, count(*) AS reads, array_agg(read_at ORDER BY read_at DESC) AS times
    FROM new WHERE first_read
    GROUP BY seller_id, buyer_id
    ORDER BY seller_id, buyer_id
), remembered AS (
    UPDATE customers_contact AS contact
    SET reads = contact.reads + readers.reads,
        read_times = CASE
            WHEN contact.read_times = '{}' THEN readers.times[1:5]
            ELSE ARRAY(
                SELECT time FROM unnest(contact.read_times || readers.times) AS time ORDER BY time DESC LIMIT 5
            )
        END
    FROM readers
    WHERE contact.seller_id = readers.seller_id AND contact.buyer_id = readers.buyer_id
), missing AS (
    SELECT * FROM reached
    WHERE content_id IS NOT NULL AND CASE WHEN kind = 'read' THEN through IS NULL
        ELSE (buyer_id, content_id) NOT IN (SELECT buyer_id, content_id FROM found) END
)

-- name: counts
-- What each batch gained. A last row without a week tells how many receipts named a message that is not there.
SELECT week, seller_id, content_id, batch,
    count(*) FILTER (WHERE first_read), count(*) FILTER (WHERE first_click), count(*) FILTER (WHERE first_claim),
    count(*) FILTER (WHERE first_reply), count(*) FILTER (WHERE first_report), count(*) FILTER (WHERE first_mute)
FROM new
WHERE first_read OR first_click OR first_claim OR first_reply OR first_report OR first_mute
GROUP BY week, seller_id, content_id, batch
UNION ALL
SELECT NULL, NULL, NULL, NULL, count(*), 0, 0, 0, 0, 0 FROM missing
ORDER BY week, seller_id, content_id, batch;

-- name: counts_of_waiting
-- The same, where what names a message that is not there waits for it for as long again as it has waited, between a
-- quarter of a minute and an hour: a customer may read before we know that it was delivered. The last row tells how
-- many wait, and how many were given up. Parameters: now, patience (an interval), the lane.
, again AS (
    INSERT INTO chat_waitingreceipts (
        lane, told_at, due_at, oldest, reaches, size, kinds, seller_ids, buyer_ids, ats, weeks, content_ids, throughs
    )
    SELECT %(lane)s, told_at,
        %(now)s + least(greatest(%(now)s - told_at, INTERVAL '15 seconds'), INTERVAL '1 hour'), min(at), min(since),
        count(*),
        array_agg(kind), array_agg(seller_id), array_agg(buyer_id), array_agg(at), array_agg(week),
        array_agg(content_id), array_agg(through)
    FROM missing WHERE told_at > %(now)s - %(patience)s
    GROUP BY told_at
    RETURNING size
)
SELECT week, seller_id, content_id, batch,
    count(*) FILTER (WHERE first_read), count(*) FILTER (WHERE first_click), count(*) FILTER (WHERE first_claim),
    count(*) FILTER (WHERE first_reply), count(*) FILTER (WHERE first_report), count(*) FILTER (WHERE first_mute)
FROM new
WHERE first_read OR first_click OR first_claim OR first_reply OR first_report OR first_mute
GROUP BY week, seller_id, content_id, batch
UNION ALL
SELECT NULL, NULL, NULL, NULL, coalesce((SELECT sum(size) FROM again), 0),
    (SELECT count(*) FROM missing WHERE told_at <= %(now)s - %(patience)s), 0, 0, 0, 0
ORDER BY week, seller_id, content_id, batch;
