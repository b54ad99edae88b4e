-- signals.csv. Parameters: file. The feed checks all that needs what the portal knows.

-- name: table
CREATE TEMPORARY TABLE import_row (
    line integer, market text, event text, kind text, at text, seller text, buyer text, product text,
    "order" text, amount text, pay_by text, voucher text
) ON COMMIT DROP;

-- name: check_cells
-- First the reasons, side by side, then a row each for the few that have any: a million rows pass here.
INSERT INTO import_fault (file, line, col, reason, cells)
SELECT %(file)s, r.line, f.col, format('“%%s” %%s', left(to_jsonb(r) ->> f.col, 40), f.reason), to_json(r)
FROM (
    SELECT line, pg_temp.text_fault(event, 64) AS event, pg_temp.time_fault(at) AS at,
        CASE WHEN amount <> '' THEN pg_temp.amount_fault(amount) END AS amount,
        CASE WHEN pay_by <> '' THEN pg_temp.time_fault(pay_by) END AS pay_by
    FROM import_row OFFSET 0
) checked
JOIN import_row r USING (line)
CROSS JOIN LATERAL (VALUES
    ('event', checked.event), ('at', checked.at), ('amount', checked.amount), ('pay_by', checked.pay_by)
) f (col, reason)
WHERE coalesce(checked.event, checked.at, checked.amount, checked.pay_by) IS NOT NULL AND f.reason IS NOT NULL;

-- name: check_told
-- An order's amount is the sum of its `ordered` events; those of orders.csv are its whole. Index: `signal_of_order`.
INSERT INTO import_fault (file, line, col, reason, cells)
SELECT %(file)s, r.line, 'order', format(
    '“%%s” stands in orders.csv already, and its amount would count twice. Tell it in one of the two files.',
    left(r."order", 40)
), to_json(r)
FROM import_row r
JOIN sellers_market m ON m.code = r.market
JOIN sellers_seller s ON s.market_id = m.id AND s.code = r.seller
WHERE r.kind = 'ordered' AND r."order" <> '' AND r.event NOT LIKE 'order:%%' AND EXISTS (
    SELECT FROM customers_signal k
    WHERE k.seller_id = s.id AND k.order_code = r."order" AND k.order_code <> ''
        AND k.kind = 'ordered' AND k.event LIKE 'order:%%'
);

-- name: stage
INSERT INTO feed_signal (
    n, event, kind, at, seller_id, buyer_id, product_id, order_code, amount, pay_by, voucher_id
)
SELECT r.line, r.event, r.kind, r.at::timestamptz, coalesce(s.id, -1), coalesce(b.id, -1),
    CASE WHEN r.product <> '' THEN coalesce(p.id, -1) END, r."order", nullif(r.amount, '')::numeric,
    nullif(r.pay_by, '')::timestamptz, CASE WHEN r.voucher <> '' THEN coalesce(v.id, -1) END
FROM import_row r
JOIN sellers_market m ON m.code = r.market
LEFT JOIN sellers_seller s ON s.market_id = m.id AND s.code = r.seller
LEFT JOIN customers_buyer b ON b.market_id = m.id AND b.code = r.buyer
LEFT JOIN customers_product p ON p.seller_id = s.id AND p.code = r.product
LEFT JOIN customers_voucher v ON v.seller_id = s.id AND v.code = r.voucher;
