// When two are not in contact any more: the conversation says so at once, and what was written stays.

import assert from "node:assert/strict";
import { violations } from "./chromium.mjs";
import { password, stories } from "./world.mjs";

const { pair, story } = stories({ REGISTRATION: "open" });

story("when the other user ends the friendship, the composer is locked at once, and unlocked when they are friends again", async (t) => {
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

story("a contact's deleted account is shown at once", async (t) => {
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

story("a contact is removed by the menu, and gets a new request: the other user accepts in the conversation", async (t) => {
  const [ann, ben] = await pair(t);
  await ann.says("See you");
  await ann.button("Conversation menu").click();
  await ann.tab.getByRole("menuitem", { name: "Remove contact" }).click();
  await ann.question.filter({ hasText: "Remove Ben from your contacts?" }).waitFor();
  assert.deepEqual(await violations(ann.tab), []);
  await ann.confirms("Remove contact");
  for (const [person, other] of [[ann, "Ben"], [ben, "Ann"]]) {
    await person.tab.getByText(`You and ${other} are no longer in contact. What was written stays here.`).waitFor();
    assert.equal(await person.box.count(), 0);
  }
  await ann.sees("See you");
  // Ann asked once, which was accepted: nobody is waited for now.
  await ann.button("Ask again").waitFor();
  await ann.button("Ask again").click();
  await ann.tab.getByText("Sent. You can write as soon as Ben accepts.").waitFor();
  await ben.tab.getByText("Ann wants to write to you again.").waitFor();
  await ben.tab.locator(".locked-composer").getByRole("button", { name: "Accept" }).click();
  await Promise.all([ann.box.waitFor(), ben.box.waitFor()]);
  await ben.says("Back again");
  await ann.sees("Back again");
  // Once more, from the other side.
  await ben.button("Conversation menu").click();
  await ben.tab.getByRole("menuitem", { name: "Remove contact" }).click();
  await ben.confirms("Remove contact");
  await ann.button("Ask again").waitFor();
});
