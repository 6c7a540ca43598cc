// Rules of the client's code that a test can check.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

const files = readdirSync("ui", { recursive: true }).map(String);
const textOf = (name: string): string => readFileSync(`ui/${name}`, "utf8");
/** Generated from the server's types. */
const generated = new Set(["wire/answers.ts", "wire/requests.ts"]);
const matching = (pattern: RegExp): string[] => files.filter((name) => pattern.test(name));
const styles = matching(/\.css$/);
const code = matching(/\.tsx?$/);

test("files are short: 300 lines, catalogues 500", () => {
  const long = [...code, ...styles].filter((name) => textOf(name).split("\n").length > (/^i18n\/\w\w\.ts$/.test(name) ? 500 : 300));
  assert.deepEqual(long, []);
});

test("files of the core are short: 300 lines", () => {
  const core = readdirSync("core", { recursive: true }).map(String).filter((name) => name.endsWith(".ts") && !name.startsWith("dist/") && !generated.has(name));
  const long = core.filter((name) => readFileSync(`core/${name}`, "utf8").trimEnd().split("\n").length > 300);
  assert.deepEqual(long, []);
});

test("all other files are shorter than 500 lines", () => {
  for (const folder of ["browser", "worker", "node", "test"]) {
    const code = readdirSync(folder, { recursive: true }).map(String).filter((name) => /\.(?:ts|tsx|mjs)$/.test(name));
    const long = code.filter((name) => readFileSync(`${folder}/${name}`, "utf8").split("\n").length > 500);
    assert.deepEqual(long, [], folder);
  }
});

test("the package has the version of the server that it is made with", () => {
  const { version } = JSON.parse(readFileSync("core/package.json", "utf8")) as { version: string };
  assert.equal(version, /^version = "(.*)"$/m.exec(readFileSync("../Cargo.toml", "utf8"))?.[1]);
});

test("every style is in the list of styles", () => {
  const listed = [...textOf("styles/all.css").matchAll(/@import "(?:\.\.\/)?(?:\.\/)?([^"]+)"/g)].map((m) => m[1] ?? "");
  const expected = styles.map((name) => name.replace(/^styles\//, "")).filter((name) => name !== "all.css");
  assert.deepEqual(listed.sort(), expected.sort());
});

test("styles know no left and right, and no colour of their own", () => {
  for (const name of styles) {
    const text = textOf(name).replace(/\/\*[\s\S]*?\*\//g, "");
    const physical = /(?:^|[\s;{])(?:left|right|(?:margin|padding|border|inset)-(?:left|right|top|bottom)|float: (?:left|right)|text-align: (?:left|right))\s*[:;]/.exec(text);
    assert.equal(physical?.[0], undefined, name);
    if (name === "styles/tokens.css") continue;
    // A code to scan and a sheet to print are black on white in both themes; a mask has no colour.
    const colors = (text.match(/#[0-9a-f]{3,8}\b/gi) ?? []).filter((color) => !["#fff", "#141414", "#000"].includes(color));
    assert.deepEqual(colors, [], name);
  }
});

test("no markup is made of text, and none carries a style", () => {
  for (const name of code) {
    const text = textOf(name);
    assert.doesNotMatch(text, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function/, name);
    assert.doesNotMatch(text, /\bstyle="/, name);
    assert.doesNotMatch(text, /\bas any\b|: any\b|<any>|@ts-ignore/, name);
  }
});
