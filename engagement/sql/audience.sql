-- Who could be reached, who is left out and why, who is chosen: parts of one statement, so that the waterfall
-- that a page shows, the one that a launch stores, and the recipients can only agree (I9, R11).
--
-- Why SQL: one scan of a scenario's contacts gives the counts, the prior that scores are shrunk towards, the ranking
-- and the choice. `engagement.audience` puts the parts together: one of the two `flagged`, then sizes; or one of them,
-- ranked, one of the two `chosen`, and a question. {matched} is a QuerySet of contacts as Django compiled it.
--
-- Indexes: the keys of contacts and loads; buyer_muted; recipient_once_per_broadcast; broadcast_of_week.

-- name: sent
-- The shop's broadcasts of today, and of this scenario and week where it needs quota. A statement by itself: what it
-- finds is bound in the others, so that they are planned for the weeks and broadcasts that matter.
SELECT id, week, day, scenario_id, ended_at FROM engagement_broadcast
WHERE seller_id = %(seller)s AND admitted_at IS NOT NULL
    AND (day = %(day)s OR NOT %(free)s AND week = %(week)s AND scenario_id = %(scenario)s)

-- name: flagged
-- What stands in a contact's way: enough messages of this shop today (D2), or of all shops (D4); and who is held or was
-- reached by this scenario this week already (D12): an exception counts until its broadcast is settled.
--
-- Not joined: a plan must not hinge on what the tables were like when they were last analysed. A week's partition of
-- recipients begins empty, and a nested loop over two sets of thousands takes seconds. An EXISTS is looked up row by row, or
-- read once into a hash table: either is quick.
WITH flagged AS (
    SELECT contact.*,
        contact.muted_at IS NOT NULL OR EXISTS (
            SELECT FROM customers_buyer AS buyer WHERE buyer.id = contact.buyer_id AND buyer.muted_at IS NOT NULL
        ) AS muted,
        EXISTS (
            SELECT FROM (
                SELECT recipient.buyer_id FROM engagement_recipient AS recipient
                WHERE recipient.week = ANY(%(weeks)s) AND recipient.seller_id = %(seller)s
                    AND recipient.broadcast_id = ANY(%(today)s)
                    AND (recipient.outcome IS NULL OR recipient.broadcast_id = ANY(%(unsettled)s))
                GROUP BY recipient.buyer_id HAVING count(*) >= %(shop_cap)s
            ) AS capped
            WHERE capped.buyer_id = contact.buyer_id
        ) AS shop_capped,
        coalesce((
            -- never read as a whole: it holds every buyer of all shops
            SELECT load.day = %(day)s AND load.day_count >= %(daily_cap)s
                OR load.week = %(week)s AND load.week_count >= %(weekly_cap)s
            FROM engagement_buyerload AS load WHERE load.buyer_id = contact.buyer_id
        ), FALSE) AS market_capped,
        EXISTS (
            SELECT FROM engagement_recipient AS recipient
            WHERE recipient.week = %(week)s AND recipient.seller_id = %(seller)s
                AND recipient.broadcast_id = ANY(%(mates)s) AND recipient.buyer_id = contact.buyer_id
                AND (recipient.outcome IS NULL OR recipient.broadcast_id = ANY(%(unsettled)s))
        ) AS held
    FROM ({matched}) AS contact
    OFFSET 0 -- each is asked once, however often it is named below
)

-- name: flagged_at_once
-- The same by joins, for a shop of very many contacts: they are read by several processes, which an EXISTS above hinders.
-- With so many no plan is a nested loop, however wrong the other tables' statistics are.
WITH flagged AS (
    SELECT contact.*,
        contact.muted_at IS NOT NULL OR silent.id IS NOT NULL AS muted,
        coalesce(today.messages >= %(shop_cap)s, FALSE) AS shop_capped,
        coalesce(load.day = %(day)s AND load.day_count >= %(daily_cap)s
            OR load.week = %(week)s AND load.week_count >= %(weekly_cap)s, FALSE) AS market_capped,
        mates.buyer_id IS NOT NULL AS held
    FROM ({matched}) AS contact
    LEFT JOIN customers_buyer AS silent ON silent.id = contact.buyer_id AND silent.muted_at IS NOT NULL
    LEFT JOIN engagement_buyerload AS load ON load.buyer_id = contact.buyer_id
    LEFT JOIN (
        SELECT recipient.buyer_id, count(*) AS messages FROM engagement_recipient AS recipient
        WHERE recipient.week = ANY(%(weeks)s) AND recipient.seller_id = %(seller)s
            AND recipient.broadcast_id = ANY(%(today)s)
            AND (recipient.outcome IS NULL OR recipient.broadcast_id = ANY(%(unsettled)s))
        GROUP BY recipient.buyer_id
    ) AS today ON today.buyer_id = contact.buyer_id
    LEFT JOIN (
        SELECT DISTINCT recipient.buyer_id FROM engagement_recipient AS recipient
        WHERE recipient.week = %(week)s AND recipient.seller_id = %(seller)s
            AND recipient.broadcast_id = ANY(%(mates)s)
            AND (recipient.outcome IS NULL OR recipient.broadcast_id = ANY(%(unsettled)s))
    ) AS mates ON mates.buyer_id = contact.buyer_id
)

