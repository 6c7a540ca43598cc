// The sender's state of one conversation.

import type { Outgoing } from "../store/records.ts";

/** The queue of one conversation. */
export interface ConversationQueue {
  running: boolean;
  /** The outbox has changed since it was read. */
  again: boolean;
  /** Nothing is in it, as far as this tab knows. */
  isEmpty: boolean;
  tries: number;
  cancelTimer: () => void;
  /** The server has these; their rows may not be here yet. */
  stored: Outgoing[];
}

/** A queue that is assumed to be empty. */
export const newQueue = (): ConversationQueue => ({ running: false, again: false, isEmpty: true, tries: 0, cancelTimer: () => undefined, stored: [] });
