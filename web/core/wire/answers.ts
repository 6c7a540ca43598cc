// Made by types.mjs from answers.json: not to be edited.

export type Added = {
  message: Stored;
};

/** A user's availability. */
export type Availability = "available" | "away" | "busy" | "offline";

/** Users and conversations that the caller does not want to see. */
export type Blocklist = {
  /** The conversations that the caller has hidden. */
  blockedconversations: readonly string[];
  /** The users whom the caller blocked. */
  blockedusers: readonly string[];
};

/** The signatures over a card. */
export type CardSignatures = {
  /** The signature by the previous card's key. Empty if there is no such card, or the key was lost. */
  prev: string;
  /** The signature by the card's RSA key. */
  rsa: string;
  /** The signature by the card's signing key. */
  sign: string;
};

/** A page of cards. */
export type Cards = {
  /** Each user's cards, in order. */
  cards: Readonly<Record<string, readonly SignedCard[]>>;
  /** Whether there are more. */
  hasmore: boolean;
  /** Each user's public key, whether or not they have a card. */
  publickeys: Readonly<Record<string, string>>;
};

/** What a user chose to be shown as. It is kept until they choose again, also while they are offline. */
export type ChosenAvailability = "available" | "away" | "busy" | "invisible";

/** A conversation, as its caller sees it. */
export type Conversation = {
  /** The admins of a group according to the server, sorted; docs/e2ee.md says when that counts. */
  admins?: readonly string[] | undefined;
  /** The hash over all messages up to the newest (docs/transcript.md); empty before the first. */
  chain?: string | undefined;
  /** Its name, encrypted. */
  displayname: string;
  /** The number of the present epoch, or 0 for none. */
  epoch?: number | undefined;
  /** The present epoch, unless its announcement is long. */
  epochs?: readonly Epoch[] | undefined;
  /** The caller, if they have hidden it for good. */
  hiddenby: readonly string[];
  /** Its id, which clearing does not change. */
  id: string;
  /** The present instance of its content. */
  instance: string;
  /** Whether it is a group, even if it has only two participants. */
  isgroup: boolean;
  /** When the newest message was written; Unix seconds. */
  lastaccess: number;
  /** The newest message of the present instance. */
  lastmessageid: string;
  /** The newest report of the present instance. */
  lastreportid: string;
  /** The participants' ids, sorted. */
  participantids: readonly string[];
  /** The participants, with their short names. */
  participants: readonly Participant[];
  /** The caller's settings of it. */
  properties: readonly Properties[];
  /** The caller's copy of its secret, wrapped. */
  secret: string;
  /** In a list: the number of messages to be viewed. 999 means that many or more. */
  unread?: number | null | undefined;
};

export type Conversations = {
  conversations: readonly Conversation[];
  hasmore?: boolean | undefined;
  /** The mark with which to ask for what changes while further pages are read. */
  known?: string | undefined;
};

/** A credential that opens the user's login. */
export type CredentialInfo = {
  /** When it was created. */
  created: string;
  /** Its id, for [`Session::revoke`](crate::Session::revoke). */
  keyid: string;
  /** Its origin: the password, the recovery key, or random bytes. */
  kind: CredentialKind;
  /** The name that its creator gave it. */
  label: string;
  /** The last login with it, to the hour. */
  lastused?: string | null | undefined;
};

/** The purpose of a credential. */
export type CredentialKind = "password" | "recovery" | "apikey";

/** An epoch of a conversation. */
export type Epoch = {
  /** The announcement that was signed. */
  announcement: string;
  /** Its number: counted from 1, without gaps. */
  epoch: number;
  /** The caller's copy of its secret, wrapped; empty if the caller has none. */
  secret: string;
  /** The signature by the creator's signing key. */
  signature: string;
};

/** A page of a conversation's epochs, the newest first. */
export type Epochs = {
  /** Newest first. */
  epochs: readonly Epoch[];
  /** Whether there are earlier ones. */
  hasmore: boolean;
};

/** The messages that were erased in a conversation. */
export type Erased = {
  /** The conversation. */
  conversationid: string;
  /** The erased messages. */
  messageids: readonly string[];
};

