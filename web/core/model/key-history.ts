// Changes of somebody's keys, as this device noticed them: shown as lines in the conversation.

import type { PersonRecord } from "../store/records.ts";

/** Something that was noticed. */
export interface KeyEvent {
  kind: "newKeys" | "verified";
  at: number;
}

/** Events that are kept per person. */
const MAX_EVENTS = 20;

// Until the user has decided about new keys, further cards do not count as another change.
const hasOtherKeys = (before: PersonRecord, after: PersonRecord): boolean =>
  before.trust !== "changed" && (after.trust === "changed" || (before.cards.length > 0 && after.cards.length > before.cards.length));

/** A person's new record, with events for key changes since `before`. */
export function withKeyEvents(before: PersonRecord | undefined, after: PersonRecord, now: number): PersonRecord {
  const events: KeyEvent[] = [];
  if (before && hasOtherKeys(before, after)) events.push({ kind: "newKeys", at: now });
  if (after.trust === "verified" && before?.trust !== "verified") events.push({ kind: "verified", at: now });
  if (events.length === 0) return after;
  return { ...after, history: [...(after.history ?? []), ...events].slice(-MAX_EVENTS) };
}
