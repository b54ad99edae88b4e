-- products.csv. Parameters: file.

-- name: table
CREATE TEMPORARY TABLE import_row (
    line integer, market text, seller text, code text, title text, price text, in_stock text
) ON COMMIT DROP;

-- name: check_cells
INSERT INTO import_fault (file, line, col, reason, cells)
SELECT %(file)s, r.line, f.col, format('“%%s” %%s', left(f.value, 40), f.reason), to_json(r)
FROM import_row r
CROSS JOIN LATERAL (VALUES
    ('code', r.code, pg_temp.label_fault(r.code, 64)),
    ('title', r.title, pg_temp.label_fault(r.title, 160)),
    ('price', r.price, pg_temp.amount_fault(r.price)),
    ('in_stock', r.in_stock, pg_temp.flag_fault(r.in_stock))
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

-- name: load
-- A new product gets one of the 24 drawn tiles, the same each time for the same code.
WITH put AS (
    INSERT INTO customers_product (seller_id, code, title, price, in_stock, tile)
    SELECT s.id, r.code, r.title, r.price::numeric, r.in_stock = 'true',
        ('x' || left(md5(r.seller || ' ' || r.code), 7))::bit(28)::integer %% 24
    FROM import_row r
    JOIN sellers_market m ON m.code = r.market
    JOIN sellers_seller s ON s.market_id = m.id AND s.code = r.seller
    ORDER BY s.id, r.code
    ON CONFLICT (seller_id, code) DO UPDATE SET title = excluded.title, price = excluded.price,
        in_stock = excluded.in_stock
    WHERE (customers_product.title, customers_product.price, customers_product.in_stock)
        IS DISTINCT FROM (excluded.title, excluded.price, excluded.in_stock)
    RETURNING xmax = 0 AS created
)
SELECT count(*) FILTER (WHERE created), count(*) FILTER (WHERE NOT created) FROM put;

-- name: analyse
ANALYZE customers_product;