/** A row as it was committed. */
export type Event = {
  /** The id of the preceding row of this kind, or empty. */
  after: string;
  /** The conversation. */
  conversationid: string;
  /** Its instance. If it has changed, the conversation was cleared. */
  instance: string;
  /** The row, if it is a message. */
  message?: Message | null | undefined;
  /** The row, if it is a report. */
  report?: Report | null | undefined;
};

/** A friend. */
export type Friend = {
  /** Whether another user's nick looks like theirs, so that their id should be shown beside it. */
  alike?: boolean | undefined;
  /** Their availability, or `Offline` if they have blocked the user. */
  availability: Availability;
  /** Their id. */
  friendid: string;
  /** Their short name. */
  friendname: string;
  /** Their public key: base64 of the DER SubjectPublicKeyInfo. */
  publickey: string;
};

/** A friend request. */
export type FriendRequest = {
  /** Whether another user's nick looks like theirs, so that their id should be shown beside it. */
  alike?: boolean | undefined;
  /** Their id. */
  friendid: string;
  /** Their short name. */
  friendname: string;
};

/** A friend who has deleted their account. A later account with this id belongs to somebody else. */
export type FriendWhoLeft = {
  /** Their id. */
  friendid: string;
  /** The nick that they had. */
  friendname: string;
};

/** The caller's friends. */
export type Friends = {
  /** The friends, to whom the caller may write. */
  availabilities: readonly Friend[];
  /** What the caller chose to be shown as. `None` from a server that does not keep it. */
  chosen?: ChosenAvailability | null | undefined;
  /** Friends who have deleted their accounts, until the caller removes them. */
  left?: readonly FriendWhoLeft[] | undefined;
  /** Requests to the caller. */
  requests?: readonly FriendRequest[] | undefined;
};

/** A group after a call, and the users who were invited instead of added. */
export type Group = {
  /** The group, as it is after the call. */
  conversation: Conversation;
  /** The users who were invited instead. Whether they got an invitation is not disclosed. */
  invited?: readonly string[] | undefined;
};

/** An invitation to a group. */
export type Invitation = {
  /** The group that the user is invited to. */
  conversationid: string;
  /** The group's name, encrypted. */
  displayname: string;
  /** When the user was invited. */
  invited: string;
  /** The inviter, so that a client can show whether it is a friend. */
  inviterid: string;
  /** Their short name. */
  invitername: string;
  /** The participants whom the caller knows: friends, and users whom the caller blocked. */
  participantids: readonly string[];
  /** The caller's copy of the group's secret, wrapped. */
  secret: string;
};

export type Invitations = {
  invitations: readonly Invitation[];
};

/** An invitation of the caller's. */
export type Invite = {
  /** When it was created. */
  created: string;
  /** The only address that may register with it; empty if any may. */
  email: string;
  /** When it expires. */
  expires: string;
  /** Its id, for revoking it. The code is shown only once, at creation. */
  inviteid: string;
  /** Whether somebody can still register with it. */
  open: boolean;
  /** The users who have registered with it. */
  usedby: readonly string[];
  /** How many people may register with it. */
  uses: number;
};

/** The caller's invitations, newest first. */
export type Invites = {
  /** At most 100. */
  invites: readonly Invite[];
};

/** How the password of an account is turned into its keys (docs/e2ee.md, Vault). */
export type Kdf = {
  kdf: "argon2id";
  /** Memory, in KiB. */
  m: number;
  /** Parts of the memory that can be filled at the same time. */
  p: number;
  /** The salt, different for each account, so that equal passwords give different keys. */
  salt: string;
  /** Passes over the memory. */
  t: number;
} | {
  kdf: "pbkdf2-sha256";
};

/** A part of the key log. */
export type KeyLogPage = {
  /** Base64 of the entries, 72 bytes each. */
  entries: string;
  /** Whether there are more entries. */
  hasmore: boolean;
  /** The head of the whole log. */
  head: string;
  /** The server's key, according to the server. */
  key: string;
  /** The server's signature over it. */
  signature: string;
};

/** The answer to [`Session::credentials`](crate::Session::credentials). */
export type Keys = {
  /** Oldest first. */
  keys: readonly CredentialInfo[];
};

