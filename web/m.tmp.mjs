import { openWay, Person, launch } from "./test/browser/world.mjs";
const way = await openWay("http://127.0.0.1:4871"); const browser = await launch();
const ann = await Person.joins(browser, way, "Ann"), ben = await Person.joins(browser, way, "Ben"); await ann.befriends(ben); await ann.opens("Ben"); 
for (let i = 0; i < 60; i++) await ann.says("m" + i);
await ben.sees("m59");
for (let i = 0; i < 3; i++) { await ann.tab.reload(); await ann.sees("m59"); await ann.box.waitFor(); console.log(await ann.tab.evaluate(() => [performance.getEntriesByType("paint").map(e => Math.round(e.startTime)), Math.round(performance.now())])); }
await ben.tab.evaluate(() => { globalThis.at = {}; new MutationObserver(() => { for (const a of document.querySelectorAll("article .text")) globalThis.at[a.textContent] ??= Date.now(); }).observe(document.body, { subtree: true, childList: true }); });
const lat = []; for (let i = 0; i < 30; i++) { const t = await ann.tab.evaluate((x) => { const b = document.querySelector("textarea"); b.value = x; b.dispatchEvent(new InputEvent("input", { bubbles: true })); const t = Date.now(); b.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true })); return t; }, "L" + i); await ben.tab.waitForFunction((x) => globalThis.at[x], "L" + i); lat.push(await ben.tab.evaluate((x) => globalThis.at[x], "L" + i) - t); await ann.tab.waitForTimeout(50); }
console.log("Enter to the other's screen", lat.sort((a, b) => a - b)[15], "p95", lat[28], lat.join(" "));
await browser.close(); way.end();
