// Measures what a person waits for, in the browser of the tests, and prints it beside the budgets. Times fail nothing: machines
// differ. `npm run budgets -- --minutes 60`: how long messages come in while the memory is watched; `--only baseline,delivery`:
// some of baseline, paint, delivery, waiting, memory and full; PARLANCE names the binary.

import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { openBaseline } from "./baseline.mjs";
import { watchMemory } from "./memory.mjs";
import { keystrokeTimes, deliveryTimes } from "./watch.mjs";
import { openWorld, Person } from "./world.mjs";

const web = join(dirname(fileURLToPath(import.meta.url)), "../..");
const CONVERSATIONS = 1_000;
const ROWS = 50_000;
const MANY = 10_000;
const STARTS = 5;
const KEYS = 200;
/** Not measured, as the first ones load lazy code. */
const FIRST_MESSAGES = 5;
const MESSAGES = 60;
const WAITING = 500;

const option = (name) => (process.argv.includes(name) ? process.argv[process.argv.indexOf(name) + 1] : undefined);
const minutes = Number(option("--minutes") ?? 0.5);
const only = option("--only")?.split(",");
/** Whether a part is to be measured. */
const wants = (...parts) => !only || parts.some((part) => only.includes(part));

const quantile = (values, q) => values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * q))];
const median = (values) => quantile(values, 0.5);
const results = [];
/** One line of the result, with what else the machine had to do. */
const tell = (what, value, unit, budget) => {
  results.push([what, `${value.toFixed(unit === "%" ? 1 : 0)} ${unit}`, budget, loadavg()[0].toFixed(1)]);
};

