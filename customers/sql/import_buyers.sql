-- buyers.csv. Parameters: file.

-- name: table
CREATE TEMPORARY TABLE import_row (line integer, market text, code text, name text) ON COMMIT DROP;

-- name: check_cells
INSERT INTO import_fault (file, line, col, reason, cells)
SELECT %(file)s, r.line, f.col, format('“%%s” %%s', left(f.value, 40), f.reason), to_json(r)
FROM import_row r
CROSS JOIN LATERAL (VALUES
    ('code', r.code, pg_temp.label_fault(r.code, 64)),
    ('name', r.name, pg_temp.label_fault(r.name, 80))
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
    INSERT INTO customers_buyer (market_id, code, name)
    SELECT m.id, r.code, r.name FROM import_row r JOIN sellers_market m ON m.code = r.market ORDER BY m.id, r.code
    ON CONFLICT (market_id, code) DO UPDATE SET name = excluded.name
    WHERE customers_buyer.name <> excluded.name
    RETURNING xmax = 0 AS created
)
SELECT count(*) FILTER (WHERE created), count(*) FILTER (WHERE NOT created) FROM put;

-- name: analyse
ANALYZE customers_buyer;
