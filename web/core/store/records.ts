// The records that are stored on this device.

import type { UserKeys } from "../crypto/keys.ts";
import type { Head } from "../crypto/epoch.ts";
import type { VaultPin } from "../crypto/vault.ts";
import type { ConversationId, FileId, Instance, MessageId, ReportId, StationId, UserId } from "../model/ids.ts";
import type { KeyEvent } from "../model/key-history.ts";
import type { Reach } from "../model/timeline.ts";
import type { Keep, Trust } from "../model/view.ts";
import type { Cursor, WireConversation } from "../wire/conversation.ts";

/** The logged-in user. */
export interface SessionRecord {
  user: UserId;
  email: string;
  name: string;
  station: StationId;
  /** The server's id; empty on servers of the published form. */
  server: string;
  /** RSA, base64 of the SubjectPublicKeyInfo; Ed25519, hex, empty in accounts of the published form. */
  publicKey: string;
  signKey: string;
  keys: UserKeys;
  /** The device's key: encrypts drafts and the outbox. */
  box: CryptoKey;
  /** The vault as it was last seen; empty in accounts of the published form. */
  vault: string;
  /** Opens the vault's box, which holds the contacts' pins beside the keys; null where there is no vault. */
  boxKey: CryptoKey | null;
  hasSheet: boolean;
  /** The server's limit for a file at the time of the login; null if it is not known. */
  fileLimit?: number | null;
}

/** What this device remembers of an account after it was logged out. */
export interface KnownAccount {
  server: string;
  /** The highest version of its vault that was seen; 0 if it has none. */
  version: number;
}

/** A known user. */
export interface PersonRecord {
  id: UserId;
  name: string;
  /** Empty where it is not known. */
  email: string;
  publicKey: string;
  /** The key that the server names now, if it is not the pinned one; else empty. */
  offeredKey: string;
  availability: string;
  friend: boolean;
  /** They were a friend, as far as this device knows, and no longer are. */
  ended?: boolean;
  /** They were a friend, and have deleted their account. */
  left?: boolean;
  /** Somebody else's name looks like theirs. */
  alike?: boolean;
  blocked: boolean;
  /** All their cards that were ever accepted, oldest first: old ones verify old messages. */
  cards: string[];
  /** Their newest card according to the vault, or to the link of an invitation, which has no number. */
  pin: VaultPin | null;
  trust: Trust;
  /** The changes of their keys that this device noticed, oldest first. */
  history?: KeyEvent[];
}

/** A conversation, and how much of it is stored: a contiguous range from `first` to `head`. */
export interface ConversationRecord {
  wire: WireConversation;
  instance: Instance;
  first: { seq: number; message: Cursor<MessageId> } | null;
  head: { seq: number; chain: string; message: Cursor<MessageId> } | null;
  report: Cursor<ReportId> | null;
  /** Whether the server has nothing older. */
  complete: boolean;
  /** Whether its rows were ever fetched. */
  loaded: boolean;
  reach: Record<UserId, Reach>;
  /** The newest message that was seen here; and the newest that was reported to the server, as seen and as delivered. */
  seen: number;
  seenTold: number;
  deliveredTold: number;
  unread: number;
  /** The newest row that counts as a message; 0 before the first. */
  newestVisible: number;
  keep: Keep;
  /** How many messages this station has written in this instance. */
  n: number;
  /** The first message that does not fit the chain. */
  broken: number | null;
  /** The server no longer has the newest message that is here. Nothing is sent until the user accepts that, or the message is back. */
  lost?: boolean;
  /** The content of messages in between was deleted: of them only links are left. */
  hasGaps: boolean;
  /** The newest epoch that was accepted: its announcement, and who takes part, with the hash of their keys. */
  roster: { announcement: string; members: [UserId, string][] } | null;
  /** When it was accepted here, by this device's clock. */
  rosterAt: number | null;
  /** Users who were invited from this device: once they have accepted, the next epoch includes them. */
  invited: UserId[];
  /** A message that another of the user's devices has seen, until it was compared with the transcript here. */
  pinnedHead: Head | null;
  /** The user is no longer a participant; messages stay until the user removes the conversation from the list. */
  gone?: boolean;
}

/** When somebody has received or seen an own message, as they have reported. */
export interface ReportRecord {
  seq: number;
  user: UserId;
  type: "delivered" | "viewed";
  /** Of the server's clock; ms since 1970. */
  at: number;
}

/** Bytes encrypted with the device's key. */
export interface Boxed {
  iv: Uint8Array<ArrayBuffer>;
  data: ArrayBuffer;
}

/** Why a message waits for its writer. */
export interface Held {
  code: string;
  sentence: string;
}

/** A message that waits for the server. `box` holds its content. */
export interface OutgoingRecord {
  conversation: ConversationId;
  id: MessageId;
  at: number;
  /** Of an update: its target's end; null if the conversation's setting decides. */
  until: number | null;
  box: Boxed;
  /** What has to be on the server before it; their bytes lie in `records`. */
  files?: readonly FileId[];
  /** Of a deletion: whose content the server has to erase before it. */
  erases?: readonly MessageId[];
  /** What is sent until it is answered, the same bytes each time. */
  sealed: SealedRecord | null;
  held: Held | null;
}

/** A file whose records lie here, encrypted as they are on the server. */
export interface FileRecord {
  id: FileId;
  /** It is to be sent; or it may be forgotten, when others need the room. */
  state: "staged" | "kept";
  /** When it was staged, or looked at last; ms since 1970. */
  at: number;
  /** Its size on this device. */
  bytes: number;
  /** Of one that is to be sent with what is written next in a conversation: what is known of it besides its records. */
  chosen?: { conversation: ConversationId; box: Boxed };
}

/** A message as it is sent. */
export interface SealedRecord {
  instance: Instance;
  type: string;
  created: number;
  validUntil: number | null;
  data: string;
  epoch: number;
  n: number;
}

/** One that waits, with its place in the order of all. */
export interface Outgoing extends OutgoingRecord {
  order: number;
}

/** An epoch's wrapped secret, as on the wire; stored after it was verified. */
export interface EpochRecord {
  epoch: number;
  announcement: string;
  wrapped: string;
}

/** A conversation without stored rows. */
export function newConversation(wire: WireConversation): ConversationRecord {
  return {
    wire,
    instance: wire.instance,
    first: null,
    head: null,
    report: null,
    complete: false,
    loaded: false,
    reach: {},
    seen: 0,
    seenTold: 0,
    deliveredTold: 0,
    unread: 0,
    newestVisible: 0,
    keep: "forever",
    n: 0,
    broken: null,
    hasGaps: false,
    roster: null,
    rosterAt: null,
    invited: [],
    pinnedHead: null,
  };
}

/** The newest message that a writer had seen, as their message names it. */
export const headOf = (record: ConversationRecord, beginning: string): Head =>
  record.head ? [record.head.seq, record.head.chain] : [0, beginning];
