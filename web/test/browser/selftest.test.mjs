// The short browser selftest; a failure names its seed.

import { test } from "node:test";
import { selftest } from "./selftest.mjs";

const SECONDS = 25;

test("whatever is killed, cut, closed or set wrong, all browsers show the same messages", { timeout: 240_000 }, async (t) => {
  const seed = Date.now() % 1_000_000;
  t.diagnostic(`seed ${seed}, ${SECONDS} s of it`);
  await selftest({ seconds: SECONDS, seed, say: (text) => t.diagnostic(text) });
});
