// The client's interface: what it says of itself, and what can be asked of it. ui/ and bots know nothing else.

import type { ConversationId, FileId, MessageId } from "./model/ids.ts";
import type { FileInfo, FileSource } from "./model/file.ts";
import type { ChosenFile, KeptDraft } from "./model/draft.ts";
import type { AlarmOf, ChosenPresence, Connection, Conversation, Device, FileAbout, Hit, Invitation, Keep, Log, Member, OpenInvitation, Outcome, Person, Request, SafetyNumber, Session, Upload } from "./model/view.ts";
import type { Draft, MessageInfo } from "./model/written.ts";
import type { Exported } from "./model/exported.ts";

/** All that a client shows. */
export interface State {
  session: Session;
  /** In the order of the list. */
  conversations: readonly Conversation[];
  /** Everybody whom one knows: friends, and those in one's groups. */
  people: ReadonlyMap<string, Person>;
  /** What the current user chose to be shown as. */
  presence: ChosenPresence;
  requests: readonly Request[];
  /** The log of the open conversation. */
  log: Log | null;
  /** Who is writing where, by name. */
  writing: ReadonlyMap<string, readonly string[]>;
  connection: Connection;
  /** How many messages wait for the server. */
  waiting: number;
  /** The first time on a device: how many of how many conversations are here. */
  firstSync: { done: number; all: number } | null;
  /** By how many minutes this device's clock is off; 0 if it is right. */
  clockOff: number;
  /** Devices on which one has logged in since this one did, and that nobody has looked at. */
  newDevices: readonly Device[];
  /** What is not right with one's own keys, as the server shows them. */
  alarm: readonly AlarmOf[];
  /** How far files have come that are being sent, by message. */
  uploads: ReadonlyMap<string, Upload>;
  /** Files that were deleted with their messages since the session was opened: nothing of them may be kept. */
  forgotten: ReadonlySet<FileId>;
}

/** What has changed: the new values of some fields. */
export type Changes = Partial<State>;

/** A new message of somebody else, in a conversation that is not muted: what a notification says. */
export interface News {
  conversation: ConversationId;
  message: MessageId;
  where: string;
  who: string;
  text: string;
}

/** How this device shows what came while nobody looked; it is said by a worker that knows neither settings nor language. */
export interface Waking {
  /** Names and text, or only that there is something. */
  preview: boolean;
  sound: boolean;
  /** "New message". */
  fresh: string;
  /** "No new messages". */
  nothing: string;
}

/** Where this device is pushed. */
export interface Pushed {
  /** The key by which push services know the server; empty if it does not send pushes. */
  key: string;
  /** Empty if this device is not pushed. */
  endpoint: string;
}

/** What can be asked of a client. Ids may come from anywhere (an address, a command line); a malformed one throws `InvalidId`. */
export interface Client {
  /** What is shown now. */
  readonly state: Readonly<State>;
  /** Calls back after each change, once for all that changed together; returns a function that ends it. */
  subscribe: (listener: (changes: Changes) => void) => () => void;
  /** Calls back for each new message, in the one tab that leads; returns a function that ends it. */
  onNews: (listener: (news: News) => void) => () => void;
  /** Ends all work of this client; the session stays. */
  close: () => Promise<void>;

  suggestPassword: () => string;
  /** `isRestored`: the person has heard that the server was restored from a backup, so an older vault than was seen here will do. */
  logIn: (email: string, password: string, isRestored?: boolean) => Promise<Outcome>;
  /** Makes the account; returns the recovery key. The session begins with `enter`. */
  createAccount: (of: { invitation: Invitation; email: string; name: string; password: string }) => Promise<Outcome<string>>;
  recover: (email: string, key: string, password: string) => Promise<Outcome<string>>;
  /** Begins the session after the sheet was shown; returns the conversation to open, if there is one. */
  enter: (sheetKept: boolean) => Promise<ConversationId | null>;
  logOut: () => Promise<void>;

