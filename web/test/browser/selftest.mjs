// The browser selftest: three people in a group write for a while. Meanwhile server and database are killed, the network is cut,
// browsers are offline, tabs are reloaded, closed and reopened, and clocks are set to anything. Some messages carry a file.
// At the end each browser shows the same messages: none lost, none doubled, each person's in their order, each file as it was.
// `npm run selftest -- --minutes 10 --seed 7`; script/test runs a short one.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { openWorld, Person } from "./world.mjs";

const NAMES = ["Ann", "Ben", "Cat"];
const GROUP = "Choir";
/** How many messages carry a file. */
const FILES = 0.1;
const DAY_MS = 86_400_000;
/** Once nothing is broken any more, how long it may take until anything more is sent, or shown. */
const STALL_MS = 60_000;

/** Mulberry32: the same numbers for the same seed. */
function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t ^= t + Math.imul(t ^ (t >>> 7), 61 | t);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** In the page, before anything else: the clock is as wrong as local storage says. */
function wrongClock() {
  const Real = Date;
  const wrong = () => Number(localStorage.getItem("selftest.clock") ?? 0);
  globalThis.Date = class extends Real {
    constructor(...given) {
      super(...(given.length === 0 ? [Real.now() + wrong()] : given));
    }
    static now() {
      return Real.now() + wrong();
    }
  };
}

/** One of `troubles` (`[name, how often, what]`), by its weight. */
function choose(troubles, next) {
  let point = next() * troubles.reduce((sum, [, weight]) => sum + weight, 0);
  return troubles.find(([, weight]) => (point -= weight) < 0);
}

/** Somebody who writes, and to whose browser things happen. */
class Writer {
  written = [];
  /** Names and lengths. */
  files = [];

  constructor(person, next) {
    Object.assign(this, { person, next });
  }

  async say() {
    const text = `${this.person.name} ${this.written.length}`;
    if (this.next() < FILES) await this.attach(text);
    await this.person.says(text);
    this.written.push(text);
  }

  /** A file whose content its name tells, of one record or of two. */
  async attach(name) {
    const { tab } = this.person;
    const length = this.next() < 0.8 ? 1_000 : 300_000;
    await tab.locator("input[type=file][multiple]").setInputFiles({ name, mimeType: "text/plain", buffer: Buffer.alloc(length, name) });
    await tab.locator(".chosen.ready").waitFor();
    this.files.push({ name, length });
  }

  get troubles() {
    const { person, next } = this;
    return [
      ["a browser was offline", 3, async () => {
        await person.context.setOffline(true);
        await this.say();
        await pause(next() * 1_500);
        await person.context.setOffline(false);
      }],
      ["a tab was reloaded", 3, async () => {
        await person.tab.reload();
        await person.box.waitFor();
      }],
      ["a tab was closed and another opened", 3, async () => {
        const old = person.tab;
        const isFirst = next() < 0.5;
        if (isFirst) await old.close();
        person.tab = await person.context.newPage();
        await person.tab.goto(old.url());
        await person.box.waitFor();
        if (isFirst) return;
        await this.say();
        await old.close();
      }],
      ["a clock was set", 1, async () => {
        const wrong = next() < 0.3 ? 0 : Math.round((next() - 0.5) * 2 * DAY_MS);
        await person.tab.evaluate((by) => localStorage.setItem("selftest.clock", String(by)), wrong);
      }],
    ];
  }
}

/** What happens to all at once. */
const disasters = ({ server, proxy }, next) => [
  ["the network was cut", 2, async () => {
    proxy.cut();
    await pause(next() * 2_000);
    proxy.restore();
  }],
  ["the server was killed", 2, async () => {
    await server.kill();
    await pause(next() * 1_000);
    await server.start();
  }],
  ["the database was killed", 2, async () => server.killDatabase()],
];

/** In the page: loads what is older until the beginning is there. */
function reachesTheBeginning() {
  const box = document.querySelector(".log");
  if (!box || box.querySelector(".beginning")) return box !== null;
  box.scrollTop = 0;
  return false;
}

/** In the page: how many of its messages wait, and whether all of these texts are shown; true once either has changed. */
function hasMoved({ texts, waiting, missing }) {
  const articles = [...document.querySelectorAll("article")];
  const shown = new Set(articles.map((one) => one.querySelector(".text")?.textContent));
  const now = {
    waiting: articles.filter((one) => /\b(Sending|Not sent)\b/.test(one.textContent)).length,
    missing: texts.filter((text) => !shown.has(text)).length,
  };
  const isDone = now.waiting === 0 && now.missing === 0;
  return (isDone || now.waiting !== waiting || now.missing !== missing) && { ...now, texts, isDone };
}

