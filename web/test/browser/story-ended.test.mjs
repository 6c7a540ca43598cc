// When two are not in contact any more: the conversation says so at once, and what was written stays.

import assert from "node:assert/strict";
import { violations } from "./chromium.mjs";
import { password, stories } from "./world.mjs";

const { pair, story } = stories({ REGISTRATION: "open" });

story("a friendship that the other one ends takes the box away at once, and gives it back when they are friends again", async (t) => {
  const [ann, ben] = await pair(t);
  await ann.says("See you");
  await ann.box.fill("half a thought");
  const { friends } = await ben.asks("chatfriends", "list", {});
  const [friendid] = Object.keys(friends);
  await ben.asks("chatfriends", "remove", { friendid });
  await ann.tab.getByText("You and Ben are no longer in contact. What was written stays here.").waitFor();
  assert.equal(await ann.box.count(), 0);
  await ann.sees("See you");
  assert.deepEqual(await violations(ann.tab), []);
  await ann.tab.reload();
  await ann.tab.getByText("You and Ben are no longer in contact.").waitFor();
  await ben.button("Back").click();
  await ann.befriends(ben);
  await ann.box.waitFor();
  await ann.tab.waitForFunction(() => document.querySelector("textarea")?.value === "half a thought");
});

story("of who has deleted their account it says so at once", async (t) => {
  const [ann, ben] = await pair(t);
  await ben.says("Goodbye");
  await ann.sees("Goodbye");
  await ben.button("Back").click();
  await ben.button("Account").click();
  await ben.tab.getByRole("link", { name: /^Profile/ }).click();
  await ben.button("Delete account").click();
  const dialog = ben.tab.getByRole("dialog", { name: "Delete account" });
  await dialog.getByRole("textbox", { name: "Password", exact: true }).fill(password);
  await dialog.getByRole("button", { name: "Delete account", exact: true }).click();
  await ben.button("Log in").waitFor();
  await ann.tab.getByText("Ben has deleted their account. What is here stays.").waitFor();
  assert.equal(await ann.box.count(), 0);
  await ann.row("Ben", "Account deleted").waitFor();
  await ann.tab.locator(".pane-title").getByText("Account deleted").waitFor();
  await ann.sees("Goodbye");
  assert.deepEqual(await violations(ann.tab), []);
});
