// What people do with links, groups and themselves.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { violations } from "./chromium.mjs";
import { stories } from "./world.mjs";

const { world, joins, pair, story } = stories({ REGISTRATION: "open" });
const phone = { width: 390, height: 844 };

async function invitationOf(person) {
  await person.button("Invite").click();
  const link = person.tab.getByRole("dialog").getByRole("textbox", { name: "Invitation link", exact: true });
  await person.tab.waitForFunction(() => document.querySelector("dialog [readonly]")?.value.includes("#invite="));
  const hash = new URL(await link.inputValue()).hash;
  await person.tab.keyboard.press("Escape");
  return hash;
}

story("an invitation's link that somebody opens who has an account asks for a contact; its secret leaves the address", async (t) => {
  const [ann, ben] = await Promise.all([joins(t, "Ann"), joins(t, "Ben", phone)]);
  const hash = await invitationOf(ann);
  await ann.tab.goto(world.way.address + hash);
  const own = ann.tab.getByRole("dialog", { name: "You have an account here" });
  await own.getByText("This is your own invitation.").waitFor();
  assert.equal(await own.getByRole("button", { name: "Send request" }).count(), 0);
  await ann.tab.keyboard.press("Escape");
  await ben.tab.goto(world.way.address + hash);
  const dialog = ben.tab.getByRole("dialog", { name: "You have an account here" });
  await dialog.getByText("You are logged in as Ben.").waitFor();
  assert.equal(new URL(ben.tab.url()).hash, "#/");
  assert.deepEqual(await violations(ben.tab), []);
  await dialog.getByRole("button", { name: "Send request" }).click();
  await dialog.getByText("Sent. You can write as soon as they accept.").waitFor();
  await dialog.getByRole("button", { name: "Close" }).last().click();
  await ann.button("Accept").click();
  await ann.tab.getByRole("heading", { level: 1, name: "Ben" }).waitFor();
  await ann.says("Here you are");
  await ben.row("Ann", "1 unread").waitFor();
  await ben.tab.goto(world.way.address + hash);
  await ben.button("Write to Ann").click();
  await ben.sees("Here you are");
});

story("who is removed from a group keeps what was read, until it is taken from the list", async (t) => {
  const [ann, ben] = await pair(t);
  await ann.button("New group").click();
  await ann.fills("Group name", "Choir");
  await ann.tab.getByRole("checkbox", { name: "Ben", exact: true }).check();
  await ann.button("Create group").click();
  await ann.tab.getByRole("heading", { level: 1, name: "Choir" }).waitFor();
  await ann.says("Welcome");
  await ben.button("Back").click();
  await ben.opens("Choir");
  await ben.sees("Welcome");
  await ann.chooses("Members");
  await ann.button("More about Ben").click();
  await ann.tab.getByRole("menuitem", { name: "Remove from group" }).click();
  await ann.confirms("Remove from group");
  await ben.tab.getByText("You are no longer in this group.").waitFor();
  assert.equal(await ben.box.count(), 0);
  await ben.sees("Welcome");
  await ben.tab.reload();
  await ben.sees("Welcome");
  assert.deepEqual(await violations(ben.tab), []);
  await ben.button("Remove from list").click();
  await ben.row("Choir").waitFor({ state: "detached" });
  await ben.row("Ann").waitFor();
  await ben.tab.reload();
  await ben.row("Ann").waitFor();
  assert.equal(await ben.row("Choir").count(), 0);
  // Alone in it, Ann still has the group by its name, and its log says what happened.
  await ann.log.getByText("No longer in the group: Ben. The keys were renewed.").waitFor();
  await ann.row("Choir").waitFor();
});

