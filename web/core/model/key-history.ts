// What this device noticed of somebody's keys, and when: it stands in the conversation as a line.

import type { PersonRecord } from "../store/records.ts";

/** Something that was noticed. */
export interface KeyEvent {
  kind: "newKeys" | "verified";
  at: number;
}

/** Of one person; older ones are forgotten. */
const MAX_EVENTS = 20;

// While it is not decided what to do about new keys, their cards may come one by one.
const hasOtherKeys = (before: PersonRecord, after: PersonRecord): boolean =>
  before.trust !== "changed" && (after.trust === "changed" || (before.cards.length > 0 && after.cards.length > before.cards.length));

/** A person as they are now, with what has changed since `before` noted. */
export function withKeyEvents(before: PersonRecord | undefined, after: PersonRecord, now: number): PersonRecord {
  const events: KeyEvent[] = [];
  if (before && hasOtherKeys(before, after)) events.push({ kind: "newKeys", at: now });
  if (after.trust === "verified" && before?.trust !== "verified") events.push({ kind: "verified", at: now });
  if (events.length === 0) return after;
  return { ...after, history: [...(after.history ?? []), ...events].slice(-MAX_EVENTS) };
}
