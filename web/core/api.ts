// The client's interface: its state and its methods. The UI and bots use nothing else.

import type { ConversationId, FileId, MessageId } from "./model/ids.ts";
import type { FileInfo, FileSource } from "./model/file.ts";
import type { ChosenFile, KeptDraft } from "./model/draft.ts";
import type { AlarmOf, ChosenPresence, Connection, Conversation, Device, FileMetadata, Hit, Invitation, Keep, Log, Member, OpenInvitation, Outcome, Person, Request, SafetyNumber, ScanResult, Session, Upload } from "./model/view.ts";
import type { Draft, MessageInfo } from "./model/written.ts";
import type { Exported } from "./model/exported.ts";

/** The state that a client shows. */
export interface State {
  session: Session;
  /** In the order of the list. */
  conversations: readonly Conversation[];
  /** Everyone the user knows: friends, and members of shared groups. */
  people: ReadonlyMap<string, Person>;
  /** What the current user chose to be shown as. */
  presence: ChosenPresence;
  requests: readonly Request[];
  /** The log of the open conversation. */
  log: Log | null;
  /** The names of those who are typing, by conversation. */
  writing: ReadonlyMap<string, readonly string[]>;
  connection: Connection;
  /** How many messages wait for the server. */
  waiting: number;
  /** Progress of the first sync on a device: how many of how many conversations are loaded. */
  firstSync: { done: number; all: number } | null;
  /** How many minutes this device's clock is off; 0 if it is right. */
  clockOff: number;
  /** Devices that logged in after this one, and that the user has not confirmed yet. */
  newDevices: readonly Device[];
  /** What is wrong with the user's own keys, as the server presents them. */
  alarm: readonly AlarmOf[];
  /** Progress of uploads, by message. */
  uploads: ReadonlyMap<string, Upload>;
  /** Files that were deleted with their messages since the session was opened: drop everything that is cached of them. */
  forgotten: ReadonlySet<FileId>;
}

/** A change: the new values of some fields. */
export type Changes = Partial<State>;

/** A new message from somebody else, in a conversation that is not muted: what a notification shows. */
export interface IncomingMessage {
  conversation: ConversationId;
  message: MessageId;
  where: string;
  who: string;
  text: string;
}

/** What the service worker shows for a push message. It is stored, as the worker knows neither settings nor language. */
export interface PushSettings {
  /** Whether names and text are shown, or only that there is a new message. */
  preview: boolean;
  sound: boolean;
  /** "New message". */
  fresh: string;
  /** "No new messages". */
  nothing: string;
}

/** Whether this device gets push messages. */
export interface PushStatus {
  /** The key by which push services know the server; empty if it does not send pushes. */
  key: string;
  /** The URL at the push service; empty if this device gets none. */
  endpoint: string;
}

/** The client. Ids may come from anywhere (a URL, a command line); a malformed one throws `InvalidId`. */
export interface Client {
  /** The present state. */
  readonly state: Readonly<State>;
  /** Calls back after each change, once for all that changed together; returns a function that ends it. */
  subscribe: (listener: (changes: Changes) => void) => () => void;
  /** Calls back for each new message, in the one tab that leads; returns a function that ends it. */
  onMessage: (listener: (message: IncomingMessage) => void) => () => void;
  /** Ends all work of this client; the session stays. */
  close: () => Promise<void>;

  suggestPassword: () => string;
  /** `isRestored`: the user has heard that the server was restored from a backup, so an older vault than this device has seen is accepted. */
  logIn: (email: string, password: string, isRestored?: boolean) => Promise<Outcome>;
  /** Creates the account and returns the recovery key. The session begins with `enter`. */
  createAccount: (of: { invitation: Invitation; email: string; name: string; password: string }) => Promise<Outcome<string>>;
  recover: (email: string, key: string, password: string) => Promise<Outcome<string>>;
  /** Begins the session, once the recovery sheet was shown; returns the conversation to open, if there is one. */
  enter: (sheetKept: boolean) => Promise<ConversationId | null>;
  logOut: () => Promise<void>;