story("who is added again reads on where they stopped", async (t) => {
  const [ann, ben] = await pair(t);
  await ann.button("New group").click();
  await ann.fills("Group name", "Choir");
  await ann.tab.getByRole("checkbox", { name: "Ben", exact: true }).check();
  await ann.button("Create group").click();
  await ann.tab.getByRole("heading", { level: 1, name: "Choir" }).waitFor();
  await ann.says("First");
  await ben.button("Back").click();
  await ben.opens("Choir");
  await ben.sees("First");
  await ann.chooses("Members");
  await ann.button("More about Ben").click();
  await ann.tab.getByRole("menuitem", { name: "Remove from group" }).click();
  await ann.confirms("Remove from group");
  await ben.tab.getByText("You are no longer in this group.").waitFor();
  await ann.chooses("Members");
  await ann.button("Add people").click();
  await ann.tab.getByRole("checkbox", { name: "Ben", exact: true }).check();
  await ann.button("Add people").click();
  await ann.button("More about Ben").waitFor();
  await ann.tab.keyboard.press("Escape");
  await ann.log.getByText("Ann added Ben.").waitFor();
  await ben.box.waitFor();
  await ann.says("Second");
  await ben.sees("Second");
  await ben.says("Back again");
  await ann.sees("Back again");
});

story("saved messages are begun from the dialog, by one's own e-mail, and from the palette: always the same place", async (t) => {
  const ann = await joins(t, "Ann");
  await ann.button("New conversation").click();
  await ann.button("Saved messages").click();
  await ann.tab.getByRole("heading", { level: 1, name: "Saved messages" }).waitFor();
  await ann.tab.getByText("What you keep here is for you alone").first().waitFor();
  await ann.says("The door code is **4711**");
  await ann.knows("The door code", "Sent", "Delivered", "Seen");
  await ann.row("Saved messages").waitFor();
  const place = ann.tab.url();
  await ann.tab.goto(`${world.way.address}#/`);
  await ann.button("New conversation").click();
  await ann.fills("E-mail", ann.email);
  await ann.button("Send request").click();
  await ann.sees("The door code");
  assert.equal(ann.tab.url(), place);
  await ann.tab.keyboard.press("Control+k");
  await ann.tab.keyboard.type(">saved");
  await ann.tab.keyboard.press("Enter");
  await ann.tab.getByRole("dialog").waitFor({ state: "detached" });
  assert.equal(ann.tab.url(), place);
  assert.equal(await ann.list.getByRole("link").count(), 1);
  const there = await ann.onAnotherDevice();
  t.after(() => there.context.close());
  await there.opens("Saved messages");
  await there.sees("The door code");
});

story("who is invisible stays so after a reload, for themselves and for others, and on another device", async (t) => {
  const [ann, ben] = await pair(t);
  const shown = ann.tab.locator(".pane-title");
  await shown.getByText("Available").waitFor();
  await ben.button("Back").click();
  await ben.button("Account").click();
  await ben.tab.getByRole("link", { name: /^Profile/ }).click();
  const chooses = async (name) => {
    await ben.tab.getByRole("radio", { name }).check();
    await ben.tab.getByRole("radio", { name, checked: true }).waitFor();
  };
  await chooses("Invisible");
  await shown.getByText("Available").waitFor({ state: "detached" });
  // Not for a moment either.
  await shown.evaluate((title) => {
    new MutationObserver(() => {
      if (title.textContent.includes("Available")) globalThis.wasSeen = true;
    }).observe(title, { childList: true, subtree: true, characterData: true });
  });
  await ben.tab.reload();
  await ben.tab.getByRole("radio", { name: "Invisible", checked: true }).waitFor();
  const there = await ben.onAnotherDevice();
  t.after(() => there.context.close());
  await there.button("Account").click();
  await there.tab.getByRole("link", { name: /^Profile/ }).click();
  await there.tab.getByRole("radio", { name: "Invisible", checked: true }).waitFor();
  await chooses("Busy");
  await shown.getByText("Busy").waitFor();
  assert.equal(await ann.tab.evaluate(() => globalThis.wasSeen), undefined);
  await ben.tab.reload();
  await ben.tab.getByRole("radio", { name: "Busy", checked: true }).waitFor();
  await shown.getByText("Busy").waitFor();
});

