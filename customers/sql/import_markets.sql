-- markets.csv. Parameters: file, zones (the names of the time zones that the portal knows).

-- name: table
CREATE TEMPORARY TABLE import_row (
    line integer, code text, name text, time_zone text, currency text, language text
) ON COMMIT DROP;

-- name: check_cells
INSERT INTO import_fault (file, line, col, reason, cells)
SELECT %(file)s, r.line, f.col, format('“%%s” %%s', left(f.value, 40), f.reason), to_json(r)
FROM import_row r
CROSS JOIN LATERAL (VALUES
    ('code', r.code, CASE WHEN r.code !~ '^[A-Za-z0-9_-]{1,8}$' THEN 'is no code of 1 to 8 letters and digits.' END),
    ('name', r.name, pg_temp.label_fault(r.name, 80)),
    ('time_zone', r.time_zone,
        CASE WHEN r.time_zone <> ALL(%(zones)s) THEN 'is no time zone such as Asia/Manila.' END),
    ('currency', r.currency, CASE WHEN r.currency !~ '^[A-Z]{3}$' THEN 'is no currency such as PHP.' END),
    ('language', r.language, CASE WHEN r.language !~ '^[a-z]{2,3}(-[A-Za-z]{2,4})?$'
        THEN 'is no language such as en.' END)
) f (col, value, reason)
WHERE f.reason IS NOT NULL;

-- name: check_repeats
INSERT INTO import_fault (file, line, col, reason, cells)
SELECT %(file)s, r.line, 'code', format('“%%s” stands on line %%s already.', r.code, first.line), to_json(r)
FROM import_row r JOIN (SELECT code, min(line) AS line FROM import_row GROUP BY code) first USING (code)
WHERE r.line > first.line;

-- name: load
WITH put AS (
    INSERT INTO sellers_market (code, name, time_zone, currency, language, sending_stopped_reason)
    SELECT code, name, time_zone, currency, language, '' FROM import_row ORDER BY code
    ON CONFLICT (code) DO UPDATE SET name = excluded.name, time_zone = excluded.time_zone,
        currency = excluded.currency, language = excluded.language
    WHERE (sellers_market.name, sellers_market.time_zone, sellers_market.currency, sellers_market.language)
        IS DISTINCT FROM (excluded.name, excluded.time_zone, excluded.currency, excluded.language)
    RETURNING xmax = 0 AS created
)
SELECT count(*) FILTER (WHERE created), count(*) FILTER (WHERE NOT created) FROM put;

-- name: analyse
ANALYZE sellers_market;
