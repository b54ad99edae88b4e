// Drains empty jobs with graphile-worker: says "ready", waits for a line, says "done" when no job is left.
import { createInterface } from "node:readline";
import { run } from "graphile-worker";
import pg from "pg";

const pool = new pg.Pool({ max: 28 });
pool.on("error", () => {});
pool.on("connect", (client) => client.on("error", () => {}));
const preset = {
  worker: {
    pgPool: pool,
    concurrentJobs: 24,
    localQueue: { size: 500 },
    completeJobBatchDelay: 0,
    failJobBatchDelay: 0,
    pollInterval: 50,
  },
};
const left = async () => Number((await pool.query("SELECT count(*) FROM graphile_worker._private_jobs")).rows[0].count);

await left();
console.log("ready");
const lines = createInterface({ input: process.stdin });
await new Promise((resolve) => lines.once("line", resolve));
const runner = await run({ preset, pgPool: pool, taskList: { empty: async () => {} }, noHandleSignals: true });
while ((await left()) > 0) await new Promise((resolve) => setTimeout(resolve, 20));
await new Promise((resolve) => process.stdout.write("done\n", resolve));
await runner.stop();
process.exit(0);
