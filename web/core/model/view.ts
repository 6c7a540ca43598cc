// What a client shows: plain values, replaced by new objects only where something changed. Ids are validated where they enter (api.ts).

import type { DraftTarget } from "./draft.ts";
import type { FileInfo, FileShape } from "./file.ts";
import type { ConversationId, MessageId, UserId } from "./ids.ts";

/** The delivery state of an own message. It only advances, except for `notSent`. */
export type SendState = "sending" | "sent" | "delivered" | "seen" | "notSent";
/** The presence that others see; `offline` also stands for invisible. */
export type Presence = "available" | "away" | "busy" | "offline";
/** What a user chooses to be shown as while they are online. */
export type ChosenPresence = "available" | "away" | "busy" | "invisible";
/** How far a person's keys are trusted: compared in person, seen on first use, or changed since. */
export type Trust = "verified" | "seen" | "changed";
/** How long messages are kept: for ever, or for a number of days. */
export type Keep = "forever" | "year" | "month" | "week" | "day";

/** Another user. */
export interface Person {
  id: UserId;
  name: string;
  email: string;
  presence: Presence;
  trust: Trust;
  blocked: boolean;
  /** Whether both have agreed to write to each other. */
  friend: boolean;
  /** They were a friend, and have deleted their account. */
  left: boolean;
  /** Somebody else's name looks like theirs: their id tells the two apart. */
  alike: boolean;
}

/** A member of a group. */
export interface Member extends Person {
  admin: boolean;
}

/** Why the user cannot write in a conversation. */
export type Barrier =
  | { kind: "keysChanged"; user: UserId; name: string }
  | { kind: "stranger"; names: readonly string[] }
  /** The friendship has ended. */
  | { kind: "ended"; user: UserId; name: string }
  /** The other user has deleted their account. */
  | { kind: "left"; name: string }
  | { kind: "youBlock"; user: UserId; name: string }
  | { kind: "removed" };

/** A line about files: their common kind, their number, and the name of the first. */
export type FilesBrief = { shape: FileShape; count: number; name: string };

/** A conversation as the list and its header show it. */
export interface Conversation {
  id: ConversationId;
  kind: "direct" | "group" | "saved";
  name: string;
  /** The other user of a direct conversation. */
  other: UserId | null;
  /** `#rrggbb`, or empty. */
  color: string;
  favorite: boolean;
  muted: boolean;
  hidden: boolean;
  keep: Keep;
  unread: number;
  /** When its last row was stored; 0 if there is none. */
  lastAt: number;
  /** `instead`: why the text is not shown. */
  preview: { name: string | null; own: boolean; text: string; files: FilesBrief | null; instead: Unshown | null } | null;
  /** Of the last message, if it is an own one that was not deleted. */
  lastState: SendState | null;
  draft: string;
  /** The message that the draft replies to or edits. */
  draftTarget: DraftTarget | null;
  memberCount: number;
  availableCount: number;
  admin: boolean;
  barrier: Barrier | null;
  /** When the keys were last renewed; null if not known. */
  renewedAt: number | null;
}

/** The reactions to a message with one emoji; the names are those of the other users. */
export interface Reaction {
  emoji: string;
  mine: boolean;
  names: readonly string[];
}

/** Why a message cannot be shown, or must not be trusted. */
export type Trouble = "waitingForKey" | "neverReadable" | "newerClient" | "notProven" | "forked";

/** Why nothing of a message is shown. */
export type Unshown = "deleted" | Exclude<Trouble, "notProven" | "forked">;

/** Why a message is held until its author decides. */
export type HeldKind =
  | "ended"
  | "blocksYou"
  | "tooLong"
  | "removed"
  | "cleared"
  | "keysChanged"
  | "stranger"
  | "noKey"
  | "epochRefused"
  | "conflict"
  | "lost"
  | "fileTooLarge"
  | "filesFull"
  | "serverFull"
  | "fileGone"
  | "other";

/** A message. */
export interface Article {
  kind: "article";
  id: MessageId;
  user: UserId;
  name: string;
  own: boolean;
  admin: boolean;
  at: number;
  text: string;
  /** `@Name` → user. */
  mentions: ReadonlyMap<string, UserId>;
  /** The attached files, in the order in which they were chosen. */
  files: readonly FileInfo[];
  reply: { id: MessageId; name: string; own: boolean; quote: string; deleted: boolean } | null;
  edited: boolean;
  deleted: boolean;
  reactions: readonly Reaction[];
  /** Of own messages only, and not of deleted ones. */
  state: SendState | null;
  /** The users who have seen it; only for own messages in groups. */
  seenBy: readonly { id: UserId; name: string }[];
  /** When it disappears; null is never. */
  until: number | null;
  trouble: Trouble | null;
  /** Why it is not sent; `detail` is the server's sentence. */
  held: { kind: HeldKind; detail: string } | null;
}

