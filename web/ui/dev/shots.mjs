// Draws the screens over sample data in Chromium: a picture of each at 390 and 1440 px, light and dark, and what axe
// says of it. `node ui/dev/shots.mjs [--out=FOLDER] [--only=NAME,NAME]`; it fails when axe finds anything.

import { mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { launch, violations } from "../../test/browser/chromium.mjs";
import { serve } from "./serve.mjs";

const option = (name, otherwise) => process.argv.find((a) => a.startsWith(`--${name}=`))?.split("=")[1] ?? otherwise;
const out = option("out", join(tmpdir(), "parlance-shots"));
const only = option("only", "");
mkdirSync(out, { recursive: true });
const { address, end } = await serve();

const id = (n) => (n + 256).toString(16).padStart(32, "0");
const wide = [1440, 900];
const phone = [390, 844];
const both = [wide, phone];
const reading = `#/c/${id(1)}`;
const click = (role, name) => async (p) => p.getByRole(role, { name, exact: true }).first().click();

/** Chooses two pictures and a document. */
async function choose(p) {
  const picture = await p.evaluate(() => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 640, height: 400 });
    const context = canvas.getContext("2d");
    context.fillStyle = "#7a9";
    context.fillRect(0, 0, 640, 400);
    context.fillStyle = "#246";
    context.fillRect(60, 180, 520, 160);
    return canvas.toDataURL("image/jpeg").split(",")[1];
  });
  const buffer = Buffer.from(picture, "base64");
  await p.locator("input[type=file][multiple]").setInputFiles([
    { name: "plan.jpg", mimeType: "image/jpeg", buffer },
    { name: "lake.jpg", mimeType: "image/jpeg", buffer },
    { name: "Programme, second draft.pdf", mimeType: "application/pdf", buffer: Buffer.alloc(180_000) },
  ]);
  await p.locator(".chosen.ready").nth(2).waitFor();
}

