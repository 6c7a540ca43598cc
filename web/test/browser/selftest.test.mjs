// The browser selftest: two people type while the network breaks, tabs are reloaded, closed and opened anew. At the end
// each browser shows the same messages: none lost, none doubled, each person's in their order.
// SELFTEST_SECONDS (20) says how long, SELFTEST_SEED what happens; PARLANCE_RESTART may name a command that kills the server
// and starts it again, which is then run now and then.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { launch, openWay, Person } from "./world.mjs";

const seconds = Number(process.env.SELFTEST_SECONDS ?? 20);
const seed = Number(process.env.SELFTEST_SEED ?? Date.now() % 1_000_000);
const skip = process.env.PARLANCE_URL ? false : "PARLANCE_URL is not set";

/** Mulberry32: the same numbers for the same seed. */
function random(from) {
  let state = from >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t ^= t + Math.imul(t ^ (t >>> 7), 61 | t);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

test("whatever happens, both show the same messages", { timeout: (seconds + 120) * 1_000, skip }, async (t) => {
  t.diagnostic(`seed ${seed}, ${seconds} s`);
  const next = random(seed);
  const way = await openWay(process.env.PARLANCE_URL);
  const browser = await launch();
  t.after(async () => {
    await browser.close();
    way.end();
  });
  const people = [await Person.joins(browser, way, "Ann"), await Person.joins(browser, way, "Ben")];
  await people[0].befriends(people[1]);
  await people[0].opens("Ben");
  const written = [[], []];
  const happened = {};
  const until = Date.now() + seconds * 1_000;

  const say = async (who) => {
    const text = `${people[who].name} ${written[who].length}`;
    await people[who].says(text);
    written[who].push(text);
  };
  /** What can go wrong, and how often. */
  const troubles = [
    ["the network is cut for a moment", 3, async () => {
      way.cut();
      await people[0].tab.waitForTimeout(next() * 2_000);
      way.mend();
    }],
    ["a browser is offline for a moment", 3, async (who) => {
      await people[who].context.setOffline(true);
      await say(who);
      await people[who].tab.waitForTimeout(next() * 1_500);
      await people[who].context.setOffline(false);
    }],
    ["a tab is reloaded", 3, async (who) => {
      await people[who].tab.reload();
      await people[who].box.waitFor();
    }],
    ["a tab is closed, another opened", 2, async (who) => {
      const { context, tab } = people[who];
      const fresh = await context.newPage();
      await fresh.goto(tab.url());
      if (next() < 0.5) await say(who);
      await tab.close();
      people[who].tab = fresh;
      await people[who].box.waitFor();
    }],
    ["the server is killed", process.env.PARLANCE_RESTART ? 1 : 0, async () => execFileSync("sh", ["-c", process.env.PARLANCE_RESTART])],
  ];
  const total = troubles.reduce((sum, [, weight]) => sum + weight, 0);
  while (Date.now() < until) {
    for (let i = Math.floor(next() * 6); i >= 0; i--) await say(next() < 0.5 ? 0 : 1);
    let point = next() * total;
    const [name, , happen] = troubles.find(([, weight]) => (point -= weight) < 0);
    happened[name] = (happened[name] ?? 0) + 1;
    await happen(next() < 0.5 ? 0 : 1);
  }
  way.mend();
  await say(0);
  await say(1);
  t.diagnostic(JSON.stringify({ messages: written[0].length + written[1].length, ...happened }));

  for (const [who, person] of people.entries()) {
    await person.sees(written[1 - who].at(-1));
    await person.log.getByRole("article").filter({ hasText: "Sending" }).first().waitFor({ state: "detached", timeout: 60_000 });
    await person.tab.reload();
    await person.sees(written[1 - who].at(-1));
    for (let older = 0; older < 100 && (await person.log.getByText("This is the beginning.").count()) === 0; older++) {
      await person.log.evaluate((box) => (box.scrollTop = 0));
      await person.tab.waitForTimeout(100);
    }
  }
  const [hers, his] = [await people[0].texts(), await people[1].texts()];
  assert.deepEqual(hers, his);
  for (const [who, texts] of written.entries()) {
    assert.deepEqual(hers.filter((text) => text.startsWith(`${people[who].name} `)), texts);
  }
  assert.equal(hers.length, written[0].length + written[1].length);
});