/** Upload progress of a message's files, in encrypted bytes. */
export interface Upload {
  done: number;
  all: number;
  /** The last attempt transferred nothing. */
  stalled: boolean;
}

/** What a message says about a file, except where its bytes are. */
export type FileMetadata = Pick<FileInfo, "name" | "mime" | "w" | "h" | "ms" | "thumb" | "wave">;

/** Something that happened, shown as one line. */
export interface Line {
  kind: "line";
  id: string;
  at: number;
  what:
    | { kind: "added"; by: string; who: readonly string[] }
    | { kind: "removed"; who: readonly string[] }
    | { kind: "admin" | "member"; who: string }
    | { kind: "newKeys" | "verified"; who: string; user: UserId }
    | { kind: "renewed" };
}

/** A row of the log. */
export type Entry = Article | Line;

/** The open conversation's log. */
export interface Log {
  id: ConversationId;
  /** Oldest first. */
  entries: readonly Entry[];
  /** Whether there are older ones to load. */
  older: boolean;
  /** The first unread one when it was opened. */
  firstUnread: MessageId | null;
}

/** A friend request or group invitation that was received; or a friend request that was sent, and not answered. */
export interface Request {
  kind: "friend" | "group" | "sent";
  /** The user's, or the conversation's. */
  id: string;
  name: string;
  user: UserId;
  group: string;
  /** Somebody else's name looks like theirs. */
  alike: boolean;
}

/** The state of the connection. */
export type Connection =
  | { kind: "live" }
  | { kind: "offline" }
  | { kind: "connecting" }
  | { kind: "waiting"; until: number }
  | { kind: "elsewhere" }
  | { kind: "outdated" };

/** The user. */
export interface Me {
  id: UserId;
  name: string;
  email: string;
  /** Whether the recovery sheet was printed, saved or copied. */
  hasSheet: boolean;
  /** Bytes that a file may have on the server; null if that is not known. */
  fileLimit: number | null;
}

/** The session's state. */
export type Session =
  | { kind: "starting" }
  | { kind: "out"; why: "signedOut" | "disabled" | null }
  | { kind: "in"; me: Me };

/**
 * Why it is not safe to continue: `server`, the account lived on another one so far; `kdf`, the password's hash would be cheap;
 * `vault`, it is older than one that this device has seen; `keys`, what the password opens are not the keys; `log`, no backup
 * explains the list of keys.
 */
export type UnsafeBy = "server" | "kdf" | "vault" | "keys" | "log";

/**
 * `own`, a card in one's name is not one's own; `log`, the server has another key log than before, sound in itself, as after a restored
 * backup; `keys`, its log is not right at all; `vault`, it has an older one; `lost`, it lacks messages that were read here.
 */
export type AlarmOf = "own" | "log" | "keys" | "vault" | "lost";

/** Why something did not work; `device`: nothing could be stored on this device; `otherType`: a file's content is not of its declared type. */
export type Failure =
  | { kind: "device" | "login" | "linkUsed" | "alreadyHere" | "unknownPerson" | "recoveryKey" | "noAnswer" | "notOffered" | "fileGone" | "fileDamaged" | "otherType" }
  /** The key of these people is unknown or has changed, or they take part although no announcement names them. */
  | { kind: "noKey" | "unexpected"; names: readonly string[] }
  | { kind: "tooMany"; minutes: number }
  | { kind: "unsafe"; by: UnsafeBy }
  | { kind: "refused"; sentence: string };

/** The outcome of an action. */
export type Outcome<T = null> = { ok: true; value: T } | { ok: false; failure: Failure };

/** A found message. */
export interface Hit {
  conversation: ConversationId;
  where: string;
  message: MessageId;
  user: UserId;
  name: string;
  at: number;
  text: string;
}

/** A device on which the user is logged in. */
export interface Device {
  id: string;
  /** Empty if it did not say. */
  name: string;
  /** When it was last used, rounded down to the hour. */
  seenAt: number;
  /** How long ago that is by the server's clock: this device's may be wrong. */
  idleMs: number;
  /** When it logged in for the first time; null if that is not known. */
  since: number | null;
  here: boolean;
}

/** What an invitation's link carries (docs/e2ee.md, Invitations). Fields that a link does not have are empty. */
export interface Invitation {
  code: string;
  from: string;
  card: string;
  secret: string;
  /** The inviter's name according to the link, which proves nothing. */
  name: string;
}

/** An invitation that nobody has used yet. */
export interface OpenInvitation {
  code: string;
  madeAt: number;
  until: number;
  /** Only in the browser that made it. */
  link: string | null;
}

/** The number by which two people compare their keys. */
export interface SafetyNumber {
  person: Person;
  /** Twelve groups of five digits. */
  groups: readonly string[];
  /** The content of the code to scan; null before there is a conversation. */
  code: string | null;
}

/** What scanning somebody's code has shown: their keys and messages are those of this device, they are not, or it is no code of theirs. */
export type ScanResult = "same" | "different" | "otherCode";
