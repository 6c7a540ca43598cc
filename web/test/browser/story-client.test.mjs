// The package @parlance/client as a program has it: packed, unpacked beside its dependencies, type-checked, and run in Node.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { password, stories } from "./world.mjs";

const web = join(dirname(fileURLToPath(import.meta.url)), "../..");
const { world, story, joins } = stories();

/** A folder of a program with the package and the example in it. */
function program(t) {
  const folder = mkdtempSync(join(tmpdir(), "parlance-program-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  execFileSync(process.execPath, [join(web, "core/build.mjs")], { stdio: ["ignore", "inherit", "inherit"] });
  const [{ filename }] = JSON.parse(execFileSync("npm", ["pack", "--json", "--pack-destination", folder], { cwd: join(web, "core"), encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] }));
  const place = join(folder, "node_modules/@parlance/client");
  mkdirSync(place, { recursive: true });
  execFileSync("tar", ["-xzf", join(folder, filename), "-C", place, "--strip-components=1"]);
  for (const name of ["hash-wasm", "@types", "undici-types"]) symlinkSync(join(web, "node_modules", name), join(folder, "node_modules", name));
  copyFileSync(join(place, "examples/bot.mjs"), join(folder, "bot.mjs"));
  return folder;
}

story("the example bot, with the packed library alone, accepts a request and answers somebody in a browser", async (t) => {
  const folder = program(t);
  const tsc = ["--noEmit", "--allowJs", "--checkJs", "--strict", "--target", "es2023", "--module", "nodenext", "--types", "node", "--skipLibCheck", "false", "bot.mjs"];
  execFileSync(process.execPath, [join(web, "node_modules/typescript/bin/tsc"), ...tsc], { cwd: folder, stdio: ["ignore", "inherit", "inherit"] });

  const [ann, owner] = await Promise.all([joins(t, "Ann"), joins(t, "Echo")]);
  const bot = spawn(process.execPath, ["--experimental-websocket", "bot.mjs", world.proxy.address, owner.email], {
    cwd: folder,
    env: { ...process.env, PASSWORD: password },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = new Promise((resolve) => bot.once("exit", resolve));
  t.after(() => bot.kill("SIGKILL"));
  const heard = [];
  const isHere = new Promise((resolve, reject) => {
    createInterface({ input: bot.stdout }).on("line", (line) => {
      heard.push(line);
      if (line.endsWith(" is here")) resolve();
    });
    void ended.then((code) => reject(new Error(`the bot ended: ${code}`)));
  });
  await isHere;
  await ann.button("New conversation").click();
  const dialog = ann.tab.getByRole("dialog", { name: "New conversation" });
  await dialog.getByRole("textbox", { name: "E-mail", exact: true }).fill(owner.email);
  await dialog.getByRole("button", { name: "Send request", exact: true }).click();
  await ann.row("Echo").waitFor();
  await ann.tab.keyboard.press("Escape");
  await ann.opens("Echo");
  await ann.says("Is anybody there?");
  await ann.sees("You said: Is anybody there?");
  await ann.says("Good");
  await ann.sees("You said: Good");
  assert.deepEqual(heard.slice(1), ["Ann: Is anybody there?", "Ann: Good"]);
  bot.kill("SIGTERM");
  assert.equal(await ended, 0);
});