  open: (id: string) => Promise<void>;
  /** This one is not looked at any more; another one that was opened meanwhile stays open. */
  closeLog: (id: string) => void;
  loadOlder: (id: string) => Promise<void>;
  /** Loads until the message is in the log; false if it is not on this device. */
  reveal: (id: string, message: string) => Promise<boolean>;
  seenUpTo: (id: string, message: string) => void;
  typing: (id: string) => void;
  /**
   * Makes what was begun ready to be kept on this device; an empty one is none. What it returns begins to write it before it
   * returns: a page that goes cannot wait.
   */
  prepareDraft: (id: string, draft: KeptDraft) => Promise<() => Promise<void>>;
  /** Resolves when it lies safely on this device; the box may then be emptied. Rejects if it does not. */
  send: (id: string, draft: Draft) => Promise<void>;
  /**
   * Encrypts a file onto this device, to be sent with a draft; rejects if it cannot be read, or there is no room for it. `file` is the
   * id under which its choice was remembered.
   */
  stage: (source: FileSource, about: FileAbout, ended?: AbortSignal, file?: FileId) => Promise<FileInfo>;
  /** Remembers that it goes with what is written next there, until it is sent or taken back: before and after it is encrypted. */
  keepChosen: (id: string, file: ChosenFile) => Promise<void>;
  /** What was remembered, also by a page that is gone. */
  chosenFiles: (id: string) => Promise<readonly ChosenFile[]>;
  /** Takes it back. */
  unstage: (file: string) => Promise<void>;
  /**
   * Reads a file, part by part, each checked before it is handed on; the file is right only if the outcome is. To `hashes` those of
   * its records are added: whoever hands them in again after it had no answer goes on behind them.
   */
  readFile: (file: FileInfo, take: (part: Uint8Array<ArrayBuffer>) => void | Promise<void>, hashes?: Uint8Array<ArrayBuffer>[]) => Promise<Outcome>;
  edit: (id: string, message: string, draft: Draft) => Promise<void>;
  erase: (id: string, message: string) => Promise<Outcome>;
  react: (id: string, message: string, emoji: string, on: boolean) => Promise<void>;
  retry: (id: string, message: string) => Promise<void>;
  discard: (id: string, message: string) => Promise<void>;
  info: (id: string, message: string) => Promise<MessageInfo | null>;

  change: (id: string, to: Partial<Pick<Conversation, "favorite" | "muted" | "hidden" | "color">>) => Promise<Outcome>;
  /** How long what one writes there is kept, from now on, on whichever device. */
  setKeep: (id: string, keep: Keep) => Promise<Outcome>;
  clear: (id: string) => Promise<Outcome>;
  leave: (id: string) => Promise<Outcome>;
  rename: (id: string, name: string) => Promise<Outcome>;
  members: (id: string) => Promise<readonly Member[]>;
  addMembers: (id: string, users: readonly string[], shareHistory: boolean) => Promise<Outcome>;
  removeMember: (id: string, user: string) => Promise<Outcome>;
  setAdmin: (id: string, user: string, admin: boolean) => Promise<Outcome>;
  renewKeys: (id: string) => Promise<Outcome>;

  request: (email: string) => Promise<Outcome>;
  /** Asks who made an invitation's link for a friendship; of friends, returns the conversation. */
  befriend: (invitation: Invitation) => Promise<Outcome<ConversationId | null>>;
  answer: (request: Pick<Request, "kind" | "id">, accept: boolean) => Promise<Outcome<ConversationId | null>>;
  /** The direct conversation with a friend. */
  writeTo: (user: string) => Promise<Outcome<ConversationId>>;
  /** The conversation with oneself; it is made when it is first wanted. */
  saved: () => Promise<Outcome<ConversationId>>;
  createGroup: (name: string, users: readonly string[]) => Promise<Outcome<ConversationId>>;
  invite: () => Promise<Outcome<OpenInvitation>>;
  invitations: () => Promise<readonly OpenInvitation[]>;
  withdraw: (code: string) => Promise<Outcome>;
  block: (user: string, on: boolean) => Promise<Outcome>;
  /** Ends a friendship: neither can write to the other until both have agreed again. */
  unfriend: (user: string) => Promise<Outcome>;
  /** Asks somebody whom one knows for a friendship. */
  askAgain: (user: string) => Promise<Outcome>;

  safetyNumber: (user: string) => Promise<SafetyNumber | null>;
  verify: (user: string) => Promise<void>;
  acceptKeys: (user: string) => Promise<void>;

  search: (text: string, within: string | null) => Promise<{ hits: readonly Hit[]; searched: number }>;

  /** Where one is logged in, the one that was used last first. */
  devices: () => Promise<Outcome<readonly Device[]>>;
  signOut: (device: string) => Promise<Outcome>;
  signOutOthers: () => Promise<Outcome>;
  /** A new device is one's own. */
  knowDevice: (device: string) => Promise<void>;
  setName: (name: string) => Promise<Outcome>;
  setPresence: (presence: ChosenPresence) => Promise<Outcome>;
  changePassword: (present: string, next: string, othersOut: boolean) => Promise<Outcome>;
  /** Makes a new recovery key; the old one stops working. The password opens the vault for it. */
  newSheet: (password: string) => Promise<Outcome<string>>;
  /** Replaces all keys of the account, which those before vouch for; other devices are signed out. The password opens the vault. */
  newKeys: (password: string) => Promise<Outcome>;
  /**
   * Goes on with a server that was restored from an older backup; only for who has heard so in another way. What was written after
   * the backup goes from this device, too.
   */
  acceptRestored: () => Promise<Outcome>;
  /** Everything that is on this device, readable. */
  exportData: () => Promise<Exported>;
  deleteAccount: (password: string) => Promise<Outcome>;
  pushed: () => Promise<Outcome<Pushed>>;
  /** This device is woken there when something is new and no socket of its is open. */
  enablePush: (endpoint: string) => Promise<Outcome>;
  disablePush: () => Promise<Outcome>;
  setWaking: (waking: Waking) => Promise<void>;
  /** What can be read out to compare the keys of two devices. */
  fingerprint: () => string;
  connectNow: () => void;
  useHere: () => void;
}
