// Each screen of the real client, at 1440 and 390 px, light and dark: axe finds nothing, nothing is cut, and a picture of it
// lies in `.pictures`. And one whole run with the keyboard alone.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { settled, violations } from "./chromium.mjs";
import { Person, password, stories } from "./world.mjs";

const { world, story, joins } = stories({ REGISTRATION: "open" }, { isWhole: true });
const pictures = join(dirname(fileURLToPath(import.meta.url)), "../../.pictures");
mkdirSync(pictures, { recursive: true });

const desk = { width: 1440, height: 900, reducedMotion: "reduce" };
const phone = { width: 390, height: 844, reducedMotion: "reduce" };

/** What is wrong with what is shown now, in both colour schemes. */
async function faultsOf({ tab }, name) {
  const faults = [];
  const { width } = tab.viewportSize();
  for (const colorScheme of ["light", "dark"]) {
    await tab.emulateMedia({ colorScheme });
    await settled(tab);
    await tab.screenshot({ path: join(pictures, `${name}-${colorScheme}-${width}.png`) });
    const found = await violations(tab);
    const over = await tab.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    faults.push(...found, ...(over > 0 ? [`${over} px too wide`] : []));
  }
  return faults.map((fault) => `${name} ${width}: ${fault}`);
}

/** Shows each screen and checks it; the next one begins at the start page. */
async function look(person, screens) {
  const faults = [];
  for (const [name, show] of screens) {
    await show(person);
    faults.push(...(await faultsOf(person, name)));
    await person.tab.keyboard.press("Escape");
  }
  assert.deepEqual(faults, []);
}

const heading = (name) => ({ tab }) => tab.getByRole("heading", { name }).first().waitFor();
const at = (hash, then) => async (person) => {
  await person.tab.goto(`${world.proxy.address}#/`);
  await person.tab.goto(`${world.proxy.address}${hash}`);
  await then(person);
};
const opened = async (person) => {
  await person.tab.goto(`${world.proxy.address}#/`);
  await person.opens("Ben");
};
const dialog = async ({ tab }) => tab.getByRole("dialog").waitFor();
const menu = async ({ tab }) => tab.getByRole("menuitem").first().waitFor();

const outside = [
  ["log-in", async (person) => person.button("Log in").waitFor()],
  ["invitation", at("#invite=abc", heading("Create your account"))],
];
const inside = [
  ["list", at("#/", async (person) => person.row("Ben").waitFor())],
  ["request", async (person) => person.button("Accept").waitFor()],
  ["new-conversation", async (person) => person.button("New conversation").click().then(() => dialog(person))],
  ["new-group", async (person) => person.button("New group").click().then(() => dialog(person))],
  ["invite", async (person) => person.button("Invite").click().then(() => person.button("Copy link").waitFor())],
  ["search", async (person) => {
    await person.search.fill("piano");
    await person.tab.getByText("Messages on this device").waitFor();
  }],
  ["conversation", async (person) => {
    await opened(person);
    await person.sees("Shall we play");
  }],
  ["conversation-menu", async (person) => {
    await opened(person);
    await person.button("Conversation menu").click();
    await menu(person);
  }],
  ["message-menu", async (person) => {
    await opened(person);
    await person.article("Shall we play").getByRole("button", { name: "More" }).click();
    await menu(person);
  }],
  ["details", async (person) => {
    await opened(person);
    await person.tab.locator(".pane-title").click();
    await person.tab.getByText(/^End-to-end encrypted\. Compare/).first().waitFor();
  }],
  ["palette", async (person) => {
    await opened(person);
    await person.tab.keyboard.press("Control+k");
    await dialog(person);
  }],
  ["safety", async (person) => {
    await opened(person);
    await person.chooses("Safety number");
    await heading("You and Ben")(person);
  }],
  ["profile", at("#/account/profile", heading("Profile"))],
  ["devices", at("#/account/devices", heading("Devices"))],
  ["security", at("#/account/security", heading("Security"))],
  ["appearance", at("#/account/appearance", heading("Appearance"))],
  ["notifications", at("#/account/notifications", heading("Notifications"))],
];

