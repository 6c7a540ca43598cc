// What waits in one conversation, as the sender sees it.

import type { Outgoing } from "../store/records.ts";

/** What waits in one conversation. */
export interface ConversationQueue {
  running: boolean;
  /** Something was written, or decided, since the outbox was read. */
  again: boolean;
  /** Nothing waits in it, as far as this tab has heard. */
  isEmpty: boolean;
  tries: number;
  cancelTimer: () => void;
  /** The server has these; their rows may not be here yet. */
  stored: Outgoing[];
}

/** A line in which nothing waits, as far as anybody knows. */
export const newQueue = (): ConversationQueue => ({ running: false, again: false, isEmpty: true, tries: 0, cancelTimer: () => undefined, stored: [] });
