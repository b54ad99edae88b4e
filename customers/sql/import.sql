-- What the import of every CSV file shares: the file's rows as text, and what is wrong with them.
--
-- `import_row` holds one file at a time: `line` and a text column for each of its columns, never null.
-- Nothing is cast before `check` has found it castable (`pg_input_is_valid`), so a bad cell is a row
-- of `import_fault` and never an error of the database. Each `fault` function gives null or the reason.

-- name: prepare
SET LOCAL work_mem = '64MB';
SELECT pg_advisory_xact_lock(hashtext('customers.import'));
CREATE TEMPORARY TABLE import_fault (
    file text, line integer, col text, reason text, cells text
) ON COMMIT DROP;

CREATE OR REPLACE FUNCTION pg_temp.text_fault(value text, longest integer) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN value = '' THEN 'is empty.'
        WHEN length(value) > longest THEN format('has %%s characters, more than %%s.', length(value), longest)
    END
$$;
CREATE OR REPLACE FUNCTION pg_temp.label_fault(value text, longest integer) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN btrim(value) = '' THEN 'is empty.'
        WHEN length(value) > longest THEN format('has %%s characters, more than %%s.', length(value), longest)
        WHEN value ~ '[[:cntrl:]]' THEN 'holds a control character, such as a line break.'
    END
$$;
CREATE OR REPLACE FUNCTION pg_temp.time_fault(value text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN value = '' THEN 'is empty.'
        -- plain comparisons: one expression for the whole form took four times as long
        WHEN value NOT LIKE '____-__-_____:__%%' OR value ~ '[^0-9TZ:. +-]'
            OR (value NOT LIKE '%%Z' AND right(value, 6) NOT LIKE '+__:__' AND right(value, 6) NOT LIKE '-__:__')
            OR NOT pg_input_is_valid(value, 'timestamptz')
            THEN 'is no time with an offset, such as 2026-11-18T12:00:00+08:00.'
        WHEN value::timestamptz NOT BETWEEN '2000-01-01T00:00Z' AND '2100-01-01T00:00Z'
            THEN 'lies outside the years 2000 to 2099.'
    END
$$;
CREATE OR REPLACE FUNCTION pg_temp.date_fault(value text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN value !~ '^\d{4}-\d\d-\d\d$' OR NOT pg_input_is_valid(value, 'date')
            THEN 'is no date such as 2026-11-18.'
        WHEN value::date NOT BETWEEN '1900-01-01' AND '2100-01-01' THEN 'lies outside the years 1900 to 2099.'
    END
$$;
CREATE OR REPLACE FUNCTION pg_temp.amount_fault(value text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN value = '' THEN 'is empty.'
        WHEN value ~ '^-\d' THEN 'is negative.'
        WHEN value !~ '^\d{1,10}(\.\d{1,2})?$'
            THEN 'is no amount such as 1299.50: at most ten digits and two decimals.'
    END
$$;
CREATE OR REPLACE FUNCTION pg_temp.percent_fault(value text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN value !~ '^\d{1,3}(\.\d{1,4})?$' THEN 'is no percentage from 0 to 100, such as 87.25.'
        WHEN value::numeric > 100 THEN 'is more than 100 per cent.'
    END
$$;
CREATE OR REPLACE FUNCTION pg_temp.count_fault(value text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN value !~ '^\d{1,9}$' THEN 'is no whole number of up to nine digits.' END
$$;
CREATE OR REPLACE FUNCTION pg_temp.flag_fault(value text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN value NOT IN ('true', 'false') THEN 'is neither true nor false.' END
$$;

-- name: copy
COPY import_row FROM STDIN;

-- name: copy_faults
COPY import_fault (file, line, col, reason, cells) FROM STDIN;

-- name: check_market
-- For every file that names markets.
INSERT INTO import_fault (file, line, col, reason, cells)
SELECT %(file)s, r.line, 'market', format('There is no market “%%s”.', left(r.market, 40)), to_json(r)
FROM import_row r WHERE r.market NOT IN (SELECT code FROM sellers_market);

-- name: check_seller
-- For every file whose rows belong to a shop. Index: `seller_code_per_market`.
INSERT INTO import_fault (file, line, col, reason, cells)
SELECT %(file)s, r.line, 'seller',
    format('There is no seller “%%s” in market “%%s”.', left(r.seller, 40), left(r.market, 40)), to_json(r)
FROM import_row r
JOIN sellers_market m ON m.code = r.market
LEFT JOIN sellers_seller s ON s.market_id = m.id AND s.code = r.seller
WHERE s.id IS NULL;

-- name: drop_faulty
DELETE FROM import_row WHERE line IN (SELECT line FROM import_fault WHERE file = %(file)s);

-- name: refused_by_feed
-- The feed names its own columns; `orders.csv` calls some of them otherwise.
INSERT INTO import_fault (file, line, col, reason, cells)
SELECT DISTINCT ON (r.line) %(file)s, r.line, c.col,
    CASE WHEN to_jsonb(r) ->> c.col <> '' THEN format('“%%s”: %%s', left(to_jsonb(r) ->> c.col, 40), f.reason)
        ELSE f.reason END,
    to_json(r)
FROM feed_refusal f
JOIN import_row r ON r.line = f.n
CROSS JOIN LATERAL (
    SELECT CASE WHEN %(file)s <> 'orders.csv' THEN f.col
        ELSE coalesce(
            '{"order": "code", "product": "products", "at": "placed_at", "event": "code"}'::jsonb ->> f.col, f.col
        )
    END AS col
) c
ORDER BY r.line;
