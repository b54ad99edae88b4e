-- orders.csv. Parameters: file. Each order becomes the signals that tell its story, so that there is one
-- path; their event ids are made from the seller, the order, the kind, and the time or the product's place, as JSON,
-- which tells “a” with “b c” from “a b” with “c”.

-- name: table
CREATE TEMPORARY TABLE import_row (
    line integer, market text, seller text, buyer text, code text, products text, amount text, voucher text,
    placed_at text, pay_by text, paid_at text, cancelled_at text, received_at text, reviewed_at text
) ON COMMIT DROP;

-- name: check_cells
INSERT INTO import_fault (file, line, col, reason, cells)
SELECT %(file)s, r.line, f.col, format('“%%s” %%s', left(f.value, 40), f.reason), to_json(r)
FROM import_row r
CROSS JOIN LATERAL (VALUES
    ('code', r.code, pg_temp.label_fault(r.code, 64)),
    ('amount', r.amount, pg_temp.amount_fault(r.amount)),
    ('placed_at', r.placed_at, pg_temp.time_fault(r.placed_at)),
    ('pay_by', r.pay_by, CASE WHEN r.pay_by <> '' THEN pg_temp.time_fault(r.pay_by) END),
    ('paid_at', r.paid_at, CASE WHEN r.paid_at <> '' THEN pg_temp.time_fault(r.paid_at) END),
    ('cancelled_at', r.cancelled_at, CASE WHEN r.cancelled_at <> '' THEN pg_temp.time_fault(r.cancelled_at) END),
    ('received_at', r.received_at, CASE WHEN r.received_at <> '' THEN pg_temp.time_fault(r.received_at) END),
    ('reviewed_at', r.reviewed_at, CASE WHEN r.reviewed_at <> '' THEN pg_temp.time_fault(r.reviewed_at) END)
) f (col, value, reason)
WHERE f.reason IS NOT NULL;

-- name: check_sense
INSERT INTO import_fault (file, line, col, reason, cells)
SELECT %(file)s, r.line, f.col, format('“%%s” %%s', f.value, f.reason), to_json(r)
FROM import_row r
CROSS JOIN LATERAL (VALUES
    ('placed_at', r.placed_at), ('paid_at', r.paid_at), ('cancelled_at', r.cancelled_at),
    ('received_at', r.received_at), ('reviewed_at', r.reviewed_at)
) t (col, value)
CROSS JOIN LATERAL (
    SELECT t.col, t.value, CASE
        WHEN t.value::timestamptz > %(now)s THEN 'lies in the future.'
        WHEN t.value::timestamptz < r.placed_at::timestamptz THEN 'lies before placed_at.'
    END AS reason
) f
WHERE t.value <> '' AND f.reason IS NOT NULL;

-- name: check_repeats
INSERT INTO import_fault (file, line, col, reason, cells)
SELECT %(file)s, r.line, 'code', format('“%%s” stands on line %%s already.', r.code, first.line), to_json(r)
FROM import_row r
JOIN (
    SELECT market, seller, code, min(line) AS line FROM import_row GROUP BY market, seller, code
) first USING (market, seller, code)
WHERE r.line > first.line;

-- name: check_told
-- The other half of the same check in import_signals.sql. Index: `signal_of_order`.
INSERT INTO import_fault (file, line, col, reason, cells)
SELECT %(file)s, r.line, 'code', format(
    '“%%s” was told by signals already, and its amount would count twice. Tell it in one of the two files.', r.code
), to_json(r)
FROM import_row r
JOIN sellers_market m ON m.code = r.market
JOIN sellers_seller s ON s.market_id = m.id AND s.code = r.seller
WHERE EXISTS (
    SELECT FROM customers_signal k
    WHERE k.seller_id = s.id AND k.order_code = r.code AND k.order_code <> ''
        AND k.kind = 'ordered' AND k.event NOT LIKE 'order:%%'
);

-- name: stage
-- The first `ordered` signal carries the amount, the others a product more.
INSERT INTO feed_signal (
    n, event, kind, at, seller_id, buyer_id, product_id, order_code, amount, pay_by, voucher_id
)
SELECT r.line, 'order:' || md5(json_build_array(r.seller, r.code, t.kind, t.mark)::text), t.kind, t.at, s.id,
    coalesce(b.id, -1), CASE WHEN t.product <> '' THEN coalesce(p.id, -1) END, r.code, t.amount,
    CASE WHEN t.kind = 'ordered' THEN nullif(r.pay_by, '')::timestamptz END,
    CASE WHEN t.kind = 'ordered' AND r.voucher <> '' THEN coalesce(v.id, -1) END
FROM import_row r
JOIN sellers_market m ON m.code = r.market
JOIN sellers_seller s ON s.market_id = m.id AND s.code = r.seller
LEFT JOIN customers_buyer b ON b.market_id = m.id AND b.code = r.buyer
LEFT JOIN customers_voucher v ON v.seller_id = s.id AND v.code = r.voucher
CROSS JOIN LATERAL (
    SELECT 'ordered', r.placed_at::timestamptz, nth::text, code,
        CASE nth WHEN 1 THEN r.amount::numeric ELSE 0 END
    FROM regexp_split_to_table(r.products, '\|') WITH ORDINALITY AS product (code, nth)
    UNION ALL
    SELECT kind, time::timestamptz, extract(epoch FROM time::timestamptz)::text, '', NULL
    FROM (VALUES
        ('paid', r.paid_at), ('cancelled', r.cancelled_at), ('received', r.received_at),
        ('reviewed', r.reviewed_at)
    ) happened (kind, time)
    WHERE time <> ''
) t (kind, at, mark, product, amount)
LEFT JOIN customers_product p ON p.seller_id = s.id AND p.code = t.product;