-- name: sizes
-- Grouped by which scenarios a contact fits, so that every contact is looked at once, however many there are. {fits} are
-- columns of truth values: PostgreSQL knows how few groups they can make, and sorts nothing.
SELECT ARRAY[{fits}], NOT (muted OR shop_capped OR market_capped) AS clear, count(*) FROM flagged GROUP BY {fits}, clear

-- name: ranked
-- The expected yield (`engagement.ranking`): likelihood to order × likelihood to read × expected order value. The facts
-- that it rests on stay beside it. {kept}: MATERIALIZED where counting and ranking both read it; a waterfall mostly counts.
, sorted AS {kept} (
    SELECT buyer_id, muted, shop_capped, market_capped, held,
        NOT (muted OR shop_capped OR market_capped) AS clear,
        orders, spent::float8 AS spent, messages, reads, paid_at, active_at,
        (%(activity_weight)s * coalesce(exp(date_part('epoch', active_at - %(now)s) / %(activity_seconds)s), 0)
            + coalesce(exp(date_part('epoch', paid_times[1] - %(now)s) / %(order_seconds)s), 0)
            + coalesce(exp(date_part('epoch', paid_times[2] - %(now)s) / %(order_seconds)s), 0)
            + coalesce(exp(date_part('epoch', paid_times[3] - %(now)s) / %(order_seconds)s), 0)
            + coalesce(exp(date_part('epoch', paid_times[4] - %(now)s) / %(order_seconds)s), 0)
            + coalesce(exp(date_part('epoch', paid_times[5] - %(now)s) / %(order_seconds)s), 0)
            + %(background)s)
        * (reads + %(read_weight)s * %(read_rate)s) / (messages + %(read_weight)s) AS interest
    FROM (
        SELECT flagged.*, paid_times[1] AS paid_at,
            greatest(viewed_times[1], cart_times[1], wish_times[1], ordered_times[1], read_times[1],
                followed_times[1]) AS active_at
        FROM flagged
    ) AS dated
), totals AS (
    -- room: how many customers not charged yet the quota admits; `left` is null where none is needed
    SELECT counted.*, least(reachable - held, %(left)s) AS room
    FROM (
        SELECT count(*) AS matched,
            count(*) FILTER (WHERE muted) AS muted,
            count(*) FILTER (WHERE shop_capped AND NOT muted) AS capped_by_shop,
            count(*) FILTER (WHERE market_capped AND NOT (muted OR shop_capped)) AS capped_by_market,
            count(*) FILTER (WHERE clear) AS reachable,
            count(*) FILTER (WHERE clear AND held) AS held,
            CASE WHEN sum(orders) > 0 AND sum(spent) > 0 THEN sum(spent) / sum(orders) ELSE 1 END AS order_value
        FROM sorted
    ) AS counted
), ranked AS (
    SELECT buyer_id, sorted.held,
        interest * (spent + %(value_weight)s * order_value) / (orders + %(value_weight)s) AS score,
        least(orders, 32767)::int2 AS orders,
        floor(date_part('epoch', %(now)s - paid_at) / 86400)::int2 AS ordered_days,
        floor(date_part('epoch', %(now)s - active_at) / 86400)::int2 AS active_days,
        least(greatest(messages, reads), 32767)::int2 AS messages, -- counted a minute later than reads
        least(reads, 32767)::int2 AS reads
    FROM sorted CROSS JOIN totals
    WHERE clear
)

-- name: chosen_fresh
-- Where nobody is held yet: the best, as far as quota and cap go; and the next best.
, chosen AS MATERIALIZED (
    SELECT * FROM ranked ORDER BY score DESC, buyer_id LIMIT (SELECT least(room, %(cap)s) FROM totals)
), left_out AS (
    SELECT * FROM ranked ORDER BY score DESC, buyer_id OFFSET (SELECT least(room, %(cap)s) FROM totals) LIMIT 1
)

-- name: chosen_beside_held
-- Those charged already ∪ the best of the others that the quota admits, cut at the cap; and the best of the rest.
, placed AS MATERIALIZED (
    SELECT admissible.*,
        admitted AND row_number() OVER (PARTITION BY admitted ORDER BY score DESC, buyer_id) <= %(cap)s AS is_chosen
    FROM (
        SELECT ranked.*, held OR row_number() OVER (PARTITION BY held ORDER BY score DESC, buyer_id)
            <= (SELECT room FROM totals) AS admitted
        FROM ranked
    ) AS admissible
), chosen AS MATERIALIZED (
    SELECT buyer_id, held, score, orders, ordered_days, active_days, messages, reads FROM placed WHERE is_chosen
), left_out AS (
    SELECT * FROM placed WHERE NOT is_chosen ORDER BY score DESC, buyer_id LIMIT 1
)

