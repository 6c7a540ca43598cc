// What people do, in browsers of their own, against a real server. See world.mjs for what it needs.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { violations } from "../../ui/dev/serve.mjs";
import { launch, openWay, Person } from "./world.mjs";

const limit = { timeout: 90_000, skip: process.env.PARLANCE_URL ? false : "PARLANCE_URL is not set" };
let browser;
let way;

before(async () => {
  if (limit.skip) return;
  way = await openWay(process.env.PARLANCE_URL);
  browser = await launch();
});
after(async () => {
  await browser?.close();
  way?.end();
});

const joins = async (t, name, size) => {
  const person = await Person.joins(browser, way, name, size);
  t.after(() => person.context.close());
  return person;
};
const pair = async (t) => {
  const [ann, ben] = [await joins(t, "Ann"), await joins(t, "Ben", { width: 390, height: 844 })];
  await ann.befriends(ben);
  await ann.opens("Ben");
  return [ann, ben];
};

test("two people meet, write, answer, react, edit and delete", limit, async (t) => {
  const [ann, ben] = await pair(t);
  await ann.says("Hello **Ben**");
  await ben.sees("Hello Ben");
  await ann.article("Hello Ben").getByText("Seen", { exact: true }).waitFor();
  await ben.does("Hello Ben", "Reply");
  await ben.says("Hello yourself");
  await ann.sees("Hello yourself");
  assert.match(await ann.article("Hello yourself").textContent(), /Hello Ben/);
  await ann.article("Hello yourself").getByRole("button", { name: "More" }).click();
  await ann.tab.getByRole("button", { name: "👍" }).click();
  await ben.article("Hello yourself").getByRole("button", { name: /^👍 1, from Ann/ }).waitFor();
  await ann.does("Hello Ben", "Edit");
  await ann.says("Hello dear Ben");
  await ben.article("Hello dear Ben").getByText("edited").waitFor();
  await ann.does("Hello dear Ben", "Delete");
  await ann.tab.getByRole("alertdialog").getByRole("button", { name: "Delete", exact: true }).click();
  await ben.log.getByText("Ann deleted this message").waitFor();
  for (const one of [ann, ben]) assert.deepEqual(await violations(one.tab), []);
});

test("a reload loses nothing: session, log and draft are there, offline, too", limit, async (t) => {
  const [ann, ben] = await pair(t);
  await ann.says("Before the reload");
  await ben.sees("Before the reload");
  await ann.box.fill("half a thought");
  await ann.list.getByText("half a thought").waitFor();
  await ann.tab.reload();
  await ann.sees("Before the reload");
  assert.equal(await ann.box.inputValue(), "half a thought");
  await ann.tab.waitForFunction(() => navigator.serviceWorker.controller !== null);
  await ann.context.setOffline(true);
  await ann.tab.reload();
  await ann.sees("Before the reload");
  await ann.tab.getByText("You are offline. What you write is sent later.").waitFor();
  await ann.says("Written offline, first");
  await ann.says("Written offline, second");
  await ann.article("Written offline, second").getByText("Sending", { exact: true }).waitFor();
  await ann.tab.reload();
  await ann.sees("Written offline, second");
  await ann.context.setOffline(false);
  await ben.sees("Written offline, second");
  assert.deepEqual((await ben.texts()).slice(-2), ["Written offline, first", "Written offline, second"]);
  assert.deepEqual(await ann.texts(), await ben.texts());
});

test("what is written while the server is away arrives once, in order", limit, async (t) => {
  const [ann, ben] = await pair(t);
  await ann.says("one");
  await ben.sees("one");
  way.cut();
  t.after(() => way.mend());
  for (const text of ["two", "three", "four"]) await ann.says(text);
  await ann.article("four").getByText("Sending", { exact: true }).waitFor();
  await ann.tab.getByText("The server does not answer.").waitFor();
  way.mend();
  await ann.button("Try now").click();
  await ben.sees("four");
  await ann.article("four").getByText(/^(Sent|Delivered|Seen)$/).waitFor();
  assert.deepEqual(await ben.texts(), ["one", "two", "three", "four"]);
  assert.deepEqual(await ann.texts(), ["one", "two", "three", "four"]);
});

test("two tabs of one browser show the same; when the first is closed the other goes on", limit, async (t) => {
  const [ann, ben] = await pair(t);
  await ann.says("from the first tab");
  const second = await ann.context.newPage();
  await second.goto(ann.tab.url());
  const other = new Person(ann.context, second, ann.name, ann.email, way);
  await other.sees("from the first tab");
  await other.says("from the second tab");
  await ann.sees("from the second tab");
  await ben.sees("from the second tab");
  await ann.tab.close();
  await ben.says("are you still there");
  await other.sees("are you still there");
  await other.says("yes");
  await ben.sees("yes");
  assert.deepEqual(await other.texts(), await ben.texts());
});

