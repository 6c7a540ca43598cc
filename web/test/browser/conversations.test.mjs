// Settings of a conversation, groups of three, and notifications.

import assert from "node:assert/strict";
import { violations } from "./chromium.mjs";
import { password, Person, stories } from "./world.mjs";

const { world, story, joins, pair } = stories({ REGISTRATION: "open" }, { isWhole: true });

story("what is set for a conversation holds, on another device, too", async (t) => {
  const [ann] = await pair(t);
  await ann.says("kept");
  await ann.knows("kept", "Sent", "Delivered", "Seen");
  for (const item of ["Favorite", "Mute"]) await ann.chooses(item);
  await ann.row("Ben", "favorite, muted").waitFor();
  const later = await ann.onAnotherDevice();
  t.after(() => later.context.close());
  await later.row("Ben", "favorite, muted").click();
  await later.sees("kept");
  await later.search.fill("kep");
  await later.tab.getByText("Messages on this device").waitFor();
});

story("hide, colour, keep, clear and block do what they say", async (t) => {
  const [ann, ben] = await pair(t);
  await ann.says("soon gone");
  await ben.sees("soon gone");
  await ann.chooses("Color");
  await ann.tab.getByRole("dialog").getByRole("button", { name: "Blue" }).click();
  await ann.tab.waitForFunction(() => document.querySelector(".log")?.style.getPropertyValue("--own").includes("#ddf0fe"));
  await ann.chooses("Keep messages");
  await ann.tab.getByRole("radio", { name: "7 days" }).check();
  await ann.button("Save").click();
  await ann.says("kept for a week");
  await ben.article("kept for a week").getByText("7 d").waitFor({ state: "attached" });
  await ann.chooses("Hide");
  const fold = ann.button("Hidden (1)");
  const hidden = ann.tab.getByRole("list", { name: "Hidden (1)", exact: true });
  await hidden.getByRole("link", { name: /^Ben\b/ }).waitFor();
  // The fold is no conversation: the list has only what it is called by.
  assert.equal(await ann.list.getByRole("listitem").count(), 0);
  assert.equal(await ann.tab.getByRole("list").filter({ has: fold }).count(), 0);
  assert.deepEqual(await violations(ann.tab), []);
  await fold.click();
  assert.equal(await fold.getAttribute("aria-expanded"), "true");
  await hidden.getByRole("link", { name: /^Ben\b/ }).waitFor();
  await ann.chooses("Hide");
  await ann.button("Hidden (1)").waitFor({ state: "detached" });
  await ann.chooses("Clear history");
  await ann.confirms("Clear history");
  await ann.article("soon gone").waitFor({ state: "detached" });
  await ann.chooses("Block");
  await ann.confirms("Block");
  await ann.tab.getByText("You have blocked Ben.").waitFor();
  await ben.says("can you hear me");
  await ben.knows("can you hear me", "Not sent");
  await ann.button("Unblock").click();
  await ann.box.waitFor();
});

story("a group of three: all read it, it says who has seen, and who is removed reads no more", async (t) => {
  const [[ann, ben], cat] = await Promise.all([pair(t), joins(t, "Cat")]);
  await ann.befriends(cat);
  await ann.button("New group").click();
  await ann.fills("Group name", "Choir");
  for (const name of ["Ben", "Cat"]) await ann.tab.getByRole("checkbox", { name, exact: true }).check();
  await ann.button("Create group").click();
  await ann.tab.getByRole("heading", { level: 1, name: "Choir" }).waitFor();
  await ann.says("Welcome");
  await ben.button("Back").click();
  await ben.row("Choir", "1 unread").waitFor();
  for (const one of [ben, cat]) {
    await one.opens("Choir");
    await one.sees("Welcome");
  }
  await ann.knows("Welcome", "Seen");
  await cat.says("Hello, both");
  for (const one of [ann, ben]) await one.sees("Hello, both");
  await ann.does("Welcome", "Info");
  const info = ann.tab.getByRole("dialog", { name: "Message info" });
  await info.getByText(/Ben/).first().waitFor();
  await info.getByText(/Cat/).first().waitFor();
  await ann.tab.keyboard.press("Escape");
  await ann.chooses("Members");
  await ann.button("More about Ben").click();
  await ann.tab.getByRole("menuitem", { name: "Remove from group" }).click();
  await ann.confirms("Remove from group");
  await ann.says("Only the two of us now");
  await cat.sees("Only the two of us now");
  await ben.box.waitFor({ state: "detached" });
  assert.equal(await ben.article("Only the two of us now").count(), 0);
  await cat.chooses("Leave group");
  await cat.confirms("Leave group");
  await cat.row("Choir").waitFor({ state: "detached" });
});

