// Messages between two people, and what happens to them when the connection breaks.

import assert from "node:assert/strict";
import { Person, stories } from "./world.mjs";

const { world, story, pair } = stories({ REGISTRATION: "open" });

story("two people meet, write, answer, react, edit and delete", async (t) => {
  const [ann, ben] = await pair(t);
  await ann.says("Hello **Ben**");
  await ben.sees("Hello Ben");
  await ann.knows("Hello Ben", "Seen");
  await ben.does("Hello Ben", "Reply");
  await ben.says("Hello yourself");
  await ann.sees("Hello yourself");
  assert.match(await ann.article("Hello yourself").textContent(), /Hello Ben/);
  // Whose words they are: one's own are not called by one's name.
  for (const [one, whose] of [[ann, "You"], [ben, "Ann"]]) assert.equal(await one.article("Hello yourself").locator(".quote b").textContent(), whose);
  await ann.article("Hello yourself").getByRole("button", { name: "More" }).click();
  await ann.button("👍").click();
  await ann.article("Hello yourself").getByRole("button", { name: "👍 1, with yours, from you", exact: true }).waitFor();
  await ben.article("Hello yourself").getByRole("button", { name: "👍 1, from Ann", exact: true }).click();
  await ben.article("Hello yourself").getByRole("button", { name: "👍 2, with yours, from Ann and you", exact: true }).waitFor();
  await ann.article("Hello yourself").getByRole("button", { name: "👍 2, with yours, from Ben and you", exact: true }).waitFor();
  await ann.does("Hello Ben", "Edit");
  await ann.says("Hello dear Ben");
  await ben.article("Hello dear Ben").getByText("edited").waitFor();
  await ann.does("Hello dear Ben", "Info");
  const info = ann.tab.getByRole("dialog", { name: "Message info" });
  await info.getByText("Seen by").waitFor();
  await ann.tab.keyboard.press("Escape");
  await ann.does("Hello dear Ben", "Delete");
  await ann.confirms("Delete");
  await ben.log.locator(".notice").getByText("Ann deleted this message").waitFor();
  // What is deleted is quoted by nobody any more.
  await ben.article("Hello yourself").locator(".quote").getByText("Ann deleted this message").waitFor();
});

story("a deleted message is named as such in the list, and has no delivery state any more", async (t) => {
  const [ann, ben] = await pair(t);
  await ann.says("A slip");
  await ann.knows("A slip", "Seen", "Delivered");
  await ann.row("Ben").locator(".state-icon").waitFor();
  await ann.does("A slip", "Delete");
  await ann.confirms("Delete");
  await ann.row("Ben").getByText("You deleted this message").waitFor();
  await ann.tab.getByRole("article", { name: /^You, \d\d:\d\d$/ }).waitFor();
  assert.equal(await ann.tab.locator(".state-icon").count(), 0);
  await ben.button("Back").click();
  await ben.row("Ann").getByText("Ann deleted this message").waitFor();
});

story("without a connection nobody is shown as here, the user included", async (t) => {
  const [ann, ben] = await pair(t);
  await ben.says("I am here");
  const said = ann.tab.locator(".pane-title").getByText("Available", { exact: true });
  const dots = ann.tab.locator(".dot");
  await said.waitFor();
  await ann.tab.locator(".list-me .dot.available").waitFor();
  world.proxy.cut();
  await said.waitFor({ state: "detached" });
  assert.equal(await dots.count(), 0);
  world.proxy.restore();
  await ann.tab.evaluate(() => dispatchEvent(new Event("online")));
  await said.waitFor();
  await ann.tab.locator(".list-me .dot.available").waitFor();
});