test("a group: made, named, left; who is removed reads no more", limit, async (t) => {
  const [ann, ben] = await pair(t);
  await ann.button("New group").click();
  await ann.tab.getByRole("textbox", { name: "Group name", exact: true }).fill("Choir");
  await ann.tab.getByRole("checkbox", { name: "Ben", exact: true }).check();
  await ann.button("Create group").click();
  await ann.tab.getByRole("heading", { level: 1, name: "Choir" }).waitFor();
  await ann.says("Welcome");
  await ben.button("Back").click();
  await ben.list.getByRole("link", { name: /^Choir 1 unread/ }).waitFor();
  await ben.opens("Choir");
  await ben.sees("Welcome");
  await ann.button("Conversation menu").click();
  await ann.tab.getByRole("menuitem", { name: "Members", exact: true }).click();
  await ann.button("More about Ben").click();
  await ann.tab.getByRole("menuitem", { name: "Remove from group" }).click();
  await ann.tab.getByRole("alertdialog").getByRole("button", { name: "Remove from group" }).click();
  await ann.tab.getByRole("alertdialog").waitFor({ state: "detached" });
  await ann.says("Only me now");
  await ann.sees("Only me now");
  await ben.box.waitFor({ state: "detached" });
});

test("what is set for a conversation holds, on another device, too", limit, async (t) => {
  const [ann] = await pair(t);
  await ann.says("kept");
  await ann.article("kept").getByText(/^(Sent|Delivered|Seen)$/).waitFor();
  for (const item of ["Favorite", "Mute"]) {
    await ann.button("Conversation menu").click();
    await ann.tab.getByRole("menuitem", { name: item, exact: true }).click();
  }
  await ann.list.getByRole("link", { name: /^Ben favorite, muted/ }).waitFor();
  const later = await ann.onAnotherDevice(browser);
  t.after(() => later.context.close());
  await later.list.getByRole("link", { name: /^Ben favorite, muted/ }).click();
  await later.sees("kept");
  await later.tab.getByRole("textbox", { name: "Search", exact: true }).fill("kep");
  await later.tab.getByText("Messages on this device").waitFor();
});

test("logging out forgets everything here", limit, async (t) => {
  const ann = await joins(t, "Ann");
  await ann.button("Account").click();
  await ann.button("Log out").click();
  await ann.tab.getByRole("alertdialog").getByRole("button", { name: "Log out", exact: true }).click();
  await ann.button("Log in").waitFor();
  await ann.tab.reload();
  await ann.button("Log in").waitFor();
});

test("hide, colour, keep, clear and block do what they say", limit, async (t) => {
  const [ann, ben] = await pair(t);
  const menu = async (item) => {
    await ann.button("Conversation menu").click();
    await ann.tab.getByRole("menuitem", { name: item, exact: true }).click();
  };
  await ann.says("soon gone");
  await ben.sees("soon gone");
  await menu("Color");
  await ann.tab.getByRole("dialog").getByRole("button", { name: "Blue" }).click();
  await ann.tab.waitForFunction(() => document.querySelector(".log")?.style.getPropertyValue("--own").includes("#ddf0fe"));
  await menu("Keep messages");
  await ann.tab.getByRole("radio", { name: "7 days" }).check();
  await ann.button("Save").click();
  await ann.says("kept for a week");
  await ben.article("kept for a week").getByText("7 d").waitFor({ state: "attached" });
  await menu("Hide");
  await ann.button("Hidden (1)").waitFor();
  await menu("Hide");
  await ann.button("Hidden (1)").waitFor({ state: "detached" });
  await menu("Clear history");
  await ann.tab.getByRole("alertdialog").getByRole("button", { name: "Clear history" }).click();
  await ann.article("soon gone").waitFor({ state: "detached" });
  await menu("Block");
  await ann.tab.getByRole("alertdialog").getByRole("button", { name: "Block", exact: true }).click();
  await ann.tab.getByText("You have blocked Ben.").waitFor();
  await ben.says("can you hear me");
  await ben.article("can you hear me").getByText("Not sent", { exact: true }).waitFor();
  await ann.button("Unblock").click();
  await ann.box.waitFor();
});

