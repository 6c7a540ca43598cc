// Waits by the client's clock, which tests can move.

import type { Clock } from "../ports.ts";

/** Resolves after `ms` milliseconds. */
export const sleep = (clock: Clock, ms: number): Promise<void> => new Promise((resolve) => void clock.after(ms, resolve));