/** In the page, before anything else: when the composer was drawn, with messages above it. */
function watchStart() {
  const look = () => {
    if (document.querySelector("textarea") && document.querySelector(".log article")) {
      requestAnimationFrame(() => {
        globalThis.readyAt = performance.now();
      });
    } else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}

/** In the page: opens a conversation by its row; returns the time until its messages are drawn. */
const openingOf = (row) =>
  row.evaluate(
    (link) =>
      new Promise((drawn) => {
        const begun = performance.now();
        link.click();
        const look = () => {
          if (document.querySelector(".log article") && [...document.querySelectorAll("h1")].some((one) => one.textContent === "Zoe")) {
            requestAnimationFrame(() => drawn(performance.now() - begun));
          } else requestAnimationFrame(look);
        };
        requestAnimationFrame(look);
      }),
  );

/** When a page first showed something; the browser records it only after it was shown. */
const firstPaintOf = (tab) =>
  tab.evaluate(
    () =>
      new Promise((known) => {
        const observer = new PerformanceObserver((list) => {
          const [paint] = list.getEntriesByName("first-contentful-paint");
          if (paint) known(paint.startTime);
        });
        observer.observe({ type: "paint", buffered: true });
      }),
  );

async function measureFirstPaint(world) {
  const paints = [];
  for (let i = 0; i < STARTS; i++) {
    const somebody = await Person.at(world, "", "", "");
    await somebody.button("Log in").waitFor();
    paints.push(await firstPaintOf(somebody.tab));
    await somebody.context.close();
  }
  tell("first paint, nothing in the cache", median(paints), "ms", "500 ms");
}

/** Without what the tests put between browsers and server, so that it can be cut. */
async function measureDelivery(world) {
  const near = { ...world, proxy: { ...world.proxy, address: world.server.address } };
  const [cem, dora] = await Promise.all([Person.joins(near, "Cem"), Person.joins(near, "Dora")]);
  await cem.befriends(dora);
  await cem.opens("Dora");
  await dora.opens("Cem");
  await deliveryTimes(cem, dora, FIRST_MESSAGES);
  const times = await deliveryTimes(cem, dora, MESSAGES);
  tell("from Enter to the other's screen, median", median(times), "ms", "25 ms");
  tell("from Enter to the other's screen, p95", quantile(times, 0.95), "ms", "");
  for (const { context } of [cem, dora]) await context.close();
}

/** What no client can be quicker than, in this browser on this machine. */
async function measureBaseline(world) {
  const { one, other, end } = await openBaseline(world);
  const times = await deliveryTimes(one, other, MESSAGES);
  const keys = await keystrokeTimes(one, KEYS);
  tell("baseline: from Enter to the other's screen, two empty pages and a socket, median", median(times), "ms", "");
  tell("baseline: the same, p95", quantile(times, 0.95), "ms", "");
  tell("baseline: a key shows in an empty page, median", median(keys), "ms", "");
  tell("baseline: the same, p95", quantile(keys, 0.95), "ms", "");
  await end();
}

async function measureWaiting({ proxy }, ann, ben) {
  proxy.cut();
  for (let i = 0; i < WAITING; i++) await ann.says(`Waiting ${i}`);
  proxy.restore();
  const begun = Date.now();
  // The network is back: after such a long time the next retry would be a while off.
  for (const { tab } of [ann, ben]) await tab.evaluate(() => dispatchEvent(new Event("online")));
  await ben.article(`Waiting ${WAITING - 1}`).waitFor({ timeout: 300_000 });
  tell(`${WAITING} messages that waited for the network are on the other's screen`, Date.now() - begun, "ms", "10,000 ms");
}

async function measureMemory(world, ann, ben) {
  const { before, after, count } = await watchMemory(world, ann, ben, minutes, console.error);
  for (const [who, name] of [["ann", "the writer"], ["ben", "the reader"]]) {
    const grown = (what) => (after[who][what] / before[who][what] - 1) * 100;
    tell(`memory of ${name} after ${minutes} min and ${count} messages: growth`, grown("bytes"), "%", "10 %, after an hour");
    for (const what of ["nodes", "listeners"]) tell(`the same, ${what} (${after[who][what]})`, grown(what), "%", "");
  }
}

async function measureFullDevice(world, ann) {
  const { outputFiles } = await build({
    stdin: { contents: `import { fill } from "./test/world/fill.ts"; globalThis.fill = fill;`, resolveDir: web, loader: "ts" },
    bundle: true,
    write: false,
    format: "iife",
    logLevel: "warning",
  });
  await ann.tab.waitForFunction(() => navigator.serviceWorker.controller !== null);
  // A start is over when a message is drawn.
  await ann.says("Hello");
  // The server would say that there is nothing of all this.
  world.proxy.cut();
  await ann.tab.evaluate(outputFiles[0].text);
  const each = Math.floor((ROWS - MANY) / (CONVERSATIONS - 2));
  await ann.tab.evaluate(([conversations, rows, many]) => globalThis.fill(conversations, rows, many), [CONVERSATIONS - 2, each, MANY]);
  await ann.context.addInitScript(watchStart);
  const [paints, starts] = [[], []];
  for (let i = 0; i < STARTS; i++) {
    await ann.tab.reload();
    await ann.tab.waitForFunction(() => globalThis.readyAt !== undefined);
    starts.push(await ann.tab.evaluate(() => globalThis.readyAt));
    paints.push(await firstPaintOf(ann.tab));
  }
  tell("first paint, 1,000 conversations and 50,000 messages here", median(paints), "ms", "500 ms");
  tell("ready to type, the same", median(starts), "ms", "1000 ms");
  const openings = [];
  for (let i = 0; i < STARTS; i++) {
    openings.push(await openingOf(ann.row("Zoe")));
    await ann.row("Person 7").click();
    await ann.tab.getByRole("heading", { level: 1, name: "Person 7", exact: true }).waitFor();
  }
  tell("a conversation of 10,000 messages opens", median(openings), "ms", "150 ms");
  await ann.opens("Zoe");
  const keys = await keystrokeTimes(ann, KEYS);
  tell("a key shows, median", median(keys), "ms", "16 ms");
  tell("a key shows, p95", quantile(keys, 0.95), "ms", "50 ms");
}

// A run may take an hour: its data lie where nothing else looks that cleans up after tests.
const folder = mkdtempSync(join(tmpdir(), "parlance-budgets-"));
chmodSync(folder, 0o711);
process.env.TMPDIR = folder;
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

const world = await openWorld({ REGISTRATION: "open" });
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => {
    world.end().finally(() => process.exit(1));
  });
}
try {
  if (wants("baseline")) await measureBaseline(world);
  if (wants("paint")) await measureFirstPaint(world);
  if (wants("delivery")) await measureDelivery(world);
  if (wants("waiting", "memory", "full")) {
    const [ann, ben] = await Promise.all([Person.joins(world, "Ann"), Person.joins(world, "Ben")]);
    await ann.befriends(ben);
    await ann.opens("Ben");
    await ben.opens("Ann");
    if (wants("waiting")) await measureWaiting(world, ann, ben);
    if (wants("memory")) await measureMemory(world, ann, ben);
    if (wants("full")) await measureFullDevice(world, ann);
  }
} catch (error) {
  await world.describe(console.error);
  throw error;
} finally {
  console.log(`| what | measured | budget | load |\n| --- | ---: | ---: | ---: |\n${results.map((line) => `| ${line.join(" | ")} |`).join("\n")}`);
  await world.end();
}
