// The screens over sample data: the names that assistive technology finds, the keyboard alone, narrow and wide windows.
// `node --test test/browser`. Stories with two people and a real server are in stories.test.mjs.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { serve } from "../../ui/dev/serve.mjs";
import { launch, settled, violations } from "./chromium.mjs";

const conversation = (n) => `#/c/${(n + 256).toString(16).padStart(32, "0")}`;
const limit = { timeout: 120_000 };
let browser;
let served;

before(async () => {
  served = await serve();
  browser = await launch();
});
after(async () => {
  await browser.close();
  served.end();
});

/** A page with sample data; any error that it throws, and anything that the policy refuses, fails the test. */
async function open(t, { scene = "main", hash = "", width = 1280, height = 800, ...context } = {}) {
  const made = await browser.newContext({ viewport: { width, height }, locale: "en-GB", ...context });
  const tab = await made.newPage();
  tab.setDefaultTimeout(10_000);
  await tab.clock.setFixedTime(new Date(2026, 10, 24, 14, 20));
  const faults = [];
  tab.on("pageerror", (error) => faults.push(error.stack ?? error.message));
  tab.on("console", (message) => message.type() === "error" && faults.push(message.text()));
  t.after(async () => {
    await made.close();
    assert.deepEqual(faults, []);
  });
  await tab.goto(`${served.address}/?scene=${scene}${hash}`);
  return tab;
}

const seen = async (locator) => locator.waitFor({ state: "visible" });

test("start and invitation", limit, async (t) => {
  const tab = await open(t, { scene: "out" });
  await seen(tab.getByRole("textbox", { name: "E-mail", exact: true }));
  await seen(tab.getByLabel("Password", { exact: true }));
  await seen(tab.getByRole("button", { name: "Log in", exact: true }));

  const guest = await open(t, { scene: "out", hash: `#invite=abc&from=${"02b3".repeat(8)}&card=${"13f4".repeat(16)}&v=${"a7".repeat(32)}&name=Ann+Berg` });
  await seen(guest.getByText("Ann Berg").first());
  await guest.getByRole("textbox", { name: "E-mail", exact: true }).fill("nora@weiss.example");
  await guest.getByRole("textbox", { name: "Name", exact: true }).fill("Nora Weiss");
  const password = guest.getByRole("textbox", { name: "Password", exact: true });
  assert.match(await password.inputValue(), /^\w+(-\w+){3}$/);
  await password.fill("a password of my own 7");
  await guest.getByRole("textbox", { name: "Repeat password", exact: true }).fill("a password of my own 7");
  await guest.getByRole("button", { name: "Create account", exact: true }).click();
  await guest.getByRole("button", { name: "Continue", exact: true }).click();
  await seen(guest.getByRole("log", { name: "Messages", exact: true }));
});

test("a password that is too easy, or not repeated, makes no account", limit, async (t) => {
  const tab = await open(t, { scene: "out", hash: "#invite=abc" });
  await tab.getByRole("textbox", { name: "E-mail" }).fill("nora@weiss.example");
  await tab.getByRole("textbox", { name: "Name" }).fill("Nora");
  await tab.getByRole("textbox", { name: "Password", exact: true }).fill("12345678");
  await tab.getByRole("button", { name: "Create account" }).click();
  await seen(tab.getByText("Too easy to guess").first());
  await tab.getByRole("textbox", { name: "Password", exact: true }).fill("a password of my own 7");
  await tab.getByRole("button", { name: "Create account" }).click();
  await seen(tab.getByText("The two are not the same."));
});

test("the main screen", limit, async (t) => {
  const tab = await open(t, { scene: "requests", hash: "#/" });
  const list = tab.getByRole("list", { name: "Conversations", exact: true });
  await seen(list.getByRole("link", { name: /^Spring concert 3 unread, favorite, .*14:12$/ }));
  await seen(tab.getByRole("button", { name: "Accept", exact: true }));
  await seen(tab.getByRole("textbox", { name: "Search", exact: true }));
  await tab.getByRole("button", { name: "New conversation", exact: true }).click();
  let dialog = tab.getByRole("dialog", { name: "New conversation" });
  await dialog.getByRole("textbox", { name: "E-mail", exact: true }).fill("who@nowhere.example");
  await dialog.getByRole("button", { name: "Send request", exact: true }).click();
  await seen(dialog.getByText("Nobody here has this e-mail."));
  await tab.keyboard.press("Escape");
  await tab.getByRole("button", { name: "Invite", exact: true }).click();
  const link = tab.getByRole("dialog").getByRole("textbox", { name: "Invitation link", exact: true });
  await seen(link);
  assert.equal(await link.getAttribute("readonly"), "");
  await tab.keyboard.press("Escape");
  await tab.getByRole("button", { name: "New group", exact: true }).click();
  dialog = tab.getByRole("dialog", { name: "New group" });
  await dialog.getByRole("textbox", { name: "Group name", exact: true }).fill("Choir");
  const create = dialog.getByRole("button", { name: "Create group", exact: true });
  assert.ok(await create.isDisabled());
  await dialog.getByRole("checkbox", { name: "Ann Keller", exact: true }).check();
  await create.click();
  await seen(tab.getByRole("log"));
});