/** name, scene, hash, sizes, and what is done before the picture. */
const screens = [
  ["login", "out", "", both],
  ["login-wrong", "out", "", [phone], async (p) => {
    await p.getByLabel("E-mail").fill("nora@weiss.example");
    await p.getByLabel("Password").fill("wrong");
    await p.getByRole("button", { name: "Log in" }).click();
    await p.getByText("is not right").waitFor();
  }],
  ["recover", "out", "", both, click("button", "Lost your password?")],
  ["signup", "out", "#invite=abc&from=02b302b302b302b302b302b302b302b3&card=13f413f413f413f413f413f413f413f413f413f413f413f413f413f413f413f4&v=a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7&name=Ann+Berg", both, async (p) => {
    await p.getByLabel("E-mail").fill("nora@weiss.example");
    await p.getByLabel("Name").fill("Nora Weiss");
  }],
  ["first", "out", "#invite=abc", [phone]],
  ["sheet", "out", "#invite=abc&from=02b302b302b302b302b302b302b302b3&card=13f413f413f413f413f413f413f413f413f413f413f413f413f413f413f413f4&v=a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7&name=Ann+Berg", both, async (p) => {
    await p.getByLabel("E-mail").fill("nora@weiss.example");
    await p.getByLabel("Name").fill("Nora Weiss");
    await p.getByRole("button", { name: "Create account" }).click();
    await p.getByRole("button", { name: "Continue" }).waitFor();
  }],
  ["insecure", "insecure", "", both],
  ["empty", "empty", "#/", both],
  ["list", "requests", "#/", both],
  ["sync", "sync", "#/", [phone]],
  ["conversation", "main", reading, both],
  ["notify", "main", reading, [phone]],
  ["offline", "offline", reading, [[1024, 768], phone], async (p) => p.getByText("You are offline").waitFor()],
  ["details", "main", reading, both, async (p) => p.locator(".pane-title").click()],
  ["direct", "main", `#/c/${id(2)}`, both],
  ["trouble", "main", `#/c/${id(8)}`, both],
  ["files", "main", `#/c/${id(10)}`, both, async (p) => p.locator(".picture img:not(.thumb)").first().waitFor()],
  ["files-top", "main", `#/c/${id(10)}`, [phone], async (p) => p.locator(".log").evaluate((log) => log.scrollTo(0, 0))],
  ["files-arabic", "main", `#/c/${id(10)}`, both, null, "ar"],
  ["files-chosen", "main", `#/c/${id(10)}`, both, choose],
  ["lightbox", "main", `#/c/${id(10)}`, both, async (p) => {
    await p.locator(".picture").first().click();
    await p.locator(".large img:not(.thumb)").waitFor();
  }],
  ["menu", "main", reading, both, click("button", "Conversation menu")],
  ["message-menu", "main", reading, both, async (p) => p.getByRole("article").last().getByRole("button", { name: "More" }).click()],
  ["reply", "main", reading, [wide], async (p) => {
    await p.getByRole("article").nth(6).getByRole("button", { name: "More" }).click();
    await p.getByRole("menuitem", { name: "Reply" }).click();
    await p.getByRole("textbox", { name: "Message" }).fill("Here is the last version, with the date put right");
  }],
  ["emoji", "main", reading, both, click("button", "Emoji")],
  ["info", "main", reading, [wide], async (p) => {
    await p.getByRole("article").last().getByRole("button", { name: "More" }).click();
    await p.getByRole("menuitem", { name: "Info" }).click();
  }],
  ["color", "main", reading, [wide], async (p) => {
    await p.getByRole("button", { name: "Conversation menu" }).click();
    await p.getByRole("menuitem", { name: "Color" }).click();
  }],
  ["clear", "main", reading, both, async (p) => {
    await p.getByRole("button", { name: "Conversation menu" }).click();
    await p.getByRole("menuitem", { name: "Clear history" }).click();
  }],
  ["members", "main", reading, both, async (p) => {
    await p.getByRole("button", { name: "Conversation menu" }).click();
    await p.getByRole("menuitem", { name: "Members" }).click();
    await p.getByText("Yusuf").last().waitFor();
  }],
  ["new-conversation", "main", "#/", both, click("button", "New conversation")],
  ["new-group", "main", "#/", both, click("button", "New group")],
  ["invite", "main", "#/", both, async (p) => {
    await p.getByRole("button", { name: "Invite" }).click();
    await p.getByRole("button", { name: "Copy link" }).waitFor();
  }],
  ["palette", "main", reading, both, async (p) => {
    await p.getByRole("log").waitFor();
    await p.keyboard.press("Control+k");
    await p.keyboard.type("sp");
    await p.waitForTimeout(300);
  }],
  ["search", "main", "#/", [phone], async (p) => {
    await p.getByRole("textbox", { name: "Search" }).fill("flowers");
    await p.getByText("Messages on this device").waitFor();
  }],
  ["safety", "main", `#/verify/${(0x7a4).toString(16).padStart(32, "0")}`, both],
  ["profile", "main", "#/account/profile", both],
  ["devices", "main", "#/account/devices", both],
  ["security", "main", "#/account/security", both],
  ["appearance", "main", "#/account/appearance", both],
  ["notifications", "main", "#/account/notifications", [phone]],
  ["account", "main", "#/account", [phone]],
  ["arabic", "main", reading, both, null, "ar"],
  ["german", "main", reading, [wide], null, "de"],
  ["alarm", "alarm", reading, both],
  ...[["login", "out", ""], ["list", "requests", "#/"], ["trouble", "main", `#/c/${id(8)}`], ["alarm", "alarm", "#/"], ["safety", "main", `#/verify/${(0x7a4).toString(16).padStart(32, "0")}`]].map(([name, scene, hash]) => [`${name}-arabic`, scene, hash, both, null, "ar"]),
  ...["profile", "devices", "security", "appearance", "notifications"].map((name) => [`${name}-arabic`, "main", `#/account/${name}`, both, null, "ar"]),
];

const browser = await launch();
let wrong = 0;
for (const [name, scene, hash, sizes, act, language = "en"] of screens) {
  if (only && !only.split(",").includes(name)) continue;
  for (const [width, height] of sizes) {
    const touch = width < 720;
    const context = await browser.newContext({ viewport: { width, height }, locale: language === "en" ? "en-GB" : language, hasTouch: touch, isMobile: touch, deviceScaleFactor: touch ? 2 : 1 });
    // The question about notifications stands in one picture only.
    const settings = { language, notifyAsked: name === "notify" ? [] : [0, 0] };
    await context.addInitScript((to) => localStorage.setItem("parlance.settings", JSON.stringify(to)), settings);
    for (const colorScheme of ["light", "dark"]) {
      const shot = `${name}-${colorScheme}-${width}`;
      const tab = await context.newPage();
      await tab.clock.setFixedTime(new Date(2026, 10, 24, 14, 20));
      const say = (text) => {
        wrong += 1;
        console.log(`${name} ${width} ${colorScheme}: ${text}`);
      };
      tab.on("pageerror", (error) => say(error.stack ?? error.message));
      tab.on("console", (message) => ["error", "warning"].includes(message.type()) && say(message.text()));
      await tab.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      await tab.goto(`${address}/?scene=${scene}${hash}`);
      try {
        await tab.waitForTimeout(150);
        await act?.(tab);
      } catch (error) {
        say(error.message.split("\n").slice(0, 4).join(" "));
      }
      await tab.waitForTimeout(150);
      await tab.screenshot({ path: join(out, `${shot}.png`) });
      for (const fault of await violations(tab)) say(`axe ${fault}`);
      await tab.close();
    }
    await context.close();
  }
}
await browser.close();
end();
if (wrong > 0) {
  console.error(`${wrong} faults`);
  process.exit(1);
}
