// How long messages are kept.

import type { Keep } from "./view.ts";

const DAY_MS = 86_400_000;
const DAYS: Record<Keep, number> = { forever: 36_500, year: 365, month: 30, week: 7, day: 1 };
/** A message that is kept for longer than this, 50 years, is shown as kept for ever. */
const FOREVER_MS = 50 * 365 * DAY_MS;

/** When a message of now disappears. */
export const endOf = ({ keep }: { keep: Keep }, now: number): number => now + DAYS[keep] * DAY_MS;

/** When a message disappears; null if it is kept for ever. */
export const disappearsAt = ({ Created, ValidUntil }: { Created: number; ValidUntil: number }): number | null =>
  ValidUntil - Created > FOREVER_MS ? null : ValidUntil;
