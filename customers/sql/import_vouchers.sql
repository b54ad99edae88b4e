-- vouchers.csv. Parameters: file.

-- name: table
CREATE TEMPORARY TABLE import_row (
    line integer, market text, seller text, code text, title text, discount text, min_spend text,
    starts_at text, ends_at text, quantity text
) ON COMMIT DROP;

-- name: check_cells
INSERT INTO import_fault (file, line, col, reason, cells)
SELECT %(file)s, r.line, f.col, format('“%%s” %%s', left(f.value, 40), f.reason), to_json(r)
FROM import_row r
CROSS JOIN LATERAL (VALUES
    ('code', r.code, pg_temp.label_fault(r.code, 64)),
    ('title', r.title, pg_temp.label_fault(r.title, 160)),
    ('discount', r.discount, pg_temp.amount_fault(r.discount)),
    ('min_spend', r.min_spend, pg_temp.amount_fault(r.min_spend)),
    ('starts_at', r.starts_at, pg_temp.time_fault(r.starts_at)),
    ('ends_at', r.ends_at, pg_temp.time_fault(r.ends_at)),
    ('quantity', r.quantity, pg_temp.count_fault(r.quantity))
) f (col, value, reason)
WHERE f.reason IS NOT NULL;

-- name: check_repeats
INSERT INTO import_fault (file, line, col, reason, cells)
SELECT %(file)s, r.line, 'code', format('“%%s” stands on line %%s already.', r.code, first.line), to_json(r)
FROM import_row r
JOIN (
    SELECT market, seller, code, min(line) AS line FROM import_row GROUP BY market, seller, code
) first USING (market, seller, code)
WHERE r.line > first.line;

-- name: check_sense
INSERT INTO import_fault (file, line, col, reason, cells)
SELECT %(file)s, r.line, f.col, format('“%%s” %%s', left(f.value, 40), f.reason), to_json(r)
FROM import_row r
JOIN sellers_market m ON m.code = r.market
JOIN sellers_seller s ON s.market_id = m.id AND s.code = r.seller
LEFT JOIN customers_voucher v ON v.seller_id = s.id AND v.code = r.code
CROSS JOIN LATERAL (VALUES
    ('discount', r.discount, CASE WHEN r.discount::numeric = 0 THEN 'takes nothing off.' END),
    ('ends_at', r.ends_at, CASE WHEN r.ends_at::timestamptz <= r.starts_at::timestamptz
        THEN 'is not later than starts_at.' END),
    ('quantity', r.quantity, CASE WHEN r.quantity::integer < v.claimed
        THEN format('is less than the %%s that buyers claimed already.', v.claimed) END)
) f (col, value, reason)
WHERE f.reason IS NOT NULL;

-- name: load
WITH put AS (
    INSERT INTO customers_voucher (
        seller_id, code, title, discount, min_spend, starts_at, ends_at, quantity, claimed
    )
    SELECT s.id, r.code, r.title, r.discount::numeric, r.min_spend::numeric, r.starts_at::timestamptz,
        r.ends_at::timestamptz, r.quantity::integer, 0
    FROM import_row r
    JOIN sellers_market m ON m.code = r.market
    JOIN sellers_seller s ON s.market_id = m.id AND s.code = r.seller
    ORDER BY s.id, r.code
    ON CONFLICT (seller_id, code) DO UPDATE SET title = excluded.title, discount = excluded.discount,
        min_spend = excluded.min_spend, starts_at = excluded.starts_at, ends_at = excluded.ends_at,
        quantity = excluded.quantity
    WHERE (customers_voucher.title, customers_voucher.discount, customers_voucher.min_spend,
        customers_voucher.starts_at, customers_voucher.ends_at, customers_voucher.quantity)
        IS DISTINCT FROM (excluded.title, excluded.discount, excluded.min_spend, excluded.starts_at,
            excluded.ends_at, excluded.quantity)
    RETURNING xmax = 0 AS created
)
SELECT count(*) FILTER (WHERE created), count(*) FILTER (WHERE NOT created) FROM put;

-- name: analyse
ANALYZE customers_voucher;
