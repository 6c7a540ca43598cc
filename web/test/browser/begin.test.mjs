// The first minute: the link that the server prints, an invitation, another device, and the way out.

import assert from "node:assert/strict";
import { after } from "node:test";
import { Person, password, stories } from "./world.mjs";

const { world, story, joins } = stories({});

/** The first account; the server takes its link once, so one test begins with it. */
let ann;
after(() => ann?.context.close());

/** A link from "Invite". */
const inviteOf = async (person) => {
  await person.button("Invite").click();
  const link = person.tab.getByRole("dialog").getByRole("textbox", { name: "Invitation link", exact: true });
  await person.tab.waitForFunction(() => [...document.querySelectorAll("input[readonly]")].some(({ value }) => value.includes("#invite=")));
  assert.equal(await link.getAttribute("readonly"), "");
  const { hash } = new URL(await link.inputValue());
  await person.tab.keyboard.press("Escape");
  return hash;
};

/** In the page: the tables that still hold something, with the keys of its rows. */
async function rowsLeft() {
  const done = (request) => new Promise((resolve, reject) => Object.assign(request, { onsuccess: () => resolve(request.result), onerror: reject }));
  const left = [];
  for (const { name } of await indexedDB.databases()) {
    const database = await done(indexedDB.open(name));
    for (const table of database.objectStoreNames) {
      const keys = await done(database.transaction(table).objectStore(table).getAllKeys());
      left.push(...keys.map((key) => `${name}.${table}: ${key}`));
    }
    database.close();
  }
  return left;
}

story("the printed link makes an admin, whose invitation makes a verified contact", async (t) => {
  ann = await Person.joins(world, "Ann", { hash: `#invite=${await world.server.firstCode}` });
  const link = await inviteOf(ann);
  const ben = await joins(t, "Ben", { hash: link, width: 390, height: 844 });
  // The invited user is there at once.
  await ben.tab.getByRole("heading", { level: 1, name: "Ann", exact: true }).waitFor();
  await ann.opens("Ben");
  await ann.says("Welcome");
  await ben.sees("Welcome");
  await ann.knows("Welcome", "Seen");
  await ben.chooses("Safety number");
  await ben.tab.getByRole("heading", { name: "You and Ann" }).waitFor();
  await ben.tab.getByText("Verified", { exact: true }).waitFor();

  const guest = await Person.at(world, link, "Eve", "");
  t.after(() => guest.context.close());
  await guest.tab.getByRole("heading", { level: 1, name: "Ann invites you to a conversation.", exact: true }).waitFor();
  await guest.tab.getByText("As the link says", { exact: true }).waitFor();
  // A link of which the end is lost makes no account.
  await guest.tab.goto(world.proxy.address + link.slice(0, link.indexOf("&card=") + 20));
  await guest.tab.getByRole("heading", { level: 1, name: "This link is not whole", exact: true }).waitFor();
  assert.equal(await guest.tab.getByRole("textbox").count(), 0);

  const late = await Person.at(world, link, "Eve", "eve@example.org");
  t.after(() => late.context.close());
  await late.fills("E-mail", late.email);
  await late.fills("Name", "Eve");
  await late.fills("Password", password);
  await late.fills("Repeat password", password);
  await late.button("Create account").click();
  await late.tab.getByRole("alert").getByText("This invitation no longer works").waitFor();
});

story("another device has everything, and both go on", async (t) => {
  const link = await inviteOf(ann);
  const cat = await joins(t, "Cat", { hash: link });
  await ann.opens("Cat");
  await ann.says("For all your devices");
  await cat.opens("Ann");
  await cat.sees("For all your devices");
  const second = await cat.onAnotherDevice();
  t.after(() => second.context.close());
  await second.opens("Ann");
  await second.sees("For all your devices");
  await second.says("From the second");
  await cat.sees("From the second");
});

story("logging out forgets everything here", async (t) => {
  const cat = await joins(t, "Cat", { hash: await inviteOf(ann) });
  await cat.button("Account").click();
  await cat.button("Log out").click();
  await cat.confirms("Log out");
  await cat.button("Log in").waitFor();
  // Which accounts were open here is remembered, so that no server can offer an older form of one.
  assert.deepEqual(await cat.tab.evaluate(rowsLeft), ["parlance.meta: accounts", "parlance.meta: term"]);
  await cat.tab.reload();
  await cat.button("Log in").waitFor();
});

story("messages that a newer version has written, and a full disk, are a page that says so", async (t) => {
  const cat = await Person.at(world, await inviteOf(ann), "Cat", "cat-full@example.org");
  t.after(() => cat.context.close());
  await cat.fills("E-mail", cat.email);
  await cat.fills("Name", cat.name);
  await cat.fills("Password", password);
  await cat.fills("Repeat password", password);
  await cat.button("Create account").click();
  await cat.button("Continue").waitFor();
  // The store takes nothing, and then it does.
  await cat.tab.evaluate(() => {
    const { put } = IDBObjectStore.prototype;
    IDBObjectStore.prototype.put = () => {
      throw new DOMException("full", "QuotaExceededError");
    };
    globalThis.makeRoom = () => (IDBObjectStore.prototype.put = put);
  });
  await cat.button("Continue").click();
  await cat.tab.getByRole("alert").getByText("This device could not store it.").waitFor();
  await cat.tab.evaluate(() => void globalThis.makeRoom());
  await cat.button("Continue").click();
  await cat.tab.getByRole("heading", { level: 1, name: "Ann", exact: true }).waitFor();

  await cat.tab.goto(`${world.proxy.address}manifest.webmanifest`);
  await cat.tab.evaluate(async () => {
    const [{ version }] = await indexedDB.databases();
    const request = indexedDB.open("parlance", version + 1);
    await new Promise((lifted) => (request.onsuccess = lifted));
    request.result.close();
  });
  await cat.tab.goto(world.proxy.address);
  await cat.tab.getByRole("heading", { level: 1, name: "The messages on this device cannot be opened" }).waitFor();
  await cat.button("Reload").click();
  await cat.tab.getByRole("heading", { level: 1, name: "The messages on this device cannot be opened" }).waitFor();
});