/** Records notifications; no tab has the focus until it says so. Returns a second tab. */
async function withTwoTabs(person) {
  await person.context.grantPermissions(["notifications"], { origin: new URL(world.proxy.address).origin });
  await person.context.addInitScript(() => {
    document.hasFocus = () => globalThis.isFocused === true;
    const { query } = LockManager.prototype;
    // The client queries the locks once for each message that it may notify of.
    LockManager.prototype.query = async function asked() {
      const found = await query.call(this);
      localStorage.setItem("asked", String(Number(localStorage.getItem("asked")) + 1));
      return found;
    };
    ServiceWorkerRegistration.prototype.showNotification = (title, { body }) => {
      const all = JSON.parse(localStorage.getItem("told") ?? "[]");
      localStorage.setItem("told", JSON.stringify([...all, `${title}: ${body}`]));
      return Promise.resolve();
    };
  });
  await person.tab.evaluate(() => localStorage.setItem("parlance.settings", JSON.stringify({ notify: true })));
  await person.tab.goto(`${world.proxy.address}#/`);
  await person.tab.reload();
  await person.tab.evaluate(() => navigator.serviceWorker.ready);
  const second = await person.context.newPage();
  await second.goto(`${world.proxy.address}#/`);
  for (const tab of [person.tab, second]) await row(tab, "").waitFor();
  return second;
}
const row = (tab, more) => tab.getByRole("list", { name: "Conversations" }).getByRole("link", { name: new RegExp(`^Ann${more}`) });

story("there is no notification while the user is looking at another tab", async (t) => {
  const [ann, ben] = await pair(t);
  const second = await withTwoTabs(ben);
  const focuses = (isFocused) =>
    second.evaluate((is) => {
      globalThis.isFocused = is;
      dispatchEvent(new Event(is ? "focus" : "blur"));
    }, isFocused);
  await row(second, "").click();
  await focuses(true);
  await ann.says("seen there");
  await second.getByRole("article").getByText("seen there").waitFor();
  await second.waitForFunction(() => localStorage.getItem("asked") === "1");
  await focuses(false);
  await ann.says("not seen");
  await second.waitForFunction(() => localStorage.getItem("told") !== null);
  assert.deepEqual(JSON.parse(await second.evaluate(() => localStorage.getItem("told"))), ["Ann: not seen"]);
});

story("one notification, however many tabs; the title counts; a muted conversation is quiet", async (t) => {
  const [ann, ben] = await pair(t);
  const second = await withTwoTabs(ben);
  await ann.says("psst **Ben**");
  for (const tab of [ben.tab, second]) await tab.waitForFunction(() => document.title === "(1) Parlance");
  await second.waitForFunction(() => localStorage.getItem("told") !== null);
  await row(second, "").click({ button: "right" });
  await second.getByRole("menuitem", { name: "Mute" }).click();
  await row(second, " 1 unread, muted").waitFor();
  await ann.says("not a sound");
  await row(second, " 2 unread, muted").waitFor();
  assert.deepEqual(JSON.parse(await second.evaluate(() => localStorage.getItem("told"))), ["Ann: psst Ben"]);
  await second.waitForFunction(() => document.title === "Parlance");
});

const isControlled = (tab) => tab.waitForFunction(() => navigator.serviceWorker.controller !== null);
const offer = (tab) => tab.getByText("A new version is ready.");

story("a new version waits until the person says so, in each tab", async (t) => {
  const ann = await joins(t, "Ann");
  await isControlled(ann.tab);
  const other = await ann.context.newPage();
  await other.goto(world.proxy.address);
  await isControlled(other);
  await other.evaluate(() => (globalThis.isFirstPage = true));
  world.proxy.upgrade();
  await ann.tab.evaluate(async () => (await navigator.serviceWorker.getRegistration()).update());
  for (const tab of [ann.tab, other]) await offer(tab).waitFor();
  const isNewPage = ann.tab.waitForEvent("load");
  await ann.button("Reload").click();
  await isNewPage;
  await ann.search.waitFor();
  await ann.tab.waitForFunction(async () => {
    const registration = await navigator.serviceWorker.getRegistration();
    return registration?.active?.state === "activated" && registration.waiting === null && registration.installing === null;
  });
  assert.equal(await offer(ann.tab).count(), 0);
  // The other tab keeps running, and still offers the new version.
  await other.waitForFunction(() => navigator.serviceWorker.controller.state === "activated");
  await offer(other).waitFor();
  assert.equal(await other.evaluate(() => globalThis.isFirstPage), true);
  const isNewOther = other.waitForEvent("load");
  await other.getByRole("button", { name: "Reload", exact: true }).click();
  await isNewOther;
  await other.getByRole("textbox", { name: "Search", exact: true }).waitFor();
  assert.equal(await offer(other).count(), 0);
});

story("a part whose file is gone with its version leads to the new one, before the login, too", async (t) => {
  // Without a worker nothing keeps the files of a version.
  const ann = await joins(t, "Ann", { serviceWorkers: "block" });
  const there = await Person.at(world, "", ann.name, ann.email, { serviceWorkers: "block" });
  t.after(() => there.context.close());
  await there.button("Log in").waitFor();
  await ann.looksAt("Appearance");
  world.proxy.upgrade();
  await ann.tab.getByRole("radio", { name: "Magyar" }).check();
  await offer(ann.tab).waitFor();
  assert.deepEqual(await violations(ann.tab), []);
  await ann.button("Reload").click();
  await ann.tab.getByRole("heading", { level: 1, name: "Megjelenés" }).waitFor();
  await there.fills("E-mail", there.email);
  await there.fills("Password", password);
  await there.button("Log in").click();
  await offer(there.tab).waitFor();
  await there.tab.getByText("The server does not answer").waitFor();
  assert.deepEqual(await violations(there.tab), []);
  await there.button("Reload").click();
  await there.logsIn();
  assert.equal(await offer(there.tab).count(), 0);
});
