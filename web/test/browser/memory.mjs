// What pages keep in memory while messages come and go.

import { readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";

/** How long the writer rests between two messages, and how often it is told how far it is. */
const REST_MS = 200;
const TELL_MS = 60_000;
/** The first ones load what is loaded once, and the browser compiles what runs often. */
const FIRST_MESSAGES = 800;

/**
 * What is still reachable in a page once everything else is collected: bytes of its scripts' heap, nodes of its documents, listeners.
 * The browser's own heap is not counted, as there the debugger, which asks, keeps something of each request.
 */
async function heapOf({ context, tab }) {
  const session = await context.newCDPSession(tab);
  // Twice, as a collection may only end what the next one frees.
  for (let i = 0; i < 2; i++) await session.send("HeapProfiler.collectGarbage");
  const { usedSize: bytes } = await session.send("Runtime.getHeapUsage");
  const { nodes, jsEventListeners: listeners } = await session.send("Memory.getDOMCounters");
  await session.detach();
  return { bytes, nodes, listeners };
}

/** Megabytes that the processes of the pages hold, collected or not; null where there is no /proc. */
async function residentOf(browser) {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  await session.detach();
  try {
    const pages = processInfo.filter(({ type }) => type === "renderer");
    return pages.map(({ id }) => Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${id}/status`, "utf8"))[1]) / 1024));
  } catch {
    return null;
  }
}

/** Waits for a text as the newest message; what looks through all of them would take longer with each. */
const shows = ({ tab }, text) =>
  tab.waitForFunction((wanted) => [...document.querySelectorAll("article .text")].at(-1)?.textContent === wanted, text);

/** Leaves the conversation and opens it again: what is shown then does not depend on how long the reader was there. */
async function again(person, name, newest) {
  await person.tab.goto(`${person.world.proxy.address}#/`);
  await person.opens(name);
  await shows(person, newest);
}

/**
 * Writes for so many minutes; returns what both pages keep before and after, each with the conversation just opened. Nothing is
 * collected meanwhile but by the browser itself, as for a person.
 */
export async function watchMemory({ browser }, ann, ben, minutes, tell) {
  let count = 0;
  const write = async () => {
    count += 1;
    await ann.says(`Traffic ${count}`);
    await shows(ben, `Traffic ${count}`);
  };
  const reopen = async () => {
    await again(ann, ben.name, `Traffic ${count}`);
    await again(ben, ann.name, `Traffic ${count}`);
    return { ann: await heapOf(ann), ben: await heapOf(ben) };
  };
  while (count < FIRST_MESSAGES) await write();
  const before = await reopen();
  const begun = Date.now();
  for (let told = begun; Date.now() < begun + minutes * 60_000; ) {
    await write();
    await pause(REST_MS);
    if (Date.now() < told + TELL_MS) continue;
    told = Date.now();
    tell(`${Math.round((told - begun) / 60_000)} min, ${count} messages, resident: ${(await residentOf(browser))?.join(", ")} MB`);
  }
  return { before, after: await reopen(), count };
}
