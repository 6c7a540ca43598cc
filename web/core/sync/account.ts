// What everything that works for a logged-in person shares.

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
  /** Anything of these. */
  conversations?: readonly ConversationId[];
  /** Rows were added at the end of these, or wait to be; those that were there are as they were. */
  grown?: readonly ConversationId[];
  /** Of these no more than what the list says. */
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
  /** Whoever changes a record that was read before does so in here. */
  serial: Exclusive;
  /** What this tab has sent, with its place in the outbox: its row takes it out of there. */
  sent: Map<MessageId, number>;
  /** What a person writes is written down one after the other. */
  submitting: Exclusive;
  /**
   * While this tab leads: seals a message and writes it down, and sends it from there. False where something waits before it: then
   * it has to be put behind that.
   */
  sendDirectly: ((record: OutgoingRecord, content: Content, also: readonly Change[]) => Promise<boolean>) | null;
  /** Messages whose files are being sent here, with what ends that. */
  uploading: Map<MessageId, AbortController>;
  /** Tells how far the files of a message have come; null when there is nothing more to tell. */
  progress: (message: MessageId, upload: Upload | null) => void;
  /** Tells this tab and the others. */
  notify: (hint: Hint) => void;
  /**
   * Hears of new rows that join what is held, while they are being written; `record` is what is written with them, `after` the
   * number of the row before them, 0 if there is none.
   */
  arriving: (record: ConversationRecord, rows: readonly WireMessage[], after: number) => void;
  /** Hears of all new rows, after they were written. */
  arrived: (id: ConversationId, rows: readonly WireMessage[]) => void;
}