test("before there is anyone, there is one button of each name", limit, async (t) => {
  const tab = await open(t, { scene: "empty", hash: "#/" });
  await seen(tab.getByText("Nobody here yet"));
  for (const name of ["Invite", "New conversation", "New group", "Account"]) {
    assert.equal(await tab.getByRole("button", { name, exact: true }).count(), 1, name);
  }
});

test("a color is chosen by two keys, and suggestions have a name", limit, async (t) => {
  const tab = await open(t, { hash: conversation(1) });
  await tab.getByRole("button", { name: "Conversation menu", exact: true }).click();
  await tab.getByRole("menuitem", { name: "Color", exact: true }).click();
  const dialog = tab.getByRole("dialog", { name: "Color" });
  await seen(dialog);
  assert.ok(await dialog.locator(".palette button:focus").isVisible());
  await tab.keyboard.press("Escape");
  const box = tab.getByRole("textbox", { name: "Message", exact: true });
  // Also when the last key was pressed before the emoji are here.
  await box.fill(":smile");
  await seen(tab.getByRole("listbox", { name: "Emoji" }));
  await seen(tab.getByRole("option", { name: "😊 smiling face with smiling eyes", selected: true }));
  assert.deepEqual(await violations(tab), []);
});

test("a conversation, its menus and sending a message", limit, async (t) => {
  const tab = await open(t, { hash: conversation(1) });
  const log = tab.getByRole("log", { name: "Messages", exact: true });
  await seen(log);
  await seen(tab.getByRole("button", { name: "Attach files", exact: true }));
  await tab.getByRole("button", { name: "Conversation menu", exact: true }).click();
  for (const name of ["Favorite", "Mute", "Hide", "Color", "Members", "Clear history", "Leave group"]) {
    await seen(tab.getByRole("menuitem", { name, exact: true }));
  }
  await tab.keyboard.press("Escape");
  const box = tab.getByRole("textbox", { name: "Message", exact: true });
  await box.fill("hello **there**");
  await tab.getByRole("button", { name: "Send", exact: true }).click();
  assert.equal(await box.inputValue(), "");
  const article = log.getByRole("article").last();
  await seen(article.getByText("Sent", { exact: true }));
  assert.equal(await article.locator("strong").textContent(), "there");
  await article.getByRole("button", { name: "More", exact: true }).click();
  for (const name of ["Reply", "React", "Edit", "Delete", "Info"]) await seen(tab.getByRole("menuitem", { name, exact: true }));
  await tab.getByRole("menuitem", { name: "Edit", exact: true }).click();
  assert.equal(await box.inputValue(), "hello **there**");
  await box.fill("hello again");
  await box.press("Enter");
  await seen(article.getByText("hello again"));
  await seen(article.getByText("edited"));
  await article.getByRole("button", { name: "More", exact: true }).click();
  await tab.getByRole("menuitem", { name: "Delete", exact: true }).click();
  await tab.getByRole("alertdialog").getByRole("button", { name: "Delete", exact: true }).click();
  await seen(article.getByText("You deleted this message"));
});

test("the account", limit, async (t) => {
  const tab = await open(t, { hash: "#/" });
  await tab.getByRole("button", { name: "Account", exact: true }).click();
  for (const name of ["Profile", "Devices", "Security", "Appearance", "Notifications"]) {
    await tab.getByRole("link", { name: new RegExp(`^${name}`) }).click();
    await seen(tab.getByRole("heading", { level: 1, name, exact: true }));
  }
  await tab.getByRole("button", { name: "Log out", exact: true }).click();
  await tab.getByRole("alertdialog").getByRole("button", { name: "Log out", exact: true }).click();
  await seen(tab.getByRole("button", { name: "Log in" }));
});

