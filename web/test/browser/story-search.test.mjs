// Finding what was said: in one conversation, also what this device does not have yet, and without a connection.

import assert from "node:assert/strict";
import { settled, violations } from "./chromium.mjs";
import { stories } from "./world.mjs";

const { pair, story } = stories({ REGISTRATION: "open" });

story("the search in a conversation fetches what is older than this device has, and leads there", async (t) => {
  const [ann] = await pair(t);
  await ann.says("The **key** lies under the mat");
  for (let i = 0; i < 55; i++) await ann.says(`Line ${i}`);
  await ann.knows("Line 54", "Sent", "Delivered", "Seen");
  const later = await ann.onAnotherDevice();
  t.after(() => later.context.close());
  await later.opens("Ben");
  await later.sees("Line 54");
  await later.tab.keyboard.press("Control+f");
  const field = later.tab.getByRole("textbox", { name: "Search here" });
  await field.fill("under the mat");
  await later.tab.getByText("Nothing found for “under the mat”").waitFor();
  await later.button("Fetch older ones").click();
  const hit = later.tab.locator(".search-here").getByRole("link", { name: /The key lies under the mat/ });
  await hit.waitFor();
  assert.equal(await later.button("Fetch older ones").count(), 0);
  await settled(later.tab);
  assert.deepEqual(await violations(later.tab), []);
  await hit.click();
  await later.tab.waitForFunction(() => document.activeElement?.matches("article") && document.activeElement.textContent.includes("under the mat"));
});

story("without a connection the list's search finds what is here: people, conversations, messages", async (t) => {
  const [ann, ben] = await pair(t);
  await ben.says("We meet at the Café Réka");
  await ann.sees("Café Réka");
  await ann.tab.waitForFunction(() => navigator.serviceWorker.controller !== null);
  await ann.context.setOffline(true);
  await ann.tab.reload();
  await ann.fills("Search", "cafe reka");
  await ann.tab.getByRole("link", { name: /Café Réka/ }).waitFor();
  await ann.fills("Search", "ben");
  await ann.tab.getByRole("link", { name: /^Ben/ }).first().waitFor();
  await ann.tab.keyboard.press("Escape");
  await ann.list.waitFor();
  await ann.context.setOffline(false);
});