  open: (id: string) => Promise<void>;
  /** Closes the log of this conversation; another one that was opened meanwhile stays open. */
  closeLog: (id: string) => void;
  loadOlder: (id: string) => Promise<void>;
  /** Loads until the message is in the log; false if it is not on this device. */
  reveal: (id: string, message: string) => Promise<boolean>;
  /** The user has seen a message, and those before it; `isAtEnd`: the end of the log is in view, so that it need not keep many rows. */
  seenUpTo: (id: string, message: string, isAtEnd?: boolean) => void;
  typing: (id: string) => void;
  /**
   * Encrypts a draft for this device; an empty one is deleted. The function that it returns starts the write synchronously: a page
   * that is being unloaded cannot wait.
   */
  prepareDraft: (id: string, draft: KeptDraft) => Promise<() => Promise<void>>;
  /** Resolves when the message is stored on this device, so that the text field may be cleared; rejects if it could not be stored. */
  send: (id: string, draft: Draft) => Promise<void>;
  /**
   * Encrypts a file onto this device, to be sent with a draft; rejects if it cannot be read, or there is no room for it. `file` is the
   * id that `keepChosen` stored.
   */
  stage: (source: FileSource, about: FileMetadata, ended?: AbortSignal, file?: FileId) => Promise<FileInfo>;
  /** Stores that a file was chosen for the next message of a conversation, until it is sent or removed; before and after it is encrypted. */
  keepChosen: (id: string, file: ChosenFile) => Promise<void>;
  /** What `keepChosen` stored, in this page or an earlier one. */
  chosenFiles: (id: string) => Promise<readonly ChosenFile[]>;
  /** Removes it. */
  unstage: (file: string) => Promise<void>;
  /**
   * Reads a file part by part, each verified before it is handed on; the file as a whole is verified only if the outcome is ok. The
   * hashes of its records are added to `hashes`: pass them again to resume after a failure.
   */
  readFile: (file: FileInfo, take: (part: Uint8Array<ArrayBuffer>) => void | Promise<void>, hashes?: Uint8Array<ArrayBuffer>[]) => Promise<Outcome>;
  edit: (id: string, message: string, draft: Draft) => Promise<void>;
  erase: (id: string, message: string) => Promise<Outcome>;
  react: (id: string, message: string, emoji: string, on: boolean) => Promise<void>;
  retry: (id: string, message: string) => Promise<void>;
  discard: (id: string, message: string) => Promise<void>;
  info: (id: string, message: string) => Promise<MessageInfo | null>;

  change: (id: string, to: Partial<Pick<Conversation, "favorite" | "muted" | "hidden" | "color">>) => Promise<Outcome>;
  /** Sets how long the user's new messages there are kept, on all of their devices. */
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
  /** Sends a friend request to the inviter; returns the conversation if the two are friends already. */
  befriend: (invitation: Invitation) => Promise<Outcome<ConversationId | null>>;
  answer: (request: Pick<Request, "kind" | "id">, accept: boolean) => Promise<Outcome<ConversationId | null>>;
  /** The direct conversation with a friend. */
  writeTo: (user: string) => Promise<Outcome<ConversationId>>;
  /** The user's saved messages; the conversation is created when it is first needed. */
  saved: () => Promise<Outcome<ConversationId>>;
  createGroup: (name: string, users: readonly string[]) => Promise<Outcome<ConversationId>>;
  invite: () => Promise<Outcome<OpenInvitation>>;
  invitations: () => Promise<readonly OpenInvitation[]>;
  withdraw: (code: string) => Promise<Outcome>;
  block: (user: string, on: boolean) => Promise<Outcome>;
  /** Ends a friendship: neither can write to the other until they are friends again. */
  unfriend: (user: string) => Promise<Outcome>;
  /** Sends a friend request to a user who is already known. */
  askAgain: (user: string) => Promise<Outcome>;

  safetyNumber: (user: string) => Promise<SafetyNumber | null>;
  /** Compares what somebody's code, which was scanned, says of their keys and of the conversation. */
  compareCode: (user: string, text: string) => Promise<ScanResult>;
  verify: (user: string) => Promise<void>;
  acceptKeys: (user: string) => Promise<void>;

  search: (text: string, within: string | null) => Promise<{ hits: readonly Hit[]; searched: number }>;

  /** The user's devices, most recently used first. */
  devices: () => Promise<Outcome<readonly Device[]>>;
  signOut: (device: string) => Promise<Outcome>;
  signOutOthers: () => Promise<Outcome>;
  /** Confirms that a new device is the user's own. */
  knowDevice: (device: string) => Promise<void>;
  setName: (name: string) => Promise<Outcome>;
  setPresence: (presence: ChosenPresence) => Promise<Outcome>;
  changePassword: (present: string, next: string, othersOut: boolean) => Promise<Outcome>;
  /** Makes a new recovery key; the old one stops working. The password opens the vault for it. */
  newSheet: (password: string) => Promise<Outcome<string>>;
  /** Replaces all keys of the account, signed by the previous ones; signs other devices out. The password opens the vault. */
  newKeys: (password: string) => Promise<Outcome>;
  /**
   * Accepts that the server was restored from an older backup; only for a user who has heard so from somewhere else. What was written
   * after the backup is deleted from this device, too.
   */
  acceptRestored: () => Promise<Outcome>;
  /** Everything that is on this device, readable. */
  exportData: () => Promise<Exported>;
  deleteAccount: (password: string) => Promise<Outcome>;
  pushStatus: () => Promise<Outcome<PushStatus>>;
  /** Has push messages sent to this endpoint when something is new and this device has no open socket. */
  enablePush: (endpoint: string) => Promise<Outcome>;
  disablePush: () => Promise<Outcome>;
  setPushSettings: (settings: PushSettings) => Promise<void>;
  /** A fingerprint to compare the keys of two devices by reading it out. */
  fingerprint: () => string;
  connectNow: () => void;
  useHere: () => void;
}