test("the keyboard alone reads, answers, edits and goes elsewhere", limit, async (t) => {
  const tab = await open(t, { hash: conversation(1) });
  const focused = async () => tab.evaluate(() => document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.textContent);
  await seen(tab.getByRole("log"));
  await tab.keyboard.type("by hand");
  await tab.keyboard.press("Enter");
  await seen(tab.getByRole("article").last().getByText("by hand"));
  await tab.keyboard.press("ArrowUp");
  await tab.waitForFunction(() => document.querySelector("textarea").value === "by hand");
  await tab.keyboard.press("Escape");
  await tab.getByRole("log").focus();
  await tab.getByRole("article").last().focus();
  await tab.keyboard.press("ArrowUp");
  await tab.keyboard.press("ArrowUp");
  assert.match(await focused(), /^Ben Osei, /);
  await tab.keyboard.press("r");
  await seen(tab.getByText("Reply to Ben Osei"));
  assert.equal(await focused(), "Message");
  await tab.keyboard.press("Escape");
  await tab.getByRole("article").last().focus();
  await tab.keyboard.press("Enter");
  assert.match(await focused(), /Reply/);
  await tab.keyboard.press("End");
  assert.match(await focused(), /Delete/);
  await tab.keyboard.press("i");
  assert.match(await focused(), /Info/);
  await tab.keyboard.press("Escape");
  assert.match(await focused(), /^You, 14:20, /);
  await tab.keyboard.press("Control+k");
  await tab.keyboard.type("ann");
  await tab.keyboard.press("Enter");
  await seen(tab.getByRole("heading", { level: 1, name: "Ann Keller" }));
  await tab.keyboard.press("Alt+ArrowDown");
  await seen(tab.getByRole("heading", { level: 1, name: "Ben Osei" }));
});

test("Tab reaches everything in the list and the conversation, and the focus can be seen", limit, async (t) => {
  const tab = await open(t, { hash: conversation(2) });
  await seen(tab.getByRole("log"));
  const names = ["Account"];
  await tab.getByRole("button", { name: "Account" }).focus();
  for (let i = 0; i < 40; i++) {
    await tab.keyboard.press("Tab");
    const now = await tab.evaluate(() => {
      const element = document.activeElement;
      if (!element || element === document.body) return null;
      const style = getComputedStyle(element);
      const shown = style.outlineStyle !== "none" || element.matches("textarea, .search-box input");
      return { name: element.getAttribute("aria-label") ?? element.textContent.trim().slice(0, 40), shown };
    });
    if (now === null) break;
    names.push(now.name);
    assert.ok(now.shown, `${now.name} shows no focus`);
  }
  for (const name of ["Account", "Search", "Invite", "Message", "Attach files", "Conversation menu"]) assert.ok(names.includes(name), `${name} in ${names}`);
});

for (const width of [360, 720, 1024, 3840]) {
  test(`nothing is cut at ${width} px`, limit, async (t) => {
    const tab = await open(t, { width, height: 800, hash: conversation(1) });
    await seen(tab.getByRole("log"));
    const wide = await tab.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.ok(wide <= 0, `${wide} px too wide`);
    for (const hash of ["#/", "#/account/security", "#/account/appearance", `#/verify/${(0x7a4).toString(16).padStart(32, "0")}`]) {
      await tab.goto(`${served.address}/?scene=main${hash}`);
      await settled(tab);
      const over = await tab.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.ok(over <= 0, `${hash}: ${over} px too wide`);
    }
  });
}

test("forced colours and more contrast have no violation", limit, async (t) => {
  const tab = await open(t, { hash: conversation(1), forcedColors: "active", contrast: "more" });
  await seen(tab.getByRole("log"));
  assert.deepEqual(await violations(tab), []);
});

test("a page that is open at midnight says that what it has is of yesterday", limit, async (t) => {
  const tab = await open(t, { hash: conversation(1) });
  await seen(tab.getByRole("link", { name: /^Spring concert.*14:12$/ }));
  await seen(tab.getByRole("log").getByText("Today", { exact: true }));
  await tab.clock.setFixedTime(new Date(2026, 10, 25, 0, 1));
  await tab.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  await seen(tab.getByRole("link", { name: /^Spring concert.*Yesterday$/ }));
  await seen(tab.getByRole("log").getByText("Yesterday", { exact: true }));
});

test("a draft stays with its conversation", limit, async (t) => {
  const tab = await open(t, { hash: conversation(1) });
  const box = tab.getByRole("textbox", { name: "Message" });
  await box.fill("not yet");
  await tab.getByRole("link", { name: /^Ann Keller/ }).click();
  await seen(tab.getByRole("heading", { level: 1, name: "Ann Keller" }));
  assert.equal(await box.inputValue(), "");
  await seen(tab.getByRole("link", { name: /^Spring concert.*Draft/ }));
  await tab.getByRole("link", { name: /^Spring concert/ }).click();
  await tab.waitForFunction(() => document.querySelector("textarea")?.value === "not yet");
});

