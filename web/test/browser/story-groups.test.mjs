// Groups: inviting, what later members can read, and what the log says of it.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { violations } from "./chromium.mjs";
import { stories } from "./world.mjs";

const { joins, pair, story } = stories({ REGISTRATION: "open" });

/** Makes a group of these, and opens it. */
async function makesGroup(person, name, members) {
  await person.button("New group").click();
  await person.fills("Group name", name);
  for (const one of members) await person.tab.getByRole("checkbox", { name: one, exact: true }).check();
  await person.button("Create group").click();
  await person.tab.getByRole("heading", { level: 1, name }).waitFor();
}

/** Adds somebody to the open group, with or without what was written before. */
async function adds(person, name, { history }) {
  await person.chooses("Members");
  await person.button("Add people").click();
  await person.tab.getByRole("checkbox", { name, exact: true }).check();
  if (history) await person.tab.getByRole("switch", { name: "Let them read what was written before" }).click();
  await person.button("Add people").click();
  await person.button(`More about ${name}`).waitFor();
  await person.tab.keyboard.press("Escape");
}

story("a later member reads earlier messages only if an admin shares them, and is told so", async (t) => {
  const [ann, ben] = await pair(t);
  const [cleo, dora] = await Promise.all([joins(t, "Cleo"), joins(t, "Dora")]);
  await ann.befriends(cleo);
  await ann.befriends(dora);
  await makesGroup(ann, "Choir", ["Ben"]);
  await ann.says("Before they came");
  await adds(ann, "Cleo", { history: false });
  await adds(ann, "Dora", { history: true });
  await ann.says("All four");
  await cleo.opens("Choir");
  await cleo.sees("All four");
  await cleo.log.getByText("You cannot read this: it was written without you").waitFor();
  assert.equal(await cleo.log.getByText("Waiting for the key").count(), 0);
  await dora.opens("Choir");
  await dora.sees("Before they came");
  // The dialog lists the people who can still be added, or says that there are none.
  await ann.chooses("Members");
  await ann.button("Add people").click();
  await ann.tab.getByText("All your contacts are in this group already.").waitFor();
  assert.deepEqual(await violations(ann.tab), []);
  await ann.tab.keyboard.press("Escape");
  // A member who is no contact can be asked from there.
  await cleo.chooses("Members");
  await cleo.button("More about Ben").click();
  await cleo.tab.getByRole("menuitem", { name: "Send request" }).click();
  await cleo.tab.getByText("Sent. You can write as soon as Ben accepts.").first().waitFor();
  await ben.button("Back").click();
  await ben.tab.getByRole("group", { name: "Cleo", exact: true }).getByRole("button", { name: "Accept" }).click();
  await ben.tab.getByRole("heading", { level: 1, name: "Cleo", exact: true }).waitFor();
});

story("a group is renamed, and its keys are renewed, from its menu; in a conversation of two, too", async (t) => {
  const [ann, ben] = await pair(t);
  await ann.chooses("Renew keys");
  await ann.tab.getByText("The keys were renewed.").first().waitFor();
  await ann.says("Under new keys");
  await ben.sees("Under new keys");
  await makesGroup(ann, "Choir", ["Ben"]);
  await ann.chooses("Rename");
  await ann.fills("Group name", "Chamber choir");
  await ann.button("Save").click();
  await ben.button("Back").click();
  await ben.opens("Chamber choir");
  await ann.says("Welcome");
  await ben.sees("Welcome");
  await ann.chooses("Renew keys");
  await ben.log.getByText("The keys were renewed.").waitFor();
  await ann.says("Once more");
  await ben.sees("Once more");
  // Only admins can rename it.
  await ben.button("Conversation menu").click();
  await ben.tab.getByRole("menuitem", { name: "Renew keys", exact: true }).waitFor();
  assert.equal(await ben.tab.getByRole("menuitem", { name: "Rename", exact: true }).count(), 0);
});

story("on a phone one searches in a conversation; what a device can read is taken along as JSON and as a page", async (t) => {
  const [ann, ben] = await pair(t);
  await ann.says("The key is under the **third** pot\n<b>not</b> the second");
  await ann.says("Forget that");
  await ann.says("Oops");
  await ann.does("Oops", "Delete");
  await ann.confirms("Delete");
  await ben.does("The key is", "Reply");
  await ben.box.fill("Found it");
  await ben.button("Send").click();
  await ann.sees("Found it");
  await ben.button("Search here").click();
  await ben.tab.getByRole("textbox", { name: "Search here" }).fill("third");
  await ben.tab.getByText(/^Ann · /).waitFor();
  assert.deepEqual(await violations(ben.tab), []);

  const taken = async (button) => {
    const [file] = await Promise.all([ann.tab.waitForEvent("download"), ann.button(button).click()]);
    return { name: file.suggestedFilename(), text: readFileSync(await file.path(), "utf8") };
  };
  await ann.looksAt("Profile");
  const json = await taken("Export as JSON");
  assert.equal(json.name, "parlance.json");
  const { contacts, conversations } = JSON.parse(json.text);
  assert.deepEqual(contacts.map(({ name }) => name), ["Ben"]);
  const [{ messages }] = conversations;
  assert.deepEqual(
    messages.map(({ name, text, deleted, reply }) => [name, text, deleted, reply?.name ?? null]),
    [
      ["Ann", "The key is under the **third** pot\n<b>not</b> the second", false, null],
      ["Ann", "Forget that", false, null],
      ["Ann", "", true, null],
      ["Ben", "Found it", false, "Ann"],
    ],
  );
  const page = await taken("Export as a page");
  assert.equal(page.name, "parlance.html");
  const reader = await ann.context.newPage();
  await reader.setContent(page.text);
  await reader.getByRole("heading", { level: 2, name: "Ben" }).waitFor();
  assert.deepEqual(await reader.getByRole("article").locator("p").allInnerTexts(), [
    "The key is under the **third** pot\n<b>not</b> the second",
    "Forget that",
    "Ann deleted this message",
    "Found it",
  ]);
  assert.deepEqual(await violations(reader), []);
});
