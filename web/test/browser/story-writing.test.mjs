// What people write, and what becomes of it.

import assert from "node:assert/strict";
import { stories } from "./world.mjs";

const { joins, pair, story } = stories({ REGISTRATION: "open" }, { isWhole: true });

story("after @ the members of a group are offered, nobody else; Enter takes one, and sends what is typed out", async (t) => {
  const [ann, ben] = await pair(t);
  const cleo = await joins(t, "Cleo");
  await ann.befriends(cleo);
  await ann.button("New group").click();
  await ann.fills("Group name", "Choir");
  await ann.tab.getByRole("checkbox", { name: "Cleo", exact: true }).check();
  await ann.button("Create group").click();
  await ann.tab.getByRole("heading", { level: 1, name: "Choir" }).waitFor();
  await ann.box.pressSequentially("Hello @b");
  await ann.box.press("Backspace");
  await ann.box.pressSequentially("cl");
  const offered = ann.tab.getByRole("listbox").getByRole("option");
  await offered.first().waitFor();
  assert.deepEqual(await offered.allTextContents(), ["Cleo"]);
  await ann.box.press("Enter");
  assert.equal(await ann.box.inputValue(), "Hello @Cleo ");
  await ann.box.press("Enter");
  await cleo.opens("Choir");
  await cleo.log.locator(".mention.me", { hasText: "Cleo" }).waitFor();
  await cleo.box.pressSequentially("Yes @Ann");
  await cleo.box.press("Enter");
  await ann.log.locator(".mention.me", { hasText: "Ann" }).waitFor();
  await ben.button("Back").click();
  assert.equal(await ben.row("Choir").count(), 0);
});

story("a fast typist loses nothing, doubles nothing, and keeps the order", async (t) => {
  const [ann, ben] = await pair(t);
  const texts = Array.from({ length: 20 }, (_, i) => `m${i}`);
  for (const text of [...texts, "m1", "m10"]) {
    await ann.box.fill(text);
    await ann.box.press("Enter");
  }
  // In one go, as fast as a page can hear it: keys that come before the text has left the box.
  await ann.box.evaluate((box) => {
    const key = () => box.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true }));
    for (const text of ["hello", "x", "y"]) {
      document.execCommand("insertText", false, text);
      key();
    }
    document.execCommand("insertText", false, "left");
  });
  const all = [...texts, "m1", "m10", "hello", "x", "y"];
  await ben.sees("y");
  assert.deepEqual(await ben.texts(), all);
  await ann.tab.waitForFunction(() => document.querySelector("textarea").value === "left");
  // It is kept as the draft.
  await ann.tab.reload();
  await ann.tab.waitForFunction(() => document.querySelector("textarea")?.value === "left");
  await ann.log.getByRole("article").nth(all.length - 1).waitFor();
  assert.deepEqual(await ann.texts(), all);

  // A text over a pending edit, and one behind a pending reply.
  await ann.box.fill("");
  await ann.box.press("ArrowUp");
  await ann.tab.waitForFunction(() => document.querySelector("textarea").value === "y");
  await ann.box.evaluate((box) => {
    const key = () => box.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true }));
    for (const text of ["changed", "new"]) {
      box.select();
      document.execCommand("insertText", false, text);
      key();
    }
  });
  await ben.sees("new");
  await ben.article("changed").getByText("edited").waitFor();
  assert.deepEqual(await ben.texts(), [...all.slice(0, -1), "changed", "new"]);
});

story("what was edited opens its history", async (t) => {
  const [ann, ben] = await pair(t);
  await ann.says("At seven");
  await ben.sees("At seven");
  await ann.does("At seven", "Info");
  const info = ann.tab.getByRole("dialog", { name: "Message info" });
  await info.getByText("Seen by").waitFor();
  // By whom and when, and its place in the chain.
  await info.getByRole("listitem").filter({ hasText: /^Ben .*\d\d:\d\d/ }).first().waitFor();
  await info.getByText("It continues what is before it.").waitFor();
  await info.getByText(/^[0-9a-f]{64}$/).waitFor();
  assert.equal(await info.getByText("Earlier versions").count(), 0);
  await ann.tab.keyboard.press("Escape");
  await ann.does("At seven", "Edit");
  await ann.says("At half past seven");
  await ben.article("At half past seven").getByRole("button", { name: "edited" }).click();
  const history = ben.tab.getByRole("dialog", { name: "Message info" });
  await history.getByText("Earlier versions").waitFor();
  await history.getByText("At seven", { exact: true }).waitFor();
});

