// Debian's Chromium, and what the tests ask of any page.

import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const whole = ["/usr/bin/chromium", "/usr/bin/google-chrome", "/Applications/Chromium.app/Contents/MacOS/Chromium"];
/** The same engine without a browser's own windows, menus and services: it takes a third less CPU time. */
const shell = "/usr/bin/chromium-headless-shell";

/** Starts it, as quiet as it gets; whole, where what is around the engine counts, as the delivery of pushes. CHROMIUM names another one. */
export const launch = ({ isWhole = false } = {}) =>
  chromium.launch({
    executablePath: process.env.CHROMIUM ?? [...(isWhole ? [] : [shell]), ...whole].find(existsSync),
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      // A fake microphone.
      "--use-fake-device-for-media-stream",
    ],
  });

/** What axe finds on a page, one line a rule. */
export async function violations(tab) {
  await tab.evaluate(axe);
  const found = await tab.evaluate(async () => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  return found.violations.map(
    ({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map((node) => `${node.html.slice(0, 160)} ${node.any[0]?.message ?? ""}`).join(" | ")}`,
  );
}

/** Waits until a page looks as it stays: something is drawn, fonts are there, and nothing moves. */
export const settled = (tab) =>
  tab.waitForFunction(
    () =>
      document.querySelector("#app")?.childElementCount > 0 &&
      document.querySelector("h1, h2, form, [role=log], [role=list]") !== null &&
      document.fonts.status === "loaded" &&
      document.getAnimations().every((one) => one.playState !== "running" || one.effect?.getComputedTiming().endTime === Infinity),
  );