/** A server's limits (docs/api.md, chatlogin). */
export type Limits = {
  /** Bytes of a request. */
  bodybytes: number;
  /** Seconds by which a client's clock may be wrong. */
  clockdifference: number;
  /** Conversations that a user takes part in. */
  conversations: number;
  /** Ids of one `erase`. */
  erasedids: number;
  /** Seconds for which an expired message is kept. */
  expirygrace: number;
  /** Bytes of a file, encrypted, without the 16 bytes that this adds to each record; 0 if the server has no files. */
  file?: number | undefined;
  /** Bytes of files that a user may upload in an hour; 0 if the server does not report it. */
  filebytes?: number | undefined;
  /** Bytes of all files of a user; 0 if the server has no files. */
  filequota?: number | undefined;
  /** Bytes that this user's files use of `filequota`. */
  fileused?: number | undefined;
  /** Bytes of a socket's frame. */
  framebytes: number;
  /** Bytes of a message's `Data`. */
  messagebytes: number;
  /** Ids of one report. */
  messageids: number;
  /** Seconds until a message without a `ValidUntil` expires. */
  messagelifetime: number;
  /** Conversations that a user creates in a day. */
  newconversations: number;
  /** Participants of a group. */
  participants: number;
  /** Requests of a user in progress. */
  requests: number;
  /** Bytes of `rsakey`. */
  rsakeybytes: number;
  /** Open sockets of a user. */
  sockets: number;
  /** Stations of a user. */
  stations: number;
};

/** A link: a message's place in the chain, even if the message is purged. */
export type Link = {
  /** The hash over all messages up to it, hex. */
  Chain: string;
  /** SHA-256 of its `Data`, hex. */
  DataHash: string;
  /** The message's id. */
  ID: string;
  /** The message's number. */
  Seq: number;
};

/** The answer to [`Session::list_changes`](crate::Session::list_changes). */
export type ListChanges = {
  /** The ids of the whole list, if other conversations than the known ones may be in it. One that is not among them is gone. */
  conversationids?: readonly string[] | null | undefined;
  /** The conversations that are new or may have changed, newest first. */
  conversations: readonly Conversation[];
  /** The mark for the next request. */
  known: string;
};

/** The answer to a login. */
export type Login = {
  /** The user's full name. */
  fullname: string;
  /** The kind of key that opened the login. After a recovery the password has to be replaced. */
  key?: CredentialKind | null | undefined;
  /** The server's limits. Servers before version 4 do not report them. */
  limits?: Limits | null | undefined;
  /** The addresses for WebSockets, by scheme: `ws` or `wss`. */
  listeners: Readonly<Record<string, string>>;
  /** The short name that others see. */
  nick: string;
  /** The user's role on this server; `None` from an older server. */
  role?: UserRole | null | undefined;
  /** The private key under the user's password. */
  rsakey: string;
  /** The server's version. */
  server: string;
  /** The user's id. */
  userid: string;
  /** The version of `rsakey`. Servers before version 4 have none: 0. */
  version?: number | undefined;
};

/** A message, as stored by the server. */
export type Message = {
  /** The hash over all messages up to this one (docs/transcript.md). */
  Chain: string;
  /** When it was written, by its sender's clock. */
  Created: string;
  /** Its content, encrypted. */
  Data: string;
  /** Its id, chosen by its sender. Sending another message with this id repeats it. */
  ID: string;
  /** Its number in the conversation. */
  Seq: number;
  /** The station that it was sent from. */
  Station: string;
  /** `Message` counts as unread, `Update` does not; others are the clients' own. */
  Type: string;
  /** Its sender, according to the server. */
  User: string;
  /** When it expires. */
  ValidUntil: string;
};

/** A new invitation. */
export type NewInvite = {
  /** When it expires. */
  expires: string;
  /** Its code. The server does not show it again. */
  invite: string;
  /** Its id, for revoking it. */
  inviteid: string;
  /** The link that a web client opens. */
  link: string;
};

/** A notification object: the answer to a poll, or a frame of a socket. */
export type Notification = {
  /** Conversations with new rows. */
  conversationchangedof: readonly string[];
  /** If not empty, resync: the list changed, or the server no longer knows what changed. */
  conversationlistchangedof: readonly string[];
  /** Messages that were erased. */
  erased?: readonly Erased[] | undefined;
  /** Whole new rows; only from a socket. */
  events?: readonly Event[] | undefined;
  /** Friends whose availability changed. */
  friendavailabilitesof: readonly string[];
  /** Stations from which the user logged in for the first time. */
  newstations?: readonly string[] | undefined;
  /** The receipt that confirms this answer in the next poll; only from a poll. */
  receipt?: string | null | undefined;
  /** Users who are typing; only from a socket. */
  typing?: readonly Typing[] | undefined;
};

