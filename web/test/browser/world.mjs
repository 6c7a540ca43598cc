// People in browsers of their own, and a real server behind a proxy that can be cut.

import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { launch } from "./chromium.mjs";
import { Server } from "./server.mjs";
import { openProxy } from "./proxy.mjs";

const failed = join(dirname(fileURLToPath(import.meta.url)), "../../.failed");
/** How many characters of a page are shown after a failure, from either end. */
const SHOWN = 400;
/** How long something may take that a person waits for; a test that needs it fails, it is not slow. */
const WAIT_MS = 30_000;
/** How long a story may take, and how long what its pages show may take after it. */
const STORY_MS = 300_000;
const DESCRIBE_MS = 60_000;
/** How long one page may take to be shown after a failure: it may hang. */
const TAB_MS = 5_000;

/** A server with these settings, a browser for the people, and the proxy between them. */
export async function openWorld(settings = { REGISTRATION: "open" }, browserOptions = {}) {
  const server = new Server(settings);
  await server.start();
  const proxy = await openProxy(() => server.address);
  const browser = await launch(browserOptions);
  /** Describes a failure: what each tab shows, and its screenshot in `.failed`. */
  const describe = async (say) => {
    say(`the server's log ends with\n${server.lastLines}`);
    mkdirSync(failed, { recursive: true });
    const tabs = browser.contexts().flatMap((context) => context.pages());
    for (const [i, tab] of tabs.entries()) {
      const path = join(failed, `${process.pid}-${Date.now()}-${i}.png`);
      await tab.screenshot({ path, timeout: TAB_MS }).catch(() => undefined);
      const text = await tab.locator("body").innerText({ timeout: TAB_MS }).catch(String);
      say(`${path}: ${tab.url()}\n${text.slice(0, SHOWN)}${text.length > SHOWN ? ` … ${text.slice(-SHOWN)}` : ""}`);
    }
  };
  const end = async () => {
    await browser.close();
    proxy.end();
    await server.stop();
  };
  return { server, proxy, browser, describe, end };
}

export const password = "correct horse battery 9";
let people = 0;

/** Somebody with a browser of their own; the verbs wait for what a person would see. */
export class Person {
  constructor(world, context, tab, name, email) {
    Object.assign(this, { world, context, tab, name, email });
  }

  /** A fresh browser at the start, or at a link; `beforePage` is called with it before its first page is opened. */
  static async at(world, hash, name, email, { width = 1280, height = 800, beforePage, ...options } = {}) {
    const context = await world.browser.newContext({ viewport: { width, height }, locale: "en-GB", ...options });
    context.setDefaultTimeout(WAIT_MS);
    await beforePage?.(context);
    const tab = await context.newPage();
    await tab.goto(world.proxy.address + hash);
    return new Person(world, context, tab, name, email);
  }

  /** Makes an account by an invitation's page. */
  static async joins(world, name, { hash = "#invite=", email = `${name.toLowerCase()}-${(people += 1)}@example.org`, ...options } = {}) {
    const person = await Person.at(world, hash, name, email, options);
    await person.fills("E-mail", person.email);
    await person.fills("Name", name);
    await person.fills("Password", password);
    await person.fills("Repeat password", password);
    await person.button("Create account").click();
    await person.passesTheSheet();
    return person;
  }

  /** Where the server keeps vaults, a recovery sheet is shown. */
  async passesTheSheet() {
    const next = this.button("Continue");
    // An invited user starts in the conversation; on a phone, without the list.
    const main = this.search.or(this.box).first();
    await main.or(next).first().waitFor();
    if (await next.isVisible()) await next.click();
    await main.waitFor();
  }

  /** The same person in another browser. */
  async onAnotherDevice(options) {
    const there = await Person.at(this.world, "", this.name, this.email, options);
    await there.logsIn();
    return there;
  }

  async logsIn(secret = password) {
    await this.fills("E-mail", this.email);
    await this.fills("Password", secret);
    await this.button("Log in").click();
    await this.search.waitFor();
  }

  /** The same person with only a new tab of the same browser, at the same place. */
  async onAnotherPage() {
    const url = this.tab.url();
    await Promise.all(this.context.pages().map((tab) => tab.close()));
    const tab = await this.context.newPage();
    await tab.goto(url);
    return new Person(this.world, this.context, tab, this.name, this.email);
  }

  get list() {
    return this.tab.getByRole("list", { name: "Conversations", exact: true });
  }
  get log() {
    return this.tab.getByRole("log", { name: "Messages", exact: true });
  }
  get box() {
    return this.tab.getByRole("textbox", { name: "Message", exact: true });
  }
  get search() {
    return this.tab.getByRole("textbox", { name: "Search", exact: true });
  }
  /** The question that stands above everything. */
  get question() {
    return this.tab.getByRole("alertdialog");
  }
  button(name) {
    return this.tab.getByRole("button", { name, exact: true });
  }
  /** A conversation's row; `more` is what its name says after the conversation's. */
  row(name, more = "") {
    return this.list.getByRole("link", { name: new RegExp(`^${name}${more === "" ? "\\b" : ` ${more}`}`) });
  }
  article(text) {
    return this.log.getByRole("article").filter({ has: this.tab.locator(".text", { hasText: text }) });
  }

  async fills(name, text) {
    await this.tab.getByRole("textbox", { name, exact: true }).fill(text);
  }

  /** Becomes a contact of somebody. */
  async befriends(other) {
    await this.button("New conversation").click();
    const dialog = this.tab.getByRole("dialog", { name: "New conversation" });
    await dialog.getByRole("textbox", { name: "E-mail", exact: true }).fill(other.email);
    await dialog.getByRole("button", { name: "Send request", exact: true }).click();
    await dialog.getByText(`Sent. You can write as soon as ${other.email} accepts.`).waitFor();
    await this.tab.keyboard.press("Escape");
    await other.button("Accept").click();
    await this.row(other.name).waitFor();
  }