test("a finger: a long press opens the menu, a swipe towards the start replies", limit, async (t) => {
  const tab = await open(t, { hash: conversation(2), width: 390, height: 844, hasTouch: true, isMobile: true });
  const fingers = await tab.context().newCDPSession(tab);
  const touch = (type, x, y) => fingers.send("Input.dispatchTouchEvent", { type, touchPoints: x === null ? [] : [{ x, y }] });
  const article = tab.getByRole("article", { name: /^Ann Keller, 13:58/ });
  await seen(article);
  const box = await article.boundingBox();
  const y = box.y + 12;
  await touch("touchStart", 250, y);
  for (const x of [230, 210, 190, 170]) await touch("touchMove", x, y);
  await touch("touchEnd", null);
  await seen(tab.getByText("Reply to Ann Keller"));
  await tab.getByRole("button", { name: "Do not reply" }).click();
  await touch("touchStart", 250, y);
  await seen(tab.getByRole("menuitem", { name: "Reply", exact: true }));
  await touch("touchEnd", null);
  await tab.getByRole("button", { name: "👍" }).click();
  await seen(article.getByRole("button", { name: /^👍 1, with yours/ }));
});

for (const [language, back] of [["de", "Zurück"], ["hu", "Vissza"], ["ar", "رجوع"]]) {
  test(`nothing is cut at 360 px in the language ${language}, and axe finds nothing`, limit, async (t) => {
    const tab = await open(t, { width: 360, height: 780, hash: conversation(8), locale: language });
    await seen(tab.getByRole("button", { name: back, exact: true }));
    assert.equal(await tab.evaluate(() => document.documentElement.dir), language === "ar" ? "rtl" : "ltr");
    const user = (0x7a4).toString(16).padStart(32, "0");
    const sections = ["profile", "devices", "security", "appearance", "notifications"].map((one) => `#/account/${one}`);
    for (const [scene, hash] of [["main", conversation(1)], ["main", conversation(8)], ["requests", "#/"], ["main", `#/verify/${user}`], ["out", ""], ["out", "#invite=a&from=b&card=c&v=d"], ["insecure", ""], ...sections.map((one) => ["main", one])]) {
      await tab.goto("about:blank");
      await tab.goto(`${served.address}/?scene=${scene}${hash}`);
      await settled(tab);
      const wide = await tab.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.ok(wide <= 0, `${scene} ${hash}: ${wide} px too wide`);
      assert.deepEqual(await violations(tab), [], `${scene} ${hash}`);
    }
  });
}

test("Escape goes one step back: menu, dialog, panel, conversation", limit, async (t) => {
  const tab = await open(t, { hash: conversation(1) });
  await tab.getByRole("button", { name: "Conversation menu" }).click();
  await tab.getByRole("menuitem", { name: "Members" }).click();
  const dialog = tab.getByRole("dialog", { name: /^Spring concert/ });
  await dialog.getByRole("button", { name: "More about Ben Osei" }).click();
  await seen(tab.getByRole("menuitem", { name: "Compare numbers" }));
  await tab.keyboard.press("Escape");
  await tab.getByRole("menuitem").first().waitFor({ state: "detached" });
  await seen(dialog);
  await tab.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  await seen(tab.getByRole("log"));
  await tab.getByRole("button", { name: "Emoji", exact: true }).click();
  await seen(tab.getByRole("textbox", { name: "Search emoji" }));
  await tab.keyboard.press("Escape");
  await tab.getByRole("textbox", { name: "Search emoji" }).waitFor({ state: "detached" });
  await tab.getByRole("log").focus();
  await tab.keyboard.press("Escape");
  await tab.getByRole("log").waitFor({ state: "detached" });
  await tab.waitForFunction(() => document.activeElement?.classList.contains("row"));
});

test("a confirmation: No, and the focus is back", limit, async (t) => {
  const tab = await open(t, { hash: conversation(1) });
  await tab.getByRole("button", { name: "Conversation menu" }).click();
  await tab.getByRole("menuitem", { name: "Leave group" }).click();
  await seen(tab.getByRole("alertdialog", { name: "Leave “Spring concert”?" }));
  await tab.getByRole("button", { name: "Stay", exact: true }).click();
  await tab.getByRole("alertdialog").waitFor({ state: "detached" });
  await tab.waitForFunction(() => document.activeElement?.getAttribute("aria-label") === "Conversation menu");
});