/** Waits until all of this is shown and nothing waits any more; however long that takes, it must go on. */
async function settles({ tab }, texts) {
  let state = { texts, waiting: -1, missing: -1, isDone: false };
  while (!state.isDone) state = await (await tab.waitForFunction(hasMoved, state, { timeout: STALL_MS })).jsonValue();
}

/** All of these files can be saved, and are as they were. */
async function has({ tab, log }, files) {
  for (const [i, { name, length }] of files.entries()) {
    // Chromium drops further downloads of a page that begins more than ten in a second.
    if (i > 0 && i % 10 === 0) await pause(1_000);
    const download = tab.waitForEvent("download");
    await log.getByRole("button", { name: `Save ${name}`, exact: true }).click();
    const bytes = readFileSync(await (await download).path());
    assert.ok(bytes.equals(Buffer.alloc(length, name)), `the file of ${name} is as it was`);
  }
}

/** Runs the selftest; returns what happened, and throws at the first violation. */
export async function selftest({ seconds, seed, say = () => undefined }) {
  const world = await openWorld({ REGISTRATION: "open" });
  try {
    const people = await Promise.all(NAMES.map((name) => Person.joins(world, name)));
    const [first, ...others] = people;
    for (const other of others) await first.befriends(other);
    await first.button("New group").click();
    await first.fills("Group name", GROUP);
    for (const { name } of others) await first.tab.getByRole("checkbox", { name, exact: true }).check();
    await first.button("Create group").click();
    for (const person of people) {
      if (person !== first) await person.opens(GROUP);
      await person.box.waitFor();
      await person.context.addInitScript(wrongClock);
      // From now on the page opens without a server, too.
      await person.tab.waitForFunction(() => navigator.serviceWorker.controller !== null);
    }

    const happened = {};
    const happens = async (troubles, next) => {
      const [name, , happen] = choose(troubles, next);
      await happen();
      happened[name] = (happened[name] ?? 0) + 1;
    };
    const writers = people.map((person, i) => new Writer(person, random(seed + i)));
    const until = Date.now() + seconds * 1_000;
    const writes = async (writer) => {
      while (Date.now() < until) {
        for (let i = Math.floor(writer.next() * 6); i >= 0; i--) await writer.say();
        await happens(writer.troubles, writer.next);
      }
    };
    const breaks = async (next) => {
      while (Date.now() < until) {
        await happens(disasters(world, next), next);
        await pause(1_000 + next() * 4_000);
      }
    };
    await Promise.all([...writers.map(writes), breaks(random(seed + NAMES.length))]);
    for (const writer of writers) await writer.say();
    const ended = Date.now();
    say(`${writers.reduce((sum, { written }) => sum + written.length, 0)} messages, ${writers.reduce((sum, { files }) => sum + files.length, 0)} files; ${Object.entries(happened).map(([name, times]) => `${name}: ${times}`).join("; ")}`);

    for (const person of people) await settles(person, writers.map(({ written }) => written.at(-1)));
    say(`everything had arrived ${((Date.now() - ended) / 1_000).toFixed(1)} s after the last fault`);
    const shown = [];
    for (const person of people) {
      const whole = await person.onAnotherPage();
      await whole.tab.waitForFunction(reachesTheBeginning, null, { timeout: STALL_MS });
      shown.push(await whole.texts());
      await has(whole, writers.flatMap(({ files }) => files));
    }
    for (const [i, texts] of shown.entries()) assert.deepEqual(texts, shown[0], `${NAMES[i]} sees what ${NAMES[0]} sees`);
    for (const { person, written } of writers) {
      assert.deepEqual(shown[0].filter((text) => text.startsWith(`${person.name} `)), written, `all of ${person.name}'s, once, in order`);
    }
    return { messages: shown[0].length, happened };
  } catch (error) {
    await world.describe(say);
    throw error;
  } finally {
    await world.end();
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const option = (name, otherwise) => Number(process.argv[process.argv.indexOf(`--${name}`) + 1] || otherwise);
  const has = (name) => process.argv.includes(`--${name}`);
  const seconds = has("minutes") ? option("minutes", 1) * 60 : 60;
  const seed = has("seed") ? option("seed", 1) : Date.now() % 1_000_000;
  console.log(`seed ${seed}, ${seconds} s`);
  await selftest({ seconds, seed, say: console.log });
  console.log("All three browsers show the same messages: none lost, none doubled, none out of order.");
}
