// Which day it is. What says "today" or "yesterday" reads it, so that a page that is open at midnight goes on to say it right.

import { signal } from "@preact/signals";

/** Timers stand still while a device sleeps, so one that waits for midnight would be late. */
const LOOK_MS = 60_000;

const startOfDay = (): number => new Date().setHours(0, 0, 0, 0);

/** When the present day began. */
export const today = signal(startOfDay());

const look = (): void => {
  today.value = startOfDay();
};
setInterval(look, LOOK_MS);
document.addEventListener("visibilitychange", look);