  async opens(name) {
    await this.row(name).click();
    await this.tab.getByRole("heading", { level: 1, name, exact: true }).waitFor();
  }

  /** Types and presses Enter; the text field is empty once the message is stored on the device. */
  async says(text) {
    await this.box.fill(text);
    await this.box.press("Enter");
    await this.tab.waitForFunction(() => document.querySelector("textarea")?.value === "");
  }

  async sees(text) {
    await this.article(text).first().waitFor();
  }

  /** Waits until the state of an own message is one of these. */
  async knows(text, ...states) {
    await this.article(text).getByText(new RegExp(`^(${states.join("|")})$`)).waitFor({ state: "attached" });
  }

  /** The item of a message's menu. */
  async does(text, item) {
    await this.article(text).getByRole("button", { name: "More", exact: true }).click();
    await this.tab.getByRole("menuitem", { name: item, exact: true }).click();
  }

  /** The item of the open conversation's menu. */
  async chooses(item) {
    await this.button("Conversation menu").click();
    await this.tab.getByRole("menuitem", { name: item, exact: true }).click();
  }

  /** Says yes to the question. */
  async confirms(answer) {
    await this.question.getByRole("button", { name: answer, exact: true }).click();
    await this.question.waitFor({ state: "detached" });
  }

  /** A section of the account. */
  async looksAt(section) {
    if (!(await this.tab.getByRole("link", { name: "Profile" }).isVisible())) await this.button("Account").click();
    await this.tab.getByRole("link", { name: section, exact: true }).click();
    await this.tab.getByRole("heading", { level: 1, name: section, exact: true }).waitFor();
  }

  /** A call from another client of the same person: any page of the browser can sign with its keys. */
  async asks(api, action, fields) {
    const sign = async ([toApi, body]) => {
      const opened = (request) => new Promise((done, fails) => Object.assign(request, { onsuccess: () => done(request.result), onerror: () => fails(request.error) }));
      const database = await opened(indexedDB.open("parlance"));
      const { user, station, keys } = await opened(database.transaction("meta").objectStore("meta").get("session"));
      database.close();
      const text = new TextEncoder().encode(["chatserver", toApi, user, station, body].join("\n"));
      const signature = new Uint8Array(await crypto.subtle.sign("RSASSA-PKCS1-v1_5", keys.rsaSign, text));
      const headers = { "Ozeki-User": user, "Ozeki-Station": station, "Ozeki-Signature": btoa(String.fromCharCode(...signature)) };
      return (await fetch(`?srv=chatserver&api=${toApi}`, { method: "POST", body, headers })).json();
    };
    const timestamp = new Date().toISOString().slice(0, 19).replace("T", " ");
    const body = JSON.stringify({ action, ...fields, clientversioncode: 4, timestamp, nonce: crypto.randomUUID() });
    const answer = await this.tab.evaluate(sign, [api, body]);
    if (answer.status !== "OK") throw new Error(`${action}: ${answer.errormessage}`);
    return answer;
  }

  /** Waits until what the page has begun to store is stored: these tests reload it sooner than any person could. */
  async hasStored() {
    await this.tab.evaluate(
      () =>
        new Promise((done, fails) => {
          const opening = indexedDB.open("parlance");
          opening.onerror = () => fails(opening.error);
          opening.onsuccess = () => {
            const database = opening.result;
            // It waits for each earlier write to the same tables.
            const reading = database.transaction([...database.objectStoreNames]);
            reading.objectStore("meta").count();
            reading.oncomplete = () => done(database.close());
            reading.onerror = () => fails(reading.error);
          };
        }),
    );
  }

  /** The texts of the log, from the oldest. */
  async texts() {
    return this.log.getByRole("article").locator(".text").allTextContents();
  }
}

/** A browser that reads QR codes, which Debian's does not: it sees what the page's `seenCode` says. For `beforePage`. */
export const scans = (context) =>
  context.addInitScript(() => {
    globalThis.BarcodeDetector = class {
      static getSupportedFormats = () => Promise.resolve(["qr_code"]);
      detect = () => Promise.resolve([{ rawValue: globalThis.seenCode }]);
    };
  });

/** Waits for a story; rejects when it takes too long, before the runner ends it without a word of what its pages show. */
async function inTime(story) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`the story takes longer than ${STORY_MS / 1000} s`)), STORY_MS);
  });
  try {
    await Promise.race([story, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** For a file of stories: a world of its own, opened before the first and ended after the last, and people in it. */
export function stories(settings, browserOptions) {
  const world = {};
  before(async () => Object.assign(world, await openWorld(settings, browserOptions)), { timeout: 60_000 });
  after(async () => world.end?.());
  const story = (name, run) =>
    test(name, { timeout: STORY_MS + DESCRIBE_MS }, async (t) => {
      try {
        await inTime(run(t));
      } catch (error) {
        await world.describe((text) => t.diagnostic(text));
        throw error;
      }
    });
  const joins = async (t, name, options) => {
    const person = await Person.joins(world, name, options);
    t.after(() => person.context.close());
    return person;
  };
  /** Ann on a desk and Ben on a phone, in contact; Ann has the conversation open. */
  const pair = async (t) => {
    const [ann, ben] = await Promise.all([joins(t, "Ann"), joins(t, "Ben", { width: 390, height: 844 })]);
    await ann.befriends(ben);
    await ann.opens("Ben");
    return [ann, ben];
  };
  return { world, story, joins, pair };
}
