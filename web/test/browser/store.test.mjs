// The claims of test/world/store-claims.ts, on IndexedDB in a real browser.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { launch } from "./chromium.mjs";

const web = join(dirname(fileURLToPath(import.meta.url)), "../..");
const ORIGIN = "http://localhost/";
let browser;
let script;

before(async () => {
  const code = `
    import { claims } from "./test/world/store-claims.ts";
    import { openDB } from "idb";
    import { migrations } from "./browser/migrations.ts";
    import { openBackend } from "./browser/backend.ts";
    const open = () => openBackend({ onBlocked: () => undefined, onOutdated: () => undefined });
    globalThis.openBackend = open;
    globalThis.openOlder = async (versions) => {
      const database = await openDB("parlance", versions, {
        upgrade: (lifted, from) => migrations.slice(from, versions).forEach((migrate) => migrate(lifted)),
      });
      await database.put("meta", "kept", "note");
      await database.put("drafts", "a draft", "conversation");
      database.close();
      return migrations.length;
    };
    globalThis.names = Object.keys(claims);
    globalThis.hold = (name) => claims[name](open).then(() => "holds", (error) => String(error));`;
  const built = await build({
    stdin: { contents: code, resolveDir: web, loader: "ts" },
    bundle: true,
    write: false,
    format: "iife",
    logLevel: "warning",
  });
  script = built.outputFiles[0].text;
  browser = await launch();
});
after(() => browser.close());

/** A page with an empty database. */
async function page() {
  const context = await browser.newContext();
  const opened = await context.newPage();
  await opened.route("**/*", (route) => route.fulfill({ contentType: "text/html", body: "<!doctype html>" }));
  await opened.goto(ORIGIN);
  await opened.addScriptTag({ content: script });
  return opened;
}

test("IndexedDB does what the core expects of a backend", async (t) => {
  const first = await page();
  const names = await first.evaluate(() => globalThis.names);
  assert.ok(names.length > 5);
  for (const name of names) {
    await t.test(name, async () => {
      const opened = await page();
      assert.equal(await opened.evaluate((one) => globalThis.hold(one), name), "holds");
      await opened.context().close();
    });
  }
});

test("a database of each older version is lifted, with all that is in it", async () => {
  for (let version = 1, newest = 2; version < newest; version++) {
    const opened = await page();
    newest = await opened.evaluate((of) => globalThis.openOlder(of), version);
    const found = await opened.evaluate(async () => {
      const backend = await globalThis.openBackend();
      await backend.write([
        { put: "records", key: "file", value: "bytes" },
        { put: "reports", key: ["conversation", 1, "user", "viewed"], value: 2 },
      ]);
      const reports = await backend.range("reports", { from: ["conversation", 1], to: ["conversation", 1, "\uffff"] });
      return [await backend.get("meta", "note"), await backend.get("drafts", "conversation"), await backend.get("records", "file"), reports.length];
    });
    assert.deepEqual(found, ["kept", "a draft", "bytes", 1], `version ${version}`);
    await opened.context().close();
  }
});
