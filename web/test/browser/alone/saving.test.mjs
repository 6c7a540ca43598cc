// A large file that the worker saves: what a page shows when the browser ends the worker.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stories } from "../world.mjs";

const MIB = 1 << 20;
const { world, story, pair } = stories({ REGISTRATION: "open", MAX_FILE_BYTES: String(96 * MIB) }, { isWhole: true });

story("when the browser ends the worker that saves a file, the page says so, and the file can be saved again", async (t) => {
  const [ann, ben] = await pair(t);
  const folder = mkdtempSync(join(tmpdir(), "saving-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, "large.bin"), Buffer.alloc(66 * MIB, 7));
  await ben.tab.waitForFunction(() => navigator.serviceWorker.controller !== null);
  await ann.tab.locator("input[type=file][multiple]").setInputFiles(join(folder, "large.bin"));
  await ann.tab.locator(".chosen.ready").waitFor({ timeout: 120_000 });
  await ann.button("Send").click();
  const save = ben.log.getByRole("button", { name: "Save large.bin", exact: true });
  await save.waitFor({ timeout: 120_000 });

  const tools = await ben.context.newCDPSession(ben.tab);
  await tools.send("ServiceWorker.enable");
  const isUnderWay = world.proxy.requests(4, ({ url }) => url.includes("/file/"));
  const download = ben.tab.waitForEvent("download");
  await save.click();
  await Promise.all([download, isUnderWay]);
  await tools.send("ServiceWorker.stopAllWorkers");
  await ben.tab.getByText("The server does not answer. Try again in a moment.").first().waitFor();
  await ben.log.locator("[aria-disabled=true]").waitFor({ state: "detached" });

  const again = ben.tab.waitForEvent("download");
  await save.click();
  await (await again).path();
});
