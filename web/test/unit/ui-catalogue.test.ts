// Each language says everything, each sentence is used, and no sentence stands in the code instead.

import "./ui-globals.ts";
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { ar } from "../../ui/i18n/ar.ts";
import { de } from "../../ui/i18n/de.ts";
import { enRest } from "../../ui/i18n/en-rest.ts";
import { en as enFirst } from "../../ui/i18n/en.ts";
import { hu } from "../../ui/i18n/hu.ts";

const en = { ...enFirst, ...enRest };
const sources = readdirSync("ui", { recursive: true })
  .map(String)
  .filter((name) => /\.tsx?$/.test(name) && !/^(?:dev|i18n)\//.test(name));
const textOf = (name: string): string => readFileSync(`ui/${name}`, "utf8");

/** These are the same in every language, or a name. */
const same = new Set(["admin", "details", "email", "emoji", "info", "name", "server"]);
/** Keys of a keyboard, and the client itself. */
const names = new Set(["Parlance", "Enter", "Esc"]);

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
  // By presence and by state of a message: w[other.presence], words.value[state].
  const computed = new Set(["available", "away", "busy", "invisible", "sending", "sent", "delivered", "seen", "notSent"]);
  assert.deepEqual(
    unused.filter((key) => !computed.has(key)),
    [],
  );
});

test("what is drawn before the rest is loaded says nothing of the rest", () => {
  const reached = new Set<string>();
  const reach = (name: string): void => {
    if (reached.has(name) || name === "rest.ts") return;
    reached.add(name);
    for (const [, path = ""] of textOf(name).matchAll(/(?:from |import\()"(\.[^"]+\.tsx?)"/g)) {
      const next = join(dirname(name), path);
      if (sources.includes(next)) reach(next);
    }
  };
  reach("main.tsx");
  assert.ok(reached.has("conversation/composer.tsx") && !reached.has("account/account.tsx"));
  const all = [...reached].map(textOf).join("\n");
  assert.deepEqual(Object.keys(enRest).filter((key) => new RegExp(`\\.${key}\\b`).test(all)), []);
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
