// The names by which assistive technology, and scripts, find things: a contract. Each by its role and to the letter, with
// the real client, on a desk and on a phone; and no violation that axe finds on the way.

import assert from "node:assert/strict";
import { settled, violations } from "./chromium.mjs";
import { password, Person, stories } from "./world.mjs";

const { world, joins, story } = stories({ REGISTRATION: "open" });
const sizes = [["a desk", { width: 1440, height: 900 }], ["a phone", { width: 390, height: 844, hasTouch: true, isMobile: true }]];

const sees = async (within, role, ...names) => {
  for (const name of names) await within.getByRole(role, { name, exact: true }).first().waitFor();
};
const clean = async ({ tab }) => {
  await settled(tab);
  assert.deepEqual(await violations(tab), []);
};

for (const [where, size] of sizes) {
  story(`start and invitation, on ${where}`, async (t) => {
    const nobody = await Person.at(world, "", "Nobody", "", size);
    t.after(() => nobody.context.close());
    await sees(nobody.tab, "textbox", "E-mail");
    await nobody.tab.getByLabel("Password", { exact: true }).waitFor();
    await sees(nobody.tab, "button", "Log in");
    await clean(nobody);
    const guest = await Person.at(world, "#invite=", "Guest", "", size);
    t.after(() => guest.context.close());
    await sees(guest.tab, "textbox", "E-mail", "Name", "Password");
    await guest.fills("Password", password);
    await sees(guest.tab, "textbox", "Repeat password");
    await sees(guest.tab, "button", "Create account");
    await clean(guest);
  });

  story(`list, conversation, group and account, on ${where}`, async (t) => {
    const [ann, ben] = await Promise.all([joins(t, "Ann", size), joins(t, "Ben")]);
    await sees(ann.tab, "button", "Account", "New group", "Invite", "New conversation");
    await sees(ann.tab, "textbox", "Search");
    await clean(ann);
    await ann.button("New conversation").click();
    await sees(ann.tab.getByRole("dialog"), "textbox", "E-mail");
    await sees(ann.tab.getByRole("dialog"), "button", "Send request");
    await clean(ann);
    await ann.tab.keyboard.press("Escape");
    await ann.button("Invite").click();
    const link = ann.tab.getByRole("dialog").getByRole("textbox", { name: "Invitation link", exact: true });
    await link.waitFor();
    assert.equal(await link.getAttribute("readonly"), "");
    await ann.tab.waitForFunction(() => document.querySelector("dialog [readonly]")?.value.includes("#invite="));
    await clean(ann);
    await ann.tab.keyboard.press("Escape");
    await ben.befriends(ann);
    await ben.opens("Ann");
    await ben.says("Hello");
    await ben.says("How are you?");
    if (size.isMobile) await ann.button("Back").click();
    await sees(ann.tab, "list", "Conversations");
    await ann.tab.goto(`${world.proxy.address}#/`);
    const row = ann.list.getByRole("link", { name: /^Ben\b/ }).or(ann.list.getByRole("button", { name: /^Ben\b/ }));
    await row.waitFor();
    await clean(ann);

    await ann.opens("Ben");
    await sees(ann.tab, "log", "Messages");
    await sees(ann.tab, "textbox", "Message");
    await sees(ann.tab, "button", "Attach files", "Conversation menu");
    await ann.box.fill("Well");
    await sees(ann.tab, "button", "Send");
    await ann.button("Send").click();
    await ann.knows("Well", "Sent", "Delivered", "Seen");
    await clean(ann);
    await ann.article("Well").getByRole("button", { name: "More", exact: true }).click();
    await sees(ann.tab, "menuitem", "Reply", "React", "Edit", "Delete", "Info");
    await clean(ann);
    await ann.tab.keyboard.press("Escape");

    if (size.isMobile) await ann.button("Back").click();
    await ann.button("New group").click();
    await sees(ann.tab, "textbox", "Group name");
    await sees(ann.tab, "checkbox", "Ben");
    await sees(ann.tab, "button", "Create group");
    await clean(ann);
    await ann.fills("Group name", "Choir");
    await ann.tab.getByRole("checkbox", { name: "Ben", exact: true }).check();
    await ann.button("Create group").click();
    await ann.tab.getByRole("heading", { level: 1, name: "Choir" }).waitFor();
    await ann.button("Conversation menu").click();
    await sees(ann.tab, "menuitem", "Favorite", "Mute", "Hide", "Color", "Members", "Clear history", "Leave group");
    await clean(ann);
    await ann.tab.keyboard.press("Escape");
    await ben.row("Choir").waitFor();
    await ann.box.fill("For you two");
    await ann.button("Send").click();
    await ben.row("Choir", "1 unread").waitFor();

    await ann.tab.goto(`${world.proxy.address}#/`);
    await ann.button("Account").click();
    for (const section of ["Profile", "Devices", "Security", "Appearance", "Notifications"]) {
      await ann.looksAt(section);
      await clean(ann);
      if (size.isMobile) await ann.button("Account").click();
    }
    await sees(ann.tab, "button", "Log out");
  });
}

story("the states of an own message are text: sending, sent, delivered, seen, not sent", async (t) => {
  const [ann, ben] = await Promise.all([joins(t, "Ann"), joins(t, "Ben")]);
  await ann.befriends(ben);
  await ann.opens("Ben");
  world.proxy.cut();
  t.after(() => world.proxy.restore());
  await ann.says("one");
  await ann.knows("one", "Sending");
  world.proxy.restore();
  await ann.tab.evaluate(() => dispatchEvent(new Event("online")));
  await ann.knows("one", "Sent", "Delivered", "Seen");
  await ben.sees("one");
  await ann.knows("one", "Seen");
  await ben.chooses("Block");
  await ben.confirms("Block");
  await ann.says("two");
  await ann.knows("two", "Not sent");
});