-- name: waterfall
-- Charged are those of the chosen who are not held: only where both quota and cap bite must they be counted.
SELECT matched, muted, capped_by_shop, capped_by_market,
    reachable - held - room AS over_quota,
    greatest(held + room - %(cap)s, 0) AS over_cap,
    least(held + room, %(cap)s) AS selected,
    CASE WHEN %(free)s THEN 0 WHEN held + room <= %(cap)s THEN room WHEN held = 0 THEN %(cap)s
        ELSE (SELECT count(*) FROM chosen WHERE NOT held) END AS charged
FROM totals

-- name: repeated
-- How many of the chosen were reached by some broadcasts (R12).
SELECT count(*) FROM chosen
WHERE EXISTS (
    SELECT FROM engagement_recipient AS recipient
    WHERE recipient.week = ANY(%(same_weeks)s) AND recipient.seller_id = %(seller)s
        AND recipient.broadcast_id = ANY(%(same)s) AND recipient.buyer_id = chosen.buyer_id
        AND recipient.outcome IS NULL
)

-- name: admit
-- Counts each buyer's message of today and of this week (in buyer order, so that racing launches cannot deadlock),
-- drops whom other sellers filled up meanwhile (D4), inserts the rest as recipients, ranked, and cuts the ranks into
-- batches: each one's turn is admission + its number in seconds.
, loaded AS (
    INSERT INTO engagement_buyerload AS load (buyer_id, day, day_count, week, week_count)
    SELECT buyer_id, %(day)s, 1, %(week)s, 1 FROM chosen ORDER BY buyer_id
    ON CONFLICT (buyer_id) DO UPDATE SET
        day_count = CASE WHEN load.day = excluded.day THEN load.day_count + 1 ELSE 1 END,
        week_count = CASE WHEN load.week = excluded.week THEN load.week_count + 1 ELSE 1 END,
        day = excluded.day,
        week = excluded.week
    WHERE (load.day <> excluded.day OR load.day_count < %(daily_cap)s)
        AND (load.week <> excluded.week OR load.week_count < %(weekly_cap)s)
    RETURNING buyer_id
), counted AS MATERIALIZED (
    SELECT (SELECT count(*) FROM chosen) AS planned, (SELECT count(*) FROM loaded) AS selected
), remaining AS (
    -- grouped and not joined, for the reason above; and only when somebody was dropped
    SELECT buyer_id, bool_or(held) AS held, max(score) AS score, max(orders) AS orders,
        max(ordered_days) AS ordered_days, max(active_days) AS active_days, max(messages) AS messages, max(reads) AS reads
    FROM (
        SELECT buyer_id, held, score, orders, ordered_days, active_days, messages, reads, FALSE AS stays FROM chosen
        UNION ALL
        SELECT buyer_id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, TRUE FROM loaded
    ) AS both_lists
    WHERE (SELECT selected < planned FROM counted)
    GROUP BY buyer_id HAVING bool_or(stays)
), taken AS (
    SELECT * FROM chosen WHERE (SELECT selected = planned FROM counted)
    UNION ALL
    SELECT * FROM remaining
), admitted AS (
    INSERT INTO engagement_recipient (week, seller_id, broadcast_id, rank, buyer_id, score, orders,
        ordered_days, active_days, messages, reads)
    SELECT %(week)s, %(seller)s, %(broadcast)s, row_number() OVER (ORDER BY score DESC, buyer_id), buyer_id, score,
        orders, ordered_days, active_days, messages, reads
    FROM taken
), queued AS (
    INSERT INTO engagement_batch (week, seller_id, broadcast_id, number, first_rank, last_rank, turn, status,
        delivered, failed, skipped, stopped, unknown, reads, clicks, claims, replies, mutes, reports, sales, gmv)
    SELECT %(week)s, %(seller)s, %(broadcast)s, number, (number - 1) * %(batch)s + 1, least(number * %(batch)s, selected),
        %(now)s + number * INTERVAL '1 second', %(status)s, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
    FROM counted CROSS JOIN LATERAL generate_series(1, (selected + %(batch)s - 1) / %(batch)s) AS number
)
SELECT matched, muted, capped_by_shop, capped_by_market,
    reachable - held - room AS over_quota,
    greatest(held + room - %(cap)s, 0) AS over_cap,
    planned, selected,
    CASE WHEN held = 0 THEN selected ELSE (SELECT count(*) FROM taken WHERE NOT taken.held) END AS fresh,
    CASE WHEN reachable > planned THEN (
        SELECT json_build_array(buyer_id, score, json_build_array(orders, ordered_days, active_days, messages, reads))
        FROM left_out
    )::text END AS left_out
FROM totals CROSS JOIN counted