story("emoji are found and taken by the keyboard alone", async (t) => {
  const [ann, ben] = await pair(t);
  await ann.box.fill("Well done ");
  await ann.box.press("Tab");
  await ann.tab.keyboard.press("Enter");
  const focused = () => ann.tab.evaluate(() => document.activeElement.getAttribute("aria-label"));
  await ann.tab.waitForFunction(() => document.activeElement.getAttribute("aria-label") === "Search emoji");
  await ann.tab.keyboard.type("party pop");
  await ann.tab.getByRole("button", { name: "party popper" }).waitFor();
  await ann.tab.keyboard.press("ArrowDown");
  await ann.tab.keyboard.press("Enter");
  assert.equal(await ann.box.inputValue(), "Well done 🎉");
  await ann.box.press("Enter");
  await ben.sees("Well done 🎉");
  await ann.button("Emoji").focus();
  await ann.tab.keyboard.press("Enter");
  const field = ann.tab.getByRole("textbox", { name: "Search emoji" });
  await field.waitFor();
  await ann.tab.getByRole("button", { name: "grinning face", exact: true }).waitFor();
  await ann.tab.waitForFunction(() => document.activeElement.getAttribute("aria-label") === "Search emoji");
  await ann.tab.keyboard.press("ArrowDown");
  assert.equal(await focused(), "party popper"); // what was used last stands first
  await ann.tab.keyboard.press("ArrowRight");
  const second = await focused();
  await ann.tab.keyboard.press("ArrowDown");
  await ann.tab.keyboard.press("ArrowUp");
  assert.equal(await focused(), second);
  await ann.tab.keyboard.press("ArrowUp");
  assert.equal(await focused(), "Search emoji");
  await ann.tab.keyboard.press("Shift+Tab");
  await field.waitFor({ state: "detached" });
});

story("what is not sent says why and what helps, and holds up nothing for good", async (t) => {
  const [ann, ben] = await pair(t);
  await ben.says("Hello");
  await ann.sees("Hello");
  await ben.chooses("Block");
  await ben.confirms("Block");
  await ann.does("Hello", "React");
  await ann.tab.getByRole("textbox", { name: "Search emoji" }).fill("thumbs up");
  await ann.tab.getByRole("button", { name: "thumbs up", exact: true }).click();
  await ann.tab.getByText("Ben does not take messages from you.").waitFor();
  await ann.says("And this?");
  const reaction = ann.log.getByRole("article").filter({ hasText: "👍" }).last();
  await reaction.getByRole("button", { name: "Remove", exact: true }).click();
  await ann.article("And this?").getByText("Not sent", { exact: true }).waitFor();
  await ben.button("Unblock").click();
  await ben.box.waitFor();
  await ann.article("And this?").getByRole("button", { name: "Retry" }).click();
  await ben.sees("And this?");
  assert.deepEqual(await ann.texts(), ["Hello", "And this?"]);
});

story("messages that arrive while the user reads further up are below a line, to which the button scrolls first", async (t) => {
  const [ann, ben] = await pair(t);
  for (let i = 0; i < 70; i++) await ann.says(`Line ${i}`);
  await ben.sees("Line 69");
  await ben.log.evaluate((log) => {
    log.scrollTop = 0;
  });
  await ben.button("To the newest message").waitFor();
  const before = await ben.log.evaluate((log) => log.scrollTop);
  for (let i = 0; i < 30; i++) await ann.says(`News ${i}`);
  await ben.button("To the newest message").getByText("30 new").waitFor();
  assert.equal(await ben.log.evaluate((log) => log.scrollTop), before);
  await ben.button("To the newest message").click();
  const isOn = (text) => ben.article(text).first().evaluate((row) => {
    const [box, log] = [row.getBoundingClientRect(), row.closest(".log").getBoundingClientRect()];
    return box.top >= log.top && box.bottom <= log.bottom;
  });
  assert.ok(await ben.log.getByText("New messages", { exact: true }).isVisible());
  assert.ok(await isOn("News 0"));
  await ben.button("To the newest message").click();
  await ben.button("To the newest message").waitFor({ state: "detached" });
  assert.ok(await isOn("News 29"));
  await ann.knows("News 29", "Seen");
});

story("who writes while reading further up sees what they have written", async (t) => {
  const [ann, ben] = await pair(t);
  for (let i = 0; i < 40; i++) await ann.says(`Line ${i}`);
  await ben.sees("Line 39");
  await ann.log.evaluate((log) => {
    log.scrollTop = 0;
  });
  await ann.button("To the newest message").waitFor();
  await ann.says("Down here");
  await ann.button("To the newest message").waitFor({ state: "detached" });
  await ann.tab.waitForFunction(() => {
    const log = document.querySelector(".log").getBoundingClientRect();
    const row = [...document.querySelectorAll("[role=log] article")].at(-1).getBoundingClientRect();
    return row.top >= log.top && row.bottom <= log.bottom;
  });
});

story("without a network what waits is explained at once, although the socket is still open", async (t) => {
  const [, ben] = await pair(t);
  await ben.tab.evaluate(() => {
    Object.defineProperty(navigator, "onLine", { get: () => globalThis.isOnline, configurable: true });
    globalThis.isOnline = false;
    dispatchEvent(new Event("offline"));
  });
  await ben.context.route("**/?srv=*", (route) => route.abort());
  await ben.box.fill("Into the tunnel");
  await ben.button("Send").click();
  const bar = ben.tab.getByText("You are offline. What you write is sent later.");
  await bar.waitFor({ timeout: 10_000 });
  await ben.context.unroute("**/?srv=*");
  await ben.tab.evaluate(() => {
    globalThis.isOnline = true;
    dispatchEvent(new Event("online"));
  });
  await ben.knows("Into the tunnel", "Sent", "Delivered", "Seen");
  await bar.waitFor({ state: "detached" });
});

