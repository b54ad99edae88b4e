// Makes graphile-worker's tables and adds as many empty jobs as the first argument says.
import { makeWorkerUtils } from "graphile-worker";
import pg from "pg";

const pool = new pg.Pool({ max: 2 });
const utils = await makeWorkerUtils({ pgPool: pool });
await utils.migrate();
await pool.query(
  `SELECT count(*) FROM graphile_worker.add_jobs(ARRAY(
     SELECT json_populate_record(NULL::graphile_worker.job_spec, '{"identifier": "empty"}')
     FROM generate_series(1, $1::int)))`,
  [process.argv[2]],
);
await utils.release();
await pool.end();