story("an address of a conversation that is not here says so, and leads back", async (t) => {
  const ann = await joins(t, "Ann", phone);
  await ann.tab.goto(`${world.way.address}#/c/0123456789abcdef0123456789abcdef`);
  await ann.tab.getByText("This conversation is not on this device.").waitFor();
  await ann.button("Back").click();
  await ann.search.waitFor();
});

story("whom one has asked stands in the list until they answer, and can be asked no more", async (t) => {
  const [ann, ben] = await Promise.all([joins(t, "Ann", phone), joins(t, "Ben")]);
  const asks = async () => {
    await ann.button("New conversation").click();
    await ann.fills("E-mail", ben.email);
    await ann.button("Send request").click();
    await ann.tab.getByRole("dialog").getByText(`Sent. You can write as soon as ${ben.email} accepts.`).waitFor();
    await ann.tab.keyboard.press("Escape");
  };
  await asks();
  const card = ann.tab.getByRole("group", { name: ben.email, exact: true });
  await card.getByText("has not accepted yet").waitFor();
  await ben.button("Accept").waitFor();
  assert.deepEqual(await violations(ann.tab), []);
  await ann.tab.reload();
  await ann.button(`Withdraw the request to ${ben.email}`).click();
  await card.waitFor({ state: "detached" });
  await ben.button("Accept").waitFor({ state: "detached" });
  await asks();
  await ben.button("Accept").click();
  await ann.row("Ben").waitFor();
  await card.waitFor({ state: "detached" });
});

story("a name that looks like another one has the id beside it, in the list, the details and a request", async (t) => {
  const [ann, carl] = await Promise.all([joins(t, "Ann"), joins(t, "Carl")]);
  await ann.befriends(carl);
  const idOf = ({ email }) => createHash("md5").update(email).digest("hex");
  assert.equal(await ann.tab.getByText(idOf(carl).slice(0, 8)).count(), 0);
  const other = await joins(t, "Car1");
  await other.button("New conversation").click();
  await other.fills("E-mail", ann.email);
  await other.button("Send request").click();
  const card = ann.tab.getByRole("group", { name: "Car1", exact: true });
  await card.getByText(idOf(other), { exact: true }).waitFor();
  await ann.row("Carl", idOf(carl).slice(0, 8)).click();
  await ann.tab.locator(".pane-title").getByText(idOf(carl).slice(0, 8)).waitFor();
  await ann.tab.locator(".pane-title").click();
  const details = ann.tab.getByRole("complementary", { name: "Details" });
  await details.getByText("Somebody else has a name that looks like this one.").waitFor();
  await details.getByText(idOf(carl), { exact: true }).waitFor();
  assert.deepEqual(await violations(ann.tab), []);
});

story("how long one's messages are kept is set on one device and holds on the others, without anything in the list", async (t) => {
  const [ann, ben] = await pair(t);
  const there = await ann.onAnotherDevice(phone);
  t.after(() => there.context.close());
  await ann.chooses("Keep messages");
  await ann.tab.getByRole("dialog").getByText("It holds on all your devices").waitFor();
  await ann.tab.getByRole("radio", { name: "7 days" }).check();
  await ann.button("Save").click();
  await ann.says("For a week");
  await there.opens("Ben");
  await there.sees("For a week");
  await there.tab.locator(".pane-title").click();
  await there.button("Keep messages 7 days").waitFor();
  await there.button("Close").click();
  await there.box.fill("For a week, too");
  await there.button("Send").click();
  await ben.button("Back").click();
  await ben.opens("Ann");
  await ben.article("For a week, too").getByTitle("Disappears in 7 days").waitFor();
  assert.equal(await ann.list.getByRole("link").count(), 1);
  assert.equal(await there.list.getByRole("link").count(), 0); // On a phone a conversation stands in the list's place.
  await there.button("Back").click();
  await there.row("Ben").waitFor();
  assert.equal(await there.list.getByRole("link").count(), 1);
});
