-- sellers.csv. Parameters: file.

-- name: table
CREATE TEMPORARY TABLE import_row (
    line integer, market text, code text, name text, opened_on text
) ON COMMIT DROP;

-- name: check_cells
INSERT INTO import_fault (file, line, col, reason, cells)
SELECT %(file)s, r.line, f.col, format('“%%s” %%s', left(f.value, 40), f.reason), to_json(r)
FROM import_row r
CROSS JOIN LATERAL (VALUES
    ('code', r.code, pg_temp.label_fault(r.code, 64)),
    ('name', r.name, pg_temp.label_fault(r.name, 120)),
    ('opened_on', r.opened_on, CASE WHEN r.opened_on <> '' THEN pg_temp.date_fault(r.opened_on) END)
) f (col, value, reason)
WHERE f.reason IS NOT NULL;

-- name: check_repeats
INSERT INTO import_fault (file, line, col, reason, cells)
SELECT %(file)s, r.line, 'code', format('“%%s” stands on line %%s already.', r.code, first.line), to_json(r)
FROM import_row r
JOIN (SELECT market, code, min(line) AS line FROM import_row GROUP BY market, code) first USING (market, code)
WHERE r.line > first.line;

-- name: load
WITH put AS (
    INSERT INTO sellers_seller (market_id, code, name, opened_on)
    SELECT m.id, r.code, r.name, nullif(r.opened_on, '')::date
    FROM import_row r JOIN sellers_market m ON m.code = r.market ORDER BY m.id, r.code
    ON CONFLICT (market_id, code) DO UPDATE SET name = excluded.name, opened_on = excluded.opened_on
    WHERE (sellers_seller.name, sellers_seller.opened_on) IS DISTINCT FROM (excluded.name, excluded.opened_on)
    RETURNING xmax = 0 AS created
)
SELECT count(*) FILTER (WHERE created), count(*) FILTER (WHERE NOT created) FROM put;

-- name: analyse
ANALYZE sellers_seller;