story("a reply, a list, a quote, code and a link are drawn; markup and scripts are text", async (t) => {
  const [ann, ben] = await pair(t);
  await ann.says("- one\n- two\n\n> said before\n\n`<b>x</b>` and https://example.org/a(b) and [here](javascript:alert(1))\n```\n<script>alert(1)</script>\n```");
  const article = ben.log.getByRole("article").last();
  await article.getByRole("listitem").first().waitFor();
  assert.deepEqual(await article.getByRole("listitem").allTextContents(), ["one", "two"]);
  assert.equal(await article.locator("blockquote").textContent(), "said before");
  assert.deepEqual(await article.getByRole("link").evaluateAll((all) => all.map((link) => link.href)), ["https://example.org/a(b)"]);
  assert.equal(await article.locator("script, b").count(), 0);
  assert.match(await article.locator("pre").textContent(), /<script>alert\(1\)<\/script>/);
});

story("the end stays in view whatever appears below and above: a question, the search, what it finds", async (t) => {
  const [ann, ben] = await pair(t);
  for (let i = 0; i < 40; i++) await ann.says(`Line ${i}`);
  await ben.sees("Line 39");
  await ann.knows("Line 39", "Seen");
  await ann.tab.reload();
  await ann.sees("Line 39");
  await ann.tab.getByText("Shall this browser tell you when Ben answers?").waitFor();
  const atEnd = () => ann.tab.waitForFunction(() => {
    const log = document.querySelector(".log");
    return log.scrollHeight - log.scrollTop - log.clientHeight < 2;
  });
  await atEnd();
  await ann.tab.keyboard.press("Control+f");
  await ann.tab.getByRole("textbox", { name: "Search here" }).fill("nowhere");
  await ann.tab.getByText("Nothing found for “nowhere”").waitFor();
  await atEnd();
  await ben.says("One more");
  await ann.sees("One more");
  await atEnd();
});

story("what is quoted and what is being edited outlive a reload and a look elsewhere, as the text does", async (t) => {
  const [ann, ben] = await pair(t);
  const cleo = await joins(t, "Cleo");
  await ann.befriends(cleo);
  await ann.opens("Ben");
  await ann.says("Shall we meet?");
  await ben.sees("Shall we meet?");
  await ben.box.fill("At seven");
  await ben.button("Send").click();
  await ann.sees("At seven");
  const quoted = (person) => person.tab.getByText("Reply to Ben", { exact: true });
  await ann.does("At seven", "Reply");
  await ann.box.fill("Seven is fine");
  await ann.row("Ben").getByText("Seven is fine").waitFor(); // It is stored on the device.
  await ann.tab.reload();
  await quoted(ann).waitFor();
  assert.equal(await ann.box.inputValue(), "Seven is fine");
  await ann.opens("Cleo");
  assert.equal(await quoted(ann).count(), 0);
  await ann.opens("Ben");
  await quoted(ann).waitFor();
  await ann.box.press("Enter");
  await ben.article("Seven is fine").getByRole("button", { name: /^You At seven/ }).waitFor();
  assert.equal(await quoted(ann).count(), 0);

  await ann.box.fill("Something new");
  await ann.does("Shall we meet?", "Edit");
  await ann.box.fill("Shall we meet tomorrow?");
  // The draft is stored at once when another conversation is opened.
  await ann.opens("Cleo");
  await ann.row("Ben").getByText("Something new").waitFor();
  await ann.tab.reload();
  await ann.opens("Ben");
  await ann.tab.getByText("Edit message", { exact: true }).waitFor();
  assert.equal(await ann.box.inputValue(), "Shall we meet tomorrow?");
  await ann.box.press("Enter");
  await ben.sees("Shall we meet tomorrow?");
  // What was begun before the edit is still there, also after another reload.
  await ann.tab.waitForFunction(() => document.querySelector("textarea")?.value === "Something new");
  await ann.tab.reload();
  await ann.tab.waitForFunction(() => document.querySelector("textarea")?.value === "Something new");
  assert.equal(await ann.tab.getByText("Edit message", { exact: true }).count(), 0);
  // A cancelled reply does not come back.
  await ann.does("At seven", "Reply");
  await ann.button("Do not reply").click();
  await ann.opens("Cleo");
  await ann.opens("Ben");
  await ann.tab.waitForFunction(() => document.querySelector("textarea")?.value === "Something new");
  assert.equal(await quoted(ann).count(), 0);
});

story("what was typed is in the draft after a reload, word by word", async (t) => {
  const [ann] = await pair(t);
  for (const word of ["To", "To be", "To be continued"]) {
    await ann.box.fill(word);
    // The list shows a draft once it is kept. What is typed in the moment before is kept as the page goes, if the browser lets it.
    await ann.row("Ben").getByText(word).waitFor();
    await ann.tab.evaluate(() => location.reload());
    await ann.tab.waitForFunction((last) => document.querySelector("textarea")?.value === last, word);
  }
});
