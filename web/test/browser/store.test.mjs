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
    import { openBackend } from "./browser/backend.ts";
    const open = () => openBackend({ onBlocked: () => undefined, onOutdated: () => undefined });
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