test("safety numbers are the same on both screens, and comparing them marks the person", limit, async (t) => {
  const [ann, ben] = await pair(t);
  const numbers = async (person) => {
    await person.button("Conversation menu").click();
    await person.tab.getByRole("menuitem", { name: "Safety number" }).click();
    await person.tab.getByRole("heading", { name: /^You and / }).waitFor();
    return person.tab.locator(".safety-numbers [aria-hidden]").allTextContents();
  };
  const [hers, his] = [await numbers(ann), await numbers(ben)];
  assert.equal(hers.length, 12);
  assert.deepEqual(hers, his);
  await ann.button("They are the same").click();
  await ann.box.waitFor();
  await ann.tab.locator(".pane-title .icon").waitFor();
});

test("the log loads older messages when it is scrolled, without a jump", limit, async (t) => {
  const [ann, ben] = await pair(t);
  const texts = Array.from({ length: 130 }, (_, i) => `Message number ${i}`);
  for (const text of texts) await ann.says(text);
  await ben.sees("Message number 129");
  await ben.tab.reload();
  await ben.sees("Message number 129");
  const log = ben.log;
  for (let i = 0; i < 40 && !(await ben.article("Message number 0").first().isVisible()); i++) {
    await log.evaluate((box) => {
      box.scrollTop = 300;
    });
    const before = await log.evaluate((box) => {
      const rows = [...box.querySelectorAll("article")];
      const top = box.getBoundingClientRect().top;
      const first = rows.find((row) => row.getBoundingClientRect().bottom > top);
      return { id: first.id, at: first.getBoundingClientRect().top, rows: rows.length };
    });
    await ben.tab.waitForTimeout(150);
    const after = await log.evaluate((box, id) => ({ at: document.getElementById(id).getBoundingClientRect().top, rows: box.querySelectorAll("article").length }), before.id);
    if (after.rows !== before.rows) assert.ok(Math.abs(after.at - before.at) < 2, `it jumped by ${after.at - before.at} px`);
    if (after.rows === before.rows) await log.evaluate((box) => (box.scrollTop = 0));
  }
  assert.deepEqual(await ben.texts(), texts);
});

test("one notification, however many tabs; the title counts; a muted conversation is quiet", limit, async (t) => {
  const [ann, ben] = await pair(t);
  await ben.context.grantPermissions(["notifications"], { origin: new URL(way.address).origin });
  await ben.context.addInitScript(() => {
    document.hasFocus = () => false;
    const told = (title, { body }) => {
      const all = JSON.parse(localStorage.getItem("told") ?? "[]");
      localStorage.setItem("told", JSON.stringify([...all, `${title}: ${body}`]));
      return Promise.resolve();
    };
    ServiceWorkerRegistration.prototype.showNotification = told;
  });
  await ben.tab.evaluate(() => localStorage.setItem("parlance.settings", JSON.stringify({ notify: true })));
  await ben.tab.goto(`${way.address}#/`);
  await ben.tab.reload();
  const second = await ben.context.newPage();
  await second.goto(`${way.address}#/`);
  for (const tab of [ben.tab, second]) await tab.getByRole("list", { name: "Conversations" }).getByRole("link", { name: /^Ann/ }).waitFor();
  await ann.says("psst **Ben**");
  for (const tab of [ben.tab, second]) await tab.waitForFunction(() => document.title === "(1) Parlance");
  await second.waitForFunction(() => localStorage.getItem("told") !== null);
  const list = (tab) => tab.getByRole("list", { name: "Conversations" }).getByRole("link", { name: /^Ann/ });
  await list(second).click({ button: "right" });
  await second.getByRole("menuitem", { name: "Mute" }).click();
  await second.getByRole("list", { name: "Conversations" }).getByRole("link", { name: /^Ann 1 unread, muted/ }).waitFor();
  await ann.says("not a sound");
  await second.getByRole("list", { name: "Conversations" }).getByRole("link", { name: /^Ann 2 unread, muted/ }).waitFor();
  assert.deepEqual(JSON.parse(await second.evaluate(() => localStorage.getItem("told"))), ["Ann: psst Ben"]);
  await second.waitForFunction(() => document.title === "Parlance");
});

test("a new version waits until the person says so", limit, async (t) => {
  const ann = await joins(t, "Ann");
  await ann.tab.waitForFunction(() => navigator.serviceWorker.controller !== null);
  way.upgrade();
  await ann.tab.evaluate(async () => (await navigator.serviceWorker.getRegistration()).update());
  await ann.tab.getByText("A new version is ready.").waitFor();
  await ann.tab.evaluate(() => {
    globalThis.before = true;
  });
  await ann.button("Reload").click();
  await ann.tab.waitForFunction(() => globalThis.before === undefined && document.querySelector(".list-pane") !== null);
  await ann.tab.waitForTimeout(500);
  assert.equal(await ann.tab.getByText("A new version is ready.").count(), 0);
});
