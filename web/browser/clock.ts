// The clock of this device.

import type { Clock } from "../core/ports.ts";

/** Real time. */
export const clock: Clock = {
  now: () => Date.now(),
  after: (ms, then) => {
    const timer = setTimeout(then, ms);
    return () => clearTimeout(timer);
  },
  // Node has no document.
  isLate: () => typeof document !== "undefined" && document.hidden,
};
