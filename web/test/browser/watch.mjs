// What measures in a page, and in any page alike: each function is handed to it as text.

import { setTimeout as pause } from "node:timers/promises";

/** How long nothing is done before and after a message: what it sets off afterwards is not part of the next one. */
const REST_MS = 250;

/** In the page: from each key to the frame that shows it. */
function watchKeys() {
  globalThis.keys = [];
  addEventListener("keydown", ({ timeStamp }) => {
    requestAnimationFrame(() => {
      const { port1, port2 } = new MessageChannel();
      // After the frame was drawn.
      port1.onmessage = () => globalThis.keys.push(performance.now() - timeStamp);
      port2.postMessage(null);
    });
  }, { capture: true });
}

/** In the page: when Enter was pressed last, by the clock that all pages share. */
function watchEnter() {
  addEventListener("keydown", ({ key, timeStamp }) => {
    if (key === "Enter") globalThis.enteredAt = performance.timeOrigin + timeStamp;
  }, { capture: true });
}

/** In the page: `shown` resolves when this text stands in a frame as the newest message, with the time by the clock that all pages share. */
function watchFor(text) {
  globalThis.shown = new Promise((known) => {
    const observer = new MutationObserver(() => {
      if ([...document.querySelectorAll("article .text")].at(-1)?.textContent !== text) return;
      observer.disconnect();
      requestAnimationFrame(() => known(performance.timeOrigin + performance.now()));
    });
    observer.observe(document.body, { subtree: true, childList: true });
  });
}

/** How long a frame takes, in whole milliseconds, and a number without a divisor in common with it. */
const [FRAME_MS, STEP_MS] = [17, 7];

/**
 * The times from a key to the frame that shows it, in the box of a page. Each key waits until the one before it is shown: faster
 * than any fingers, the browser puts keys before what says that a frame was drawn, and would measure how many of them wait. And then
 * it comes at any moment of a frame, as from fingers: right after a frame it would always wait for the whole of the next one.
 */
export async function keystrokeTimes({ tab, box }, count) {
  await tab.evaluate(watchKeys);
  await box.focus();
  for (let i = 1; i <= count; i++) {
    await pause((i * STEP_MS) % FRAME_MS);
    await tab.keyboard.press("abcdefghij"[i % 10]);
    await tab.waitForFunction((all) => globalThis.keys.length === all, i);
  }
  return tab.evaluate(() => globalThis.keys);
}

/** The times from Enter in a page to the frame of another one that shows what was written. */
export async function deliveryTimes(one, other, count) {
  await one.tab.evaluate(watchEnter);
  const times = [];
  for (let i = 0; i < count; i++) {
    await one.box.fill(`Message ${i}`);
    await pause(REST_MS);
    await other.tab.evaluate(watchFor, `Message ${i}`);
    await one.tab.keyboard.press("Enter");
    const [shown, entered] = [await other.tab.evaluate(() => globalThis.shown), await one.tab.evaluate(() => globalThis.enteredAt)];
    times.push(shown - entered);
    await pause(REST_MS);
  }
  return times;
}