export type OneConversation = {
  conversation: Conversation;
};

/** A page of a conversation's rows, oldest first. */
export type Page = {
  /** Whether there are more rows. */
  hasmore?: boolean | undefined;
  /** Oldest first. */
  messages: readonly Message[];
  /** The reports that others have received or seen messages, oldest first. */
  reports: readonly Report[];
};

/** A participant of a conversation. */
export type Participant = {
  /** The user's id. */
  userid: string;
  /** Their short name. */
  username: string;
};

/** A user's properties of a conversation. */
export type Properties = {
  /** The instances hidden, each followed by `;`. */
  hideid: string;
  /** Whether it is among the user's favorites. */
  isfavorite: boolean;
  /** Whether notifications are muted. */
  ismuted: boolean;
  /** The color of its line in the list, as `#rrggbb`; empty if none was chosen. */
  listitembackgroundcolor: string;
  /** The user whose settings these are. */
  userid: string;
};

/** The answer to [`Session::push`](crate::Session::push). */
export type Push = {
  /** The station's push endpoint; empty if push is not enabled for it. */
  endpoint: string;
  /** The key by which push services know the server; empty if it does not send pushes. */
  pushkey: string;
};

/** A report that a user's station has received a message, or that the user has seen it. */
export type Report = {
  /** When the server received it. */
  Created: string;
  /** Its id, with which the next download begins ([`History`](crate::History)). */
  ID: string;
  /** The message that it is about. */
  MessageID: string;
  /** The station that it was sent from. */
  Station: string;
  /** What happened to the message. */
  Type: ReportType;
  /** The user who sent it. */
  User: string;
};

/** The type of a report about a message. */
export type ReportType = "delivered" | "viewed";

/** A card with its signatures, as it is published. */
export type SignedCard = {
  /** The card that was signed. */
  card: string;
  /** The signatures over it. */
  signatures: CardSignatures;
};

/** One of the user's stations. */
export type StationInfo = {
  /** When it first logged in, if that is known. */
  created?: string | null | undefined;
  /** Whether it is the station that sent the request. */
  current: boolean;
  /** The name of the credential of its last login, if that credential still exists. */
  key?: string | null | undefined;
  /** When it was last seen, to the hour. */
  lastseen: string;
  /** The name that its user gave it; empty if there is none. */
  name: string;
  /** Its id, for signing it out. */
  stationid: string;
};

/** The answer to [`Session::stations`](crate::Session::stations). */
export type Stations = {
  /** The one that was seen last comes first. */
  stations: readonly StationInfo[];
};

/** A message's times, as the server stored them. */
export type Stored = {
  /** When it was written; if that was in the future, the server's time. */
  Created: string;
  /** Its id, chosen by its sender. Sending another message with this id repeats it. */
  ID: string;
  /** When it expires. */
  ValidUntil: string;
};

/** A page of links of a conversation's chain (docs/transcript.md). */
export type Transcript = {
  /** Whether there are more links. */
  hasmore: boolean;
  /** The links, oldest first. */
  transcript: readonly Link[];
};

/** A user is writing a message. */
export type Typing = {
  /** The conversation. */
  conversationid: string;
  /** The user who writes. */
  userid: string;
};

/** The state of an upload. */
export type Upload = {
  /** Whether the upload has ended: the file can be read, and no longer changes. */
  complete: boolean;
  /** The records that the server has, as ranges: the first and the last record of each. */
  have: readonly (readonly [number, number])[];
  /** Number of its records. */
  records: number;
  /** Its size in bytes, as it is stored. */
  size: number;
};

/** A user's role on a server. */
export type UserRole = "admin" | "user";

/** A user's vault, as stored by the server. */
export type Vault = {
  /** How the password that opens it is turned into keys. */
  kdf: Kdf;
  /** The vault, or a private key of the published form. */
  rsakey: string;
  /** Its version; 0 until it is changed after the registration. */
  version: number;
};
