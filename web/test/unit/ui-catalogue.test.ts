// Each language says everything, each sentence is used, and no sentence stands in the code instead.

import "./ui-globals.ts";
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { ar } from "../../ui/i18n/ar.ts";
import { de } from "../../ui/i18n/de.ts";
import { enFiles } from "../../ui/i18n/en-files.ts";
import { enRest } from "../../ui/i18n/en-rest.ts";
import { en as enFirst } from "../../ui/i18n/en.ts";
import { hu } from "../../ui/i18n/hu.ts";

const en = { ...enFirst, ...enRest, ...enFiles };
const sources = readdirSync("ui", { recursive: true })
  .map(String)
  .filter((name) => /\.tsx?$/.test(name) && !/^(?:dev|i18n)\//.test(name));
const textOf = (name: string): string => readFileSync(`ui/${name}`, "utf8");

/** These are the same in every language, or a name. */
const same = new Set(["admin", "details", "email", "emoji", "info", "name", "server"]);
/** Keys of a keyboard, and the client itself. */
const names = new Set(["Parlance", "Enter", "Esc"]);
/** By presence, by state of a message, and by why it is not shown: w[dot], words.value[state], w[why]. */
const computed = new Set(["available", "away", "busy", "sending", "sent", "delivered", "seen", "notSent", "waitingForKey", "neverReadable", "newerClient"]);

for (const [name, catalogue] of Object.entries({ de, hu, ar })) {
  test(`${name} says everything, in its own words`, () => {
    assert.deepEqual(Object.keys(catalogue).sort(), Object.keys(en).sort());
    for (const [key, value] of Object.entries(catalogue)) {
      if (typeof value !== "string" || key === "direction") continue;
      assert.notEqual(value.trim(), "", key);
      const english = en[key as keyof typeof en];
      if (!same.has(key)) assert.notEqual(value, english, `${key} is still English`);
    }
  });

  test(`${name} has a form for every number`, () => {
    for (const n of [0, 1, 2, 3, 11, 100]) {
      for (const say of [catalogue.memberCount, catalogue.searched, catalogue.backOnline, catalogue.tooManyTries, catalogue.logOutWaiting]) {
        assert.doesNotMatch(say(n), /#|undefined/);
      }
    }
  });
}

test("each sentence is used", () => {
  const all = sources.map(textOf).join("\n");
  const unused = Object.keys(en).filter((key) => !new RegExp(`\\b${key}\\b`).test(all));
  assert.deepEqual(
    unused.filter((key) => !computed.has(key) && key !== "invisible"),
    [],
  );
});

/** What these parts import, themselves included; parts that are loaded on demand are not imported. */
function importedBy(...names: string[]): Set<string> {
  const reached = new Set<string>();
  const reach = (name: string): void => {
    if (reached.has(name)) return;
    reached.add(name);
    for (const [, path = ""] of textOf(name).matchAll(/from "(\.[^"]+\.tsx?)"/g)) {
      const next = join(dirname(name), path);
      if (sources.includes(next)) reach(next);
    }
  };
  names.forEach(reach);
  return reached;
}

test("a sentence is loaded with the first part that says it, and not before", () => {
  const first = importedBy("main.tsx");
  const later = (name: string): Set<string> => new Set([...importedBy(name)].filter((one) => !first.has(one)));
  const [rest, files] = [later("rest.ts"), later("files/more.ts")];
  assert.ok(first.has("conversation/composer.tsx") && !first.has("account/account.tsx") && files.has("files/strip.tsx"));
  const saidBy = (parts: ReadonlySet<string>, catalogue: object): string[] => {
    const all = [...parts].map(textOf).join("\n");
    return Object.keys(catalogue).filter((key) => new RegExp(`\\b(?:w|words\\.value)\\.${key}\\b|\\{[^{}]*\\b${key}\\b[^{}]*\\} = (?:w|words\\.value)\\b`).test(all));
  };
  assert.deepEqual([saidBy(first, { ...enRest, ...enFiles }), saidBy(files, enRest), saidBy(rest, enFiles)], [[], [], []]);
  const early = new Set([...saidBy(first, enFirst), ...computed, "direction"]);
  assert.deepEqual(Object.keys(enFirst).filter((key) => !early.has(key)), []);
});

test("no sentence stands in the code", () => {
  const found: string[] = [];
  for (const name of sources.filter((one) => one.endsWith(".tsx"))) {
    const text = textOf(name);
    const inMarkup = [...text.matchAll(/>\s*([A-Z][a-z]+(?: [a-z]+)*[.!?]?)\s*</g)].map((m) => m[1] ?? "");
    const inNames = [...text.matchAll(/\b(?:aria-label|title|placeholder|alt|label)="([^"]*[a-z][^"]*)"/g)].map((m) => m[1] ?? "");
    for (const one of [...inMarkup, ...inNames]) if (!names.has(one)) found.push(`${name}: ${one}`);
  }
  assert.deepEqual(found, []);
});
