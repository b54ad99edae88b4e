-- metrics.csv. Parameters: file, now.

-- name: table
CREATE TEMPORARY TABLE import_row (
    line integer, market text, seller text, as_of text, rating text, response_rate text, followers text
) ON COMMIT DROP;

-- name: check_cells
INSERT INTO import_fault (file, line, col, reason, cells)
SELECT %(file)s, r.line, f.col, format('“%%s” %%s', left(f.value, 40), f.reason), to_json(r)
FROM import_row r
CROSS JOIN LATERAL (VALUES
    ('as_of', r.as_of, pg_temp.time_fault(r.as_of)),
    ('rating', r.rating, CASE WHEN r.rating <> '' THEN pg_temp.percent_fault(r.rating) END),
    ('response_rate', r.response_rate,
        CASE WHEN r.response_rate <> '' THEN pg_temp.percent_fault(r.response_rate) END),
    ('followers', r.followers, CASE WHEN r.followers <> '' THEN pg_temp.count_fault(r.followers) END)
) f (col, value, reason)
WHERE f.reason IS NOT NULL;

-- name: check_sense
INSERT INTO import_fault (file, line, col, reason, cells)
SELECT %(file)s, r.line, 'as_of', format('“%%s” lies in the future.', r.as_of), to_json(r)
FROM import_row r WHERE r.as_of::timestamptz > %(now)s;

-- name: check_repeats
INSERT INTO import_fault (file, line, col, reason, cells)
SELECT %(file)s, r.line, 'as_of', format('“%%s” stands on line %%s already.', r.as_of, first.line), to_json(r)
FROM import_row r
JOIN (
    SELECT market, seller, as_of::timestamptz AS moment, min(line) AS line
    FROM import_row GROUP BY market, seller, as_of::timestamptz
) first ON first.market = r.market AND first.seller = r.seller AND first.moment = r.as_of::timestamptz
WHERE r.line > first.line;

-- name: load
WITH put AS (
    INSERT INTO eligibility_metrics (seller_id, as_of, rating, response_rate, followers)
    SELECT s.id, r.as_of::timestamptz, nullif(r.rating, '')::numeric, nullif(r.response_rate, '')::numeric,
        nullif(r.followers, '')::integer
    FROM import_row r
    JOIN sellers_market m ON m.code = r.market
    JOIN sellers_seller s ON s.market_id = m.id AND s.code = r.seller
    ORDER BY s.id, r.as_of::timestamptz
    ON CONFLICT (seller_id, as_of) DO UPDATE SET rating = excluded.rating,
        response_rate = excluded.response_rate, followers = excluded.followers
    WHERE (eligibility_metrics.rating, eligibility_metrics.response_rate, eligibility_metrics.followers)
        IS DISTINCT FROM (excluded.rating, excluded.response_rate, excluded.followers)
    RETURNING xmax = 0 AS created
)
SELECT count(*) FILTER (WHERE created), count(*) FILTER (WHERE NOT created) FROM put;

-- name: analyse
ANALYZE eligibility_metrics;