story("typing is shown; unread messages are counted, and the log opens at the first one", async (t) => {
  const [ann, ben] = await pair(t);
  await ann.box.pressSequentially("Good mor");
  await ben.tab.getByText("Ann is writing …").waitFor();
  await ann.says("Good morning");
  await ben.sees("Good morning");
  await ben.button("Back").click();
  for (let i = 0; i < 24; i++) await ann.says(`News ${i}\n\nwith more\n\nto read\n\nbelow`);
  await ben.row("Ann", "24 unread").waitFor();
  await ben.opens("Ann");
  await ben.log.getByText("New messages", { exact: true }).waitFor();
  assert.ok(await ben.article("News 0").first().isVisible());
  await ben.button("To the newest message").click();
  await ann.knows("News 23", "Seen");
  await ben.button("Back").click();
  await ben.row("Ann", "(?!\\d+ unread)").waitFor();
});

story("a reload loses nothing: session, log and draft are there, offline, too", async (t) => {
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
  await ann.knows("Written offline, second", "Sending");
  await ann.tab.reload();
  await ann.sees("Written offline, second");
  await ann.context.setOffline(false);
  await ben.sees("Written offline, second");
  assert.deepEqual((await ben.texts()).slice(-2), ["Written offline, first", "Written offline, second"]);
  assert.deepEqual(await ann.texts(), await ben.texts());
});

story("messages that are written while the server is away arrive once, in order", async (t) => {
  const [ann, ben] = await pair(t);
  await ann.says("one");
  await ben.sees("one");
  world.proxy.cut();
  t.after(() => world.proxy.restore());
  for (const text of ["two", "three", "four"]) await ann.says(text);
  await ann.knows("four", "Sending");
  await ann.tab.getByText("The server does not answer.").waitFor();
  world.proxy.restore();
  await ann.button("Try now").click();
  await ben.sees("four");
  await ann.knows("four", "Sent", "Delivered", "Seen");
  assert.deepEqual(await ben.texts(), ["one", "two", "three", "four"]);
  assert.deepEqual(await ann.texts(), ["one", "two", "three", "four"]);
});

story("two tabs of one browser show the same; when the first is closed the other goes on", async (t) => {
  const [ann, ben] = await pair(t);
  await ann.says("from the first tab");
  const second = await ann.context.newPage();
  await second.goto(ann.tab.url());
  const other = new Person(world, ann.context, second, ann.name, ann.email);
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

story("the log loads older messages when it is scrolled, without a jump", async (t) => {
  const [ann, ben] = await pair(t);
  const texts = Array.from({ length: 110 }, (_, i) => `Message number ${i}`);
  for (const text of texts) await ann.says(text);
  await ben.sees("Message number 109");
  await ben.tab.reload();
  await ben.sees("Message number 109");
  while (!(await ben.log.getByText("This is the beginning.").isVisible())) {
    const before = await ben.log.evaluate((box) => {
      box.scrollTop = Math.min(300, box.scrollTop);
      const rows = [...box.querySelectorAll("article")];
      const top = box.getBoundingClientRect().top;
      const first = rows.find((row) => row.getBoundingClientRect().bottom > top);
      return { id: first.id, at: first.getBoundingClientRect().top, rows: rows.length };
    });
    const moved = await ben.tab.waitForFunction(({ id, at, rows }) => {
      const box = document.querySelector(".log");
      if (box.querySelectorAll("article").length > rows || box.querySelector(".beginning")) {
        return { by: document.getElementById(id).getBoundingClientRect().top - at };
      }
      // What is drawn late puts the reader back.
      box.scrollTop = Math.min(300, box.scrollTop);
      return null;
    }, before);
    const { by } = await moved.jsonValue();
    assert.ok(Math.abs(by) < 2, `it jumped by ${by} px`);
  }
  assert.deepEqual(await ben.texts(), texts);

  // Where a page of messages does not fill the window there is nothing to scroll.
  const tall = await ben.onAnotherDevice({ width: 1440, height: 12_000 });
  t.after(() => tall.context.close());
  await tall.opens("Ann");
  await tall.sees("Message number 0");
  await tall.sees("Message number 109");
  assert.deepEqual(await tall.texts(), texts);
});

story("safety numbers are the same on both screens, and comparing them marks the person", async (t) => {
  const [ann, ben] = await pair(t);
  const numbers = async (person) => {
    await person.chooses("Safety number");
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
