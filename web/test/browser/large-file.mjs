// 100 MiB, sent and saved over a connection that is cut once in each direction: nothing is lost, and no page's memory grows with the file. By
// hand (`npm run large-file`), as it takes a while; it prints what it has measured.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { createReadStream, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { stories } from "./world.mjs";

const MIB = 1 << 20;
const SIZE = 100 * MIB;
/** How much the memory of a page and its worker may grow: for requests under way, and garbage. */
const MAX_GROWTH = 64 * MIB;
const { world, story, pair } = stories({ REGISTRATION: "open", MAX_FILE_BYTES: String(128 * MIB) }, { isWhole: true });

async function sha256(path) {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}

/** The memory of each process that draws pages or runs workers, of this test's browser. */
function renderers() {
  const parents = new Map();
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      parents.set(Number(pid), Number(readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ")[1]));
    } catch {
      // It has ended meanwhile.
    }
  }
  const isOurs = (pid) => {
    for (let at = pid; at > 1; at = parents.get(at) ?? 0) if (at === process.pid) return true;
    return false;
  };
  const found = new Map();
  for (const pid of parents.keys()) {
    try {
      if (!isOurs(pid) || !readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("--type=renderer")) continue;
      found.set(pid, 1024 * Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0));
    } catch {
      // As before.
    }
  }
  return found;
}

/** Runs a task; returns how much the memory of the process that grew most has grown, and how long it took. */
async function measured(what, task) {
  const before = renderers();
  const begun = performance.now();
  let most = 0;
  const timer = setInterval(() => {
    for (const [pid, bytes] of renderers()) if (before.has(pid)) most = Math.max(most, bytes - before.get(pid));
  }, 100);
  try {
    await task();
  } finally {
    clearInterval(timer);
  }
  console.log(`${what}: ${((performance.now() - begun) / 1000).toFixed(1)} s, a page's memory grew by at most ${(most / MIB).toFixed(1)} MiB`);
  assert.ok(most < MAX_GROWTH, `${what}: ${most} bytes`);
}

story("100 MiB go up and down over a line that is cut, and memory stays flat", async (t) => {
  const [ann, ben] = await pair(t);
  const folder = mkdtempSync(join(tmpdir(), "large-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, "large.bin");
  writeFileSync(path, "");
  for (let i = 0; i < SIZE / MIB; i++) writeFileSync(path, randomBytes(MIB), { flag: "a" });
  const hurry = () => Promise.all([ann, ben].map(({ tab }) => tab.evaluate(() => dispatchEvent(new Event("online")))));
  await Promise.all([ann, ben].map(({ tab }) => tab.waitForFunction(() => navigator.serviceWorker.controller !== null)));

  await measured("made ready", async () => {
    await ann.tab.locator("input[type=file][multiple]").setInputFiles(path);
    await ann.tab.locator(".chosen.ready").waitFor({ timeout: 120_000 });
  });
  await measured("sent", async () => {
    const isUnderWay = world.proxy.requests(30, ({ headers }) => headers["ozeki-request"] !== undefined);
    await ann.button("Send").click();
    await isUnderWay;
    world.proxy.cut();
    await ann.log.getByText(/^Waiting for the connection/).waitFor();
    world.proxy.restore();
    await hurry();
    await ben.log.getByRole("button", { name: "Save large.bin", exact: true }).waitFor({ timeout: 240_000 });
  });
  await measured("saved", async () => {
    const isUnderWay = world.proxy.requests(100, ({ url }) => url.includes("/file/"));
    const download = ben.tab.waitForEvent("download");
    await ben.log.getByRole("button", { name: "Save large.bin", exact: true }).click();
    const saved = await download;
    await isUnderWay;
    world.proxy.cut();
    await ben.tab.getByText(/^You are offline|does not answer/).waitFor();
    world.proxy.restore();
    await hurry();
    assert.equal(await sha256(await saved.path()), await sha256(path));
  });
});