story("each screen is accessible and whole, on a desk and on a phone, light and dark", async (t) => {
  const [ann, ben, cat] = await Promise.all([joins(t, "Ann", desk), joins(t, "Ben"), joins(t, "Cat")]);
  await ann.befriends(ben);
  await ann.opens("Ben");
  await ann.says("Shall we play the **Kreutzer sonata** on Sunday?\n\n- violin: you\n- piano: `me`");
  await ben.opens("Ann");
  await ben.does("Shall we play", "Reply");
  await ben.says("With joy. I bring the piano's part: https://example.org/kreutzer");
  await ann.sees("With joy");
  await cat.button("New conversation").click();
  await cat.tab.getByRole("dialog").getByRole("textbox", { name: "E-mail", exact: true }).fill(ann.email);
  await cat.button("Send request").click();
  await ann.button("Accept").waitFor();

  for (const size of [desk, phone]) {
    const stranger = await Person.at(world, "", "", "", size);
    t.after(() => stranger.context.close());
    await look(stranger, outside);
  }
  await look(ann, inside);
  const small = await ann.onAnotherDevice(phone);
  t.after(() => small.context.close());
  await look(small, inside);
});

/** Presses Tab until the element of this name has the focus. */
async function tabTo(tab, name) {
  for (let i = 0; i < 80; i++) {
    const now = await tab.evaluate(() => {
      const one = document.activeElement;
      return one?.getAttribute("aria-label") ?? one?.labels?.[0]?.textContent.trim() ?? one?.textContent?.trim() ?? "";
    });
    if (now === name) return;
    await tab.keyboard.press("Tab");
  }
  throw new Error(`Tab does not reach "${name}"`);
}

story("the keyboard alone logs in, meets somebody, writes, answers, edits, finds and leaves", async (t) => {
  const [ann, ben] = await Promise.all([joins(t, "Ann"), joins(t, "Ben")]);
  const hers = await Person.at(world, "", "Ann", ann.email);
  t.after(() => hers.context.close());
  const { tab } = hers;
  const { keyboard } = tab;
  await hers.button("Log in").waitFor();
  await tabTo(tab, "E-mail");
  await keyboard.type(ann.email);
  await tabTo(tab, "Password");
  await keyboard.type(password);
  await keyboard.press("Enter");
  await hers.search.waitFor();

  await tabTo(tab, "New conversation");
  await keyboard.press("Enter");
  await dialog(hers);
  await tabTo(tab, "E-mail");
  await keyboard.type(ben.email);
  await keyboard.press("Enter");
  await tab.getByText(`Sent. You can write as soon as ${ben.email} accepts.`).waitFor();
  await keyboard.press("Escape");
  await ben.button("Accept").waitFor();
  await tabTo(ben.tab, "Accept");
  await ben.tab.keyboard.press("Enter");
  await hers.row("Ben").waitFor();

  await keyboard.press("Control+k");
  await dialog(hers);
  await keyboard.type("Ben");
  await tab.getByRole("option").first().waitFor();
  await keyboard.press("Enter");
  await hers.box.waitFor();
  await tabTo(tab, "Message");
  await keyboard.type("Writen by hand");
  await keyboard.press("Enter");
  await hers.knows("Writen by hand", "Sent", "Delivered", "Seen");
  await keyboard.press("ArrowUp");
  await tab.waitForFunction(() => document.querySelector("textarea").value === "Writen by hand");
  await keyboard.press("Home");
  for (let i = 0; i < "Writ".length; i++) await keyboard.press("ArrowRight");
  await keyboard.type("t");
  await keyboard.press("Enter");
  await ben.opens("Ann");
  await ben.article("Written by hand").getByText("edited").waitFor();
  await ben.says("Beautiful");
  await hers.sees("Beautiful");
  await hers.log.getByRole("article").last().focus();
  await keyboard.press("r");
  await tab.getByText("Reply to Ben").waitFor();
  await keyboard.type("Thank you");
  await keyboard.press("Enter");
  await ben.sees("Thank you");

  await tabTo(tab, "Account");
  await keyboard.press("Enter");
  await heading("Profile")(hers);
  await tabTo(tab, "Log out");
  await keyboard.press("Enter");
  await hers.question.waitFor();
  await tabTo(tab, "Log out");
  await keyboard.press("Enter");
  await hers.button("Log in").waitFor();
});
