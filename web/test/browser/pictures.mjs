// Takes the README's pictures (`npm run pictures`, into docs/pictures): people in browsers of their own talk by a real server. Server and
// pages have the clocks of a day that is always the same, which moves on from one message to the next.

import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { settled } from "./chromium.mjs";
import { chooses } from "./files.mjs";
import { landscape } from "./landscape.mjs";
import { openWorld, Person } from "./world.mjs";

const out = fileURLToPath(new URL("../../../docs/pictures/", import.meta.url));
/** How long nobody asks the server anything before time goes on, and until the server's answers tell the new one. */
const QUIET_MS = 700;
const THUMB = ["👍", "thumbs up"];
const desk = { width: 1440, height: 900 };
const phone = { width: 390, height: 844, deviceScaleFactor: 2, hasTouch: true, isMobile: true };

/** A clock that all share, and that only goes where it is set. */
class SharedClock {
  #folder = mkdtempSync(join(tmpdir(), "parlance-clock-"));
  #file = join(this.#folder, "shift");
  #shiftMs = 0;
  #contexts = [];
  #requests = 0;

  constructor(at) {
    // PostgreSQL has a user of its own.
    chmodSync(this.#folder, 0o755);
    this.#set(at);
  }

  /** For the server's environment. The library is what `faketime` preloads: a program that it starts itself would get no signals. */
  get settings() {
    const library = execFileSync("faketime", ["-f", "+0", "printenv", "LD_PRELOAD"], { encoding: "utf8" }).trim();
    return { LD_PRELOAD: library, FAKETIME_TIMESTAMP_FILE: this.#file, FAKETIME_NO_CACHE: "1", FAKETIME_DONT_FAKE_MONOTONIC: "1" };
  }

  /** For each context of a browser, before its first page. */
  async joins(context) {
    this.#contexts.push(context);
    context.on("request", () => (this.#requests += 1));
    for (const end of ["requestfinished", "requestfailed"]) context.on(end, () => (this.#requests -= 1));
    await context.addInitScript((shift) => {
      const Real = Date;
      globalThis.shift = shift;
      globalThis.Date = class extends Real {
        constructor(...of) {
          if (of.length === 0) super(Real.now() + globalThis.shift);
          else super(...of);
        }
        static now() {
          return Real.now() + globalThis.shift;
        }
      };
    }, this.#shiftMs);
  }

  #set(at) {
    this.#shiftMs = at.getTime() - Date.now();
    writeFileSync(this.#file, `${this.#shiftMs < 0 ? "" : "+"}${(this.#shiftMs / 1000).toFixed(3)}\n`);
  }

  async goesTo(at) {
    // An answer that tells another time would make the page's own seem wrong; the server puts its time into answers twice a second.
    for (let quietMs = 0; quietMs < QUIET_MS; quietMs += 50) {
      await sleep(50);
      if (this.#requests > 0) quietMs = 0;
    }
    this.#set(at);
    await sleep(QUIET_MS);
    const pages = this.#contexts.flatMap((context) => context.pages());
    const set = (shift) => {
      globalThis.shift = shift;
    };
    await Promise.all(pages.map((page) => page.evaluate(set, this.#shiftMs)));
    // For those that are loaded from now on.
    await Promise.all(this.#contexts.map((context) => context.addInitScript(set, this.#shiftMs)));
  }

  end() {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

// A few seconds past the minute: the server tells its time in whole seconds, and clients follow it.
const at = (day, time) => new Date(`2026-11-${day}T${time}:05Z`);
const clock = new SharedClock(at(20, "09:00"));
const world = await openWorld({ REGISTRATION: "open", ...clock.settings });
/** Moves on to a time of the day that is shown. */
const goesTo = (time) => clock.goesTo(at(24, time));

/** For each context of a browser. */
const inTime = {
  timezoneId: "UTC",
  beforePage: async (context) => {
    await clock.joins(context);
    // The question about notifications was put off.
    await context.addInitScript(() => localStorage.setItem("parlance.settings", JSON.stringify({ notifyAsked: [0, 0] })));
  },
};

function joins(name, options) {
  const email = `${name.split(" ")[0].normalize("NFD").replace(/[^a-z]/gi, "").toLowerCase()}@example.org`;
  return Person.joins(world, name, { email, ...inTime, ...options });
}
const joinsAgain = (person, options) => person.onAnotherDevice({ ...inTime, ...options });

/** Makes a group, and opens it. */
async function makesGroup(person, name, members) {
  await person.button("New group").click();
  await person.fills("Group name", name);
  for (const one of members) await person.tab.getByRole("checkbox", { name: one.name, exact: true }).check();
  await person.button("Create group").click();
  await person.tab.getByRole("heading", { level: 1, name }).waitFor();
}

/** Writes, and waits until it is stored: time goes on only then. `part` of it is plain text. */
async function writes(person, text, part = text) {
  await person.says(text);
  await person.knows(part, "Sent", "Delivered", "Seen.*");
}

async function colors(person, name) {
  await person.chooses("Color");
  await person.tab.getByRole("dialog").getByRole("button", { name, exact: true }).click();
  await person.tab.getByRole("dialog").waitFor({ state: "detached" });
}

/** `emoji` and what it is called. */
async function reacts(person, text, [emoji, name]) {
  await person.does(text, "React");
  await person.tab.getByRole("textbox", { name: "Search emoji" }).fill(name);
  await person.tab.getByRole("button", { name, exact: true }).click();
  await person.article(text).getByRole("button", { name: new RegExp(`^${emoji} \\d, with yours`) }).waitFor();
}

async function takes(person, name, colorScheme = "light") {
  await person.tab.emulateMedia({ colorScheme, reducedMotion: "reduce" });
  await settled(person.tab);
  await person.tab.evaluate(() => Promise.all([...document.images].map((image) => image.decode().catch(() => undefined))));
  await person.tab.screenshot({ path: join(out, `${name}.png`) });
}

/** Who there is, and what they wrote on the days before. */
async function meet() {
  const nora = await joins("Nora Weiss", desk);
  const others = await Promise.all(["Ágnes Kővári", "Ben Osei", "Marta Lindqvist", "Tomás Rivera", "Ann Keller"].map((name) => joins(name)));
  const [agnes, ben, marta, tomas, ann] = others;
  for (const one of others) await nora.befriends(one);
  await makesGroup(nora, "Board", [agnes, ben]);
  await colors(nora, "Violet");
  await writes(nora, "Minutes are in the folder");
  await clock.goesTo(at(22, "16:40"));
  await nora.opens("Ágnes Kővári");
  await writes(nora, "The gate was open when I left");
  await agnes.opens("Nora Weiss");
  await writes(agnes, "Thank you, I have closed it");
  await clock.goesTo(at(23, "18:05"));
  await nora.opens("Marta Lindqvist");
  await marta.opens("Nora Weiss");
  await chooses(marta, await landscape(marta.tab, "noon"));
  await marta.button("Send").click();
  await marta.log.getByText("Seen", { exact: true }).waitFor({ state: "attached" });
  await nora.opens("Tomás Rivera");
  await tomas.opens("Nora Weiss");
  await writes(nora, "Can you bring the long cable?");
  await writes(tomas, "Both of them 🔌");
  await nora.sees("Both of them");
  await nora.box.fill("I think we should");
  await makesGroup(nora, "Kitchen rota", [marta, ben, ann]);
  await colors(nora, "Green");
  await nora.chooses("Mute");
  await makesGroup(nora, "Lake concert", [agnes, ben, marta, tomas]);
  await colors(nora, "Blue");
  await nora.chooses("Favorite");
  await nora.opens("Ann Keller");
  await colors(nora, "Orange");
  await nora.chooses("Favorite");
  return { nora, agnes, ben, marta, tomas, ann };
}

/** What they write today, until twelve minutes past two. */
async function talk({ nora, agnes, ben, marta, tomas, ann }) {
  await goesTo("11:05");
  await marta.opens("Kitchen rota");
  for (const text of ["Who takes Friday?", "I can, if somebody brings flour", "Bread is in the oven"]) await writes(marta, text);
  await goesTo("12:40");
  await ben.opens("Nora Weiss");
  await writes(ben, "Could you look at the second page before I print it?");
  await writes(ben, "It is the one with the map");

  for (const one of [agnes, ben, marta, tomas, nora]) await one.opens("Lake concert");
  await goesTo("12:50");
  await writes(tomas, "Morning all. Which hour do we take? The office asks **twice a day** now 😅", "Which hour do we take?");
  await goesTo("13:31");
  await chooses(marta, ...(await Promise.all(["evening", "morning", "noon"].map((hour) => landscape(marta.tab, hour)))));
  await writes(marta, "The jetty from all hours. In the evening the sun is behind the stage.");
  await nora.log.locator(".picture img:not(.thumb)").nth(2).waitFor();
  await goesTo("13:34");
  await writes(nora, "Then the evening, and the small tables by the water.");
  await agnes.sees("Then the evening");
  await goesTo("13:52");
  await nora.opens("Ann Keller");
  await ann.opens("Nora Weiss");
  await writes(nora, "I'll bring the flowers, so save me a seat by the door");
  await goesTo("13:58");
  await writes(ann, "Yes! See you at the station");
  await nora.sees("See you at the station");

  // Nora is elsewhere meanwhile, so this is new to her.
  await goesTo("14:06");
  await agnes.does("Then the evening", "Reply");
  await writes(agnes, "Good. The jetty is ours on **Thursday from 18:30**, the caretaker opens the gate. @Nora Weiss can you bring the `40` programmes?", "The jetty is ours");
  for (const [one, emoji] of [[ben, THUMB], [marta, THUMB], [tomas, ["🎉", "party popper"]]]) await reacts(one, "The jetty is ours", emoji);
  await goesTo("14:09");
  await writes(ben, "I can print them, if someone sends me the last version.");
  await ben.does("I can print them", "Edit");
  await ben.says("I can print them, if someone sends me the last version. Mine still has the old date on page four.");
  await ben.article("on page four").getByText("edited").waitFor();
  await goesTo("14:12");
  // What the list says of yesterday is of today as long as the page stays.
  await nora.tab.reload();
  await nora.opens("Lake concert");
  await nora.sees("on page four");
  await reacts(nora, "The jetty is ours", THUMB);
  await writes(nora, "Sending it in a minute. Yes to the programmes, and I'll take the lanterns too.");
  await nora.article("Sending it in a minute").getByText("Seen by 4", { exact: true }).waitFor();
}

try {
  const all = await meet();
  const { nora, marta } = all;
  await talk(all);
  const pocket = await joinsAgain(nora, phone);
  await nora.button("It was me").click();
  await goesTo("14:20");
  await marta.box.pressSequentially("And the");
  await nora.tab.getByText("Marta Lindqvist is writing").waitFor();
  for (const { tab } of [nora, pocket]) await tab.mouse.move(0, 0);
  await takes(nora, "conversation");
  await takes(pocket, "phone-list");
  await pocket.opens("Lake concert");
  await pocket.sees("Sending it in a minute");
  await pocket.log.locator(".picture img:not(.thumb)").nth(2).waitFor({ state: "attached" });
  await takes(pocket, "phone-dark", "dark");
} catch (error) {
  await world.describe(console.error);
  throw error;
} finally {
  await world.end();
  clock.end();
}
