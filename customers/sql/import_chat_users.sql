-- chat_users.csv. Parameters: file. Passwords never come here: their cells arrive empty.

-- name: table
CREATE TEMPORARY TABLE import_row (
    line integer, market text, seller text, username text, name text, email text, is_master text,
    is_active text, password text
) ON COMMIT DROP;

-- name: check_cells
INSERT INTO import_fault (file, line, col, reason, cells)
SELECT %(file)s, r.line, f.col, format('“%%s” %%s', left(f.value, 40), f.reason), to_json(r)
FROM import_row r
CROSS JOIN LATERAL (VALUES
    ('username', r.username, CASE WHEN r.username !~ '^[\w.@+-]{1,150}$'
        THEN 'is no sign-in name: 1 to 150 letters, digits and @ . + - _ only.' END),
    ('name', r.name, CASE WHEN r.name <> '' THEN pg_temp.label_fault(r.name, 150) END),
    ('email', r.email, CASE WHEN r.email <> '' AND (length(r.email) > 254 OR r.email !~ '^[^@\s]+@[^@\s]+\.[^@\s]+$')
        THEN 'is no e-mail address.' END),
    ('is_master', r.is_master, pg_temp.flag_fault(r.is_master)),
    ('is_active', r.is_active, pg_temp.flag_fault(r.is_active))
) f (col, value, reason)
WHERE f.reason IS NOT NULL;

-- name: check_repeats
INSERT INTO import_fault (file, line, col, reason, cells)
SELECT %(file)s, r.line, 'username', format('“%%s” stands on line %%s already.', r.username, first.line), to_json(r)
FROM import_row r
JOIN (SELECT username, min(line) AS line FROM import_row GROUP BY username) first USING (username)
WHERE r.line > first.line;

-- name: check_owner
-- A sign-in name is unique in the portal, and nobody is moved from one shop, or from the staff, to another.
INSERT INTO import_fault (file, line, col, reason, cells)
SELECT %(file)s, r.line, 'username',
    format('“%%s” signs in for another shop, or as staff, already: choose another name.', r.username), to_json(r)
FROM import_row r
JOIN sellers_market m ON m.code = r.market
JOIN sellers_seller s ON s.market_id = m.id AND s.code = r.seller
JOIN sellers_chatuser u ON u.username = r.username
WHERE u.seller_id IS DISTINCT FROM s.id OR u.is_staff OR u.is_superuser;

-- name: check_masters
-- One active master account a seller (I1). The one that the portal has comes first, unless its row here makes
-- room: whatever else becomes of that row, it stays. Index: `one_active_master_per_seller`.
INSERT INTO import_fault (file, line, col, reason, cells)
SELECT %(file)s, r.line, 'is_master', 'The seller has an active master account already.', to_json(r)
FROM import_row r
JOIN (
    SELECT i.line, row_number() OVER (
        PARTITION BY s.id ORDER BY i.username = standing.username DESC NULLS LAST, i.line
    ) + CASE
        WHEN standing.username NOT IN (SELECT username FROM import_row) THEN 1 ELSE 0
    END AS nth
    FROM import_row i
    JOIN sellers_market m ON m.code = i.market
    JOIN sellers_seller s ON s.market_id = m.id AND s.code = i.seller
    LEFT JOIN sellers_chatuser standing ON standing.seller_id = s.id AND standing.is_master AND standing.is_active
    WHERE i.is_master = 'true' AND i.is_active = 'true'
) masters USING (line)
WHERE masters.nth > 1;

-- name: check_handover
-- A master account makes room for another one only if that is taken in: one whose row is refused, or so bad
-- that it names no shop, must not leave the shop without any. Index: `one_active_master_per_seller`.
INSERT INTO import_fault (file, line, col, reason, cells)
SELECT %(file)s, r.line, 'is_master',
    'The row of the new master account is refused: the shop keeps this one, which this row would end.', to_json(r)
FROM import_row r
JOIN sellers_chatuser u ON u.username = r.username AND u.is_master AND u.is_active
WHERE (r.is_master = 'false' OR r.is_active = 'false')
    AND NOT EXISTS (
        SELECT FROM import_row i
        WHERE i.market = r.market AND i.seller = r.seller AND i.is_master = 'true' AND i.is_active = 'true'
    )
    AND EXISTS (
        SELECT FROM import_fault f
        WHERE f.file = %(file)s AND CASE
            WHEN f.cells LIKE '[%%' OR f.col IN ('market', 'seller') THEN true
            ELSE (f.cells::json ->> 'market', f.cells::json ->> 'seller') = (r.market, r.seller)
                AND f.cells::json ->> 'is_master' <> 'false' AND f.cells::json ->> 'is_active' <> 'false'
        END
    );

-- name: load_former_masters
-- First, so that a new master account finds the place free.
WITH put AS (
    UPDATE sellers_chatuser u SET is_master = false FROM import_row r
    WHERE u.username = r.username AND u.is_master AND u.is_active
        AND (r.is_master = 'false' OR r.is_active = 'false')
    RETURNING u.id
)
SELECT 0, 0 FROM (SELECT count(*) FROM put) former;

-- name: load
WITH put AS (
    INSERT INTO sellers_chatuser (
        seller_id, username, first_name, last_name, email, is_master, is_active, is_staff, is_superuser, password,
        date_joined
    )
    SELECT s.id, r.username, r.name, '', r.email, r.is_master = 'true', r.is_active = 'true', false, false,
        '!' || md5(random()::text) || md5(random()::text), %(now)s
    FROM import_row r
    JOIN sellers_market m ON m.code = r.market
    JOIN sellers_seller s ON s.market_id = m.id AND s.code = r.seller
    ORDER BY r.username
    ON CONFLICT (username) DO UPDATE SET first_name = excluded.first_name, email = excluded.email,
        is_master = excluded.is_master, is_active = excluded.is_active
    WHERE (sellers_chatuser.first_name, sellers_chatuser.email, sellers_chatuser.is_master,
        sellers_chatuser.is_active)
        IS DISTINCT FROM (excluded.first_name, excluded.email, excluded.is_master, excluded.is_active)
    RETURNING xmax = 0 AS created
)
SELECT count(*) FILTER (WHERE created), count(*) FILTER (WHERE NOT created) FROM put;

-- name: analyse
ANALYZE sellers_chatuser;
