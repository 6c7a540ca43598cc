// The context of everything that works for a logged-in user.

import type { Content } from "../model/body.ts";
import type { ConversationId, FileId, MessageId, UserId } from "../model/ids.ts";
import type { Upload } from "../model/view.ts";
import type { Clock, Exclusive } from "../ports.ts";
import type { Change } from "../store/backend.ts";
import type { ConversationRecord, OutgoingRecord, SessionRecord } from "../store/records.ts";
import type { Store } from "../store/store.ts";
import type { Caller } from "../wire/call.ts";
import type { WireMessage } from "../wire/conversation.ts";
import type { Cipher } from "./cipher.ts";

/** What changed in the store: ids, never content. Another tab may miss one; the next one makes up for it. */
export interface Hint {
  /** Conversations of which anything may have changed. */
  conversations?: readonly ConversationId[];
  /** Conversations with new rows at their end, or in the outbox; earlier rows are unchanged. */
  grown?: readonly ConversationId[];
  /** Conversations of which only what the list shows has changed. */
  heads?: readonly ConversationId[];
  /** The list, people or requests. */
  list?: boolean;
  outbox?: boolean;
  /** Files that were deleted here. */
  files?: readonly FileId[];
  session?: boolean;
  /** The account has new keys. */
  keys?: boolean;
  /** The server was restored from a backup: what was read of it before does not count. */
  restored?: boolean;
  typing?: readonly { conversationid: ConversationId; userid: UserId }[];
}

/** A logged-in person at this station. */
export interface Account {
  session: SessionRecord;
  store: Store;
  caller: Caller;
  cipher: Cipher;
  clock: Clock;
  /** Serializes read-modify-write of records, across all tabs. */
  serial: Exclusive;
  /** Messages that this tab has sent, with their place in the outbox: their row removes them from it. */
  sent: Map<MessageId, number>;
  /** Serializes what the user sends, to keep its order. */
  submitting: Exclusive;
  /**
   * While this tab leads: seals, stores and sends a message at once. Resolves to false if the conversation's queue is not empty: then
   * the message has to be queued.
   */
  sendDirectly: ((record: OutgoingRecord, content: Content, also: readonly Change[]) => Promise<boolean>) | null;
  /** Messages whose files are being uploaded, with the controller that cancels it. */
  uploading: Map<MessageId, AbortController>;
  /** Reports the progress of a message's uploads; null once they have ended. */
  progress: (message: MessageId, upload: Upload | null) => void;
  /** Notifies this tab and the others. */
  notify: (hint: Hint) => void;
  /**
   * Called with new rows while they are being written; `record` is what is written with them, `after` the
   * number of the row before them, 0 if there is none.
   */
  arriving: (record: ConversationRecord, rows: readonly WireMessage[], after: number) => void;
  /** Called with all new rows after they were written. */
  arrived: (id: ConversationId, rows: readonly WireMessage[]) => void;
}
