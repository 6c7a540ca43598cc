// What lies on this device, by verbs. Values come back as they were put: only this client writes its database, and
// browser/migrations.ts lifts what an older one wrote.

import type { UserKeys } from "../crypto/keys.ts";
import type { Head } from "../crypto/epoch.ts";
import type { VaultPin } from "../crypto/vault.ts";
import type { ConversationId, FileId, Instance, MessageId, ReportId, StationId, UserId } from "../model/ids.ts";
import type { KeyEvent } from "../model/key-history.ts";
import type { Reach } from "../model/timeline.ts";
import type { Keep, Me, Trust } from "../model/view.ts";
import type { Cursor, WireConversation, WireMessage } from "../wire/conversation.ts";
import { type Backend, type Change, LostLead, type Range, tables } from "./backend.ts";
import { unbox } from "./box.ts";

/** Who is logged in here. */
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
  /** Encrypts what lies here and is not on the server. */
  box: CryptoKey;
  /** The vault as it was last seen; empty in accounts of the published form. */
  vault: string;
  /** Opens the vault's box, which holds the contacts' pins beside the keys; null where there is no vault. */
  boxKey: CryptoKey | null;
  hasSheet: boolean;
  /** What others are to see of one. The server forgets it when the last device goes offline. */
  presence?: Me["presence"];
  /** The server's limit for a file at the time of the login; null if it did not tell. */
  fileLimit?: number | null;
}

/** What this device remembers of an account after it was logged out. */
export interface KnownAccount {
  server: string;
  /** The highest version of its vault that was seen; 0 if it has none. */
  version: number;
}

/** Somebody who is known. */
export interface PersonRecord {
  id: UserId;
  name: string;
  /** Empty where it is not known. */
  email: string;
  publicKey: string;
  /** Another key than the pinned one, that the server names by now; empty if there is none. */
  offeredKey: string;
  availability: string;
  friend: boolean;
  blocked: boolean;
  /** All their cards that were ever accepted, oldest first: old ones verify old messages. */
  cards: string[];
  /** What is known of their newest card from elsewhere: the vault, or the link of an invitation, which has no number. */
  pin: VaultPin | null;
  trust: Trust;
  /** What this device noticed of their keys, oldest first. */
  history?: KeyEvent[];
}

/** A conversation, and how much of it is here: one run without holes from `first` to `head`. */
export interface ConversationRecord {
  wire: WireConversation;
  instance: Instance;
  first: { seq: number; message: Cursor<MessageId> } | null;
  head: { seq: number; chain: string; message: Cursor<MessageId> } | null;
  report: Cursor<ReportId> | null;
  /** Nothing older is on the server. */
  complete: boolean;
  /** Whether its rows were ever asked for. */
  loaded: boolean;
  reach: Record<UserId, Reach>;
  /** The newest message that was looked at here, and that the server was told of. */
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
  /** The content of messages in between was deleted: of them only links are left. */
  hasGaps: boolean;
  /** The newest epoch that was accepted: its announcement, and who takes part, with the hash of their keys. */
  roster: { announcement: string; members: [UserId, string][] } | null;
  /** When it was accepted here, by this device's clock. */
  rosterAt: number | null;
  /** Whom one has invited from here: once they have accepted, the next epoch is for them, too. */
  invited: UserId[];
  /** A message that another device of one's own has seen, until it was compared with what is here. */
  pinnedHead: Head | null;
  /** One takes no part in it any more; what was read stays, until the person takes it from the list. */
  gone?: boolean;
}

/** Bytes under the device's key. */
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
  /** How much room it takes. */
  bytes: number;
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

/** What opens an epoch: as the wire has it, after it was checked. */
export interface EpochRecord {
  epoch: number;
  announcement: string;
  wrapped: string;
}

// Records of an older client have no value for what came later.
type Older<Record, Name extends keyof Record> = Omit<Record, Name> & Partial<Pick<Record, Name>>;
const asSession = (value: unknown): SessionRecord => ({ vault: "", boxKey: null, ...(value as Older<SessionRecord, "vault" | "boxKey">) });
const asPerson = (value: unknown): PersonRecord => ({ pin: null, ...(value as Older<PersonRecord, "pin">) });
const asConversation = (value: unknown): ConversationRecord => ({
  hasGaps: false,
  invited: [],
  pinnedHead: null,
  ...(value as Older<ConversationRecord, "hasGaps" | "invited" | "pinnedHead">),
});

const LAST = Number.MAX_SAFE_INTEGER;
const ofConversation = (id: ConversationId, from = 0, to = LAST): Range => ({ from: [id, from], to: [id, to] });
const anyId = (id: ConversationId): Range => ({ from: [id, ""], to: [id, "\uffff"] });

/** Changes, as batches are made of. */
export const change = {
  session: (record: SessionRecord): Change => ({ put: "meta", key: "session", value: record }),
  knownAccounts: (all: Record<string, KnownAccount>): Change => ({ put: "meta", key: "accounts", value: all }),
  person: (record: PersonRecord): Change => ({ put: "people", key: record.id, value: record }),
  conversation: (record: ConversationRecord): Change => ({ put: "conversations", key: record.wire.id, value: record }),
  row: (id: ConversationId, row: WireMessage): Change[] => [
    { put: "rows", key: [id, row.Seq], value: row },
    { put: "ids", key: [id, row.ID], value: row.Seq },
  ],
  epoch: (id: ConversationId, record: EpochRecord): Change => ({ put: "epochs", key: [id, record.epoch], value: record }),
  forgetRows: (id: ConversationId): Change[] => [
    { clear: "rows", range: ofConversation(id) },
    { clear: "ids", range: anyId(id) },
  ],
  forgetConversation: (id: ConversationId): Change[] => [
    ...change.forgetRows(id),
    { remove: "conversations", key: id },
    { clear: "epochs", range: ofConversation(id) },
  ],
  outgoing: ({ order, ...record }: Outgoing): Change => ({ put: "outbox", key: order, value: record }),
  settle: (order: number): Change => ({ remove: "outbox", key: order }),
  file: (record: FileRecord): Change => ({ put: "files", key: record.id, value: record }),
  fileRecord: (id: FileId, record: number, bytes: Uint8Array<ArrayBuffer>): Change => ({ put: "records", key: [id, record], value: bytes }),
  forgetFile: (id: FileId): Change[] => [
    { remove: "files", key: id },
    { clear: "records", range: { from: [id, 0], to: [id, LAST] } },
  ],
  draft: (id: ConversationId, box: Boxed | null): Change =>
    box ? { put: "drafts", key: id, value: box } : { remove: "drafts", key: id },
};

/** Reads, and writes batches. */
export class Store {
  private isOver = false;

  constructor(
    readonly backend: Backend,
    /** What `write` requires while this tab leads; undefined in others. */
    public term: number | undefined = undefined,
  ) {}

  /** Writes as who leads; throws `LostLead` if another one does by now. */
  async write(...changes: Change[]): Promise<void> {
    if (this.isOver) throw new LostLead();
    await this.backend.write(changes, this.term);
  }

  /** Writes what every tab may: drafts, new rows of the outbox, what a person decides about them. */
  async writeOwn(...changes: Change[]): Promise<void> {
    if (this.isOver) throw new LostLead();
    await this.backend.write(changes);
  }

  /** Puts a message into the outbox, as who leads if it is sealed; `also` is written in the same batch. Answers its place. */
  async enqueue(record: OutgoingRecord, ...also: Change[]): Promise<number> {
    if (this.isOver) throw new LostLead();
    const [order] = await this.backend.write([{ append: "outbox", value: record }, ...also], record.sealed ? this.term : undefined);
    if (order === undefined) throw new Error("nothing was appended");
    return order;
  }

  /** Nothing is written by way of this any more: what is still under way belongs to a session that has ended. */
  end(): void {
    this.isOver = true;
  }

  async meta<T>(name: string): Promise<T | undefined> {
    return (await this.backend.get("meta", name)) as T | undefined;
  }

  async session(): Promise<SessionRecord | undefined> {
    const found = await this.meta<SessionRecord>("session");
    return found && asSession(found);
  }

  async knownAccounts(): Promise<Record<string, KnownAccount>> {
    return (await this.meta<Record<string, KnownAccount>>("accounts")) ?? {};
  }

  async people(): Promise<PersonRecord[]> {
    return (await this.backend.range("people", null)).map(({ value }) => asPerson(value));
  }

  async person(id: UserId): Promise<PersonRecord | undefined> {
    const found = await this.backend.get("people", id);
    return found === undefined ? undefined : asPerson(found);
  }

  async conversations(): Promise<ConversationRecord[]> {
    return (await this.backend.range("conversations", null)).map(({ value }) => asConversation(value));
  }

  async conversation(id: ConversationId): Promise<ConversationRecord | undefined> {
    const found = await this.backend.get("conversations", id);
    return found === undefined ? undefined : asConversation(found);
  }

  async epochs(id: ConversationId): Promise<EpochRecord[]> {
    return (await this.backend.range("epochs", ofConversation(id))).map(({ value }) => value as EpochRecord);
  }

  /** Rows from one number to another, both included, oldest first. */
  async rows(id: ConversationId, from: number, to = LAST): Promise<WireMessage[]> {
    return (await this.backend.range("rows", ofConversation(id, from, to))).map(({ value }) => value as WireMessage);
  }

  /** The newest rows up to a number, newest first. */
  async rowsBefore(id: ConversationId, to: number, limit: number): Promise<WireMessage[]> {
    // Numbers have no gaps but where rows expired on the server: to read from the front is much quicker than the other way.
    const dense = await this.rows(id, to - limit + 1, to);
    if (dense.length === limit || to <= limit) return dense.reverse();
    const found = await this.backend.range("rows", ofConversation(id, 0, to), { limit, newestFirst: true });
    return found.map(({ value }) => value as WireMessage);
  }

  /** The number of a message that is here. */
  async seqOf(id: ConversationId, message: MessageId): Promise<number | undefined> {
    return (await this.backend.get("ids", [id, message])) as number | undefined;
  }

  /** All that waits, in order; or what waits between two places, both included. */
  async outbox(from = 0, to = LAST): Promise<Outgoing[]> {
    const found = await this.backend.range("outbox", { from, to });
    return found.map(({ key, value }) => ({ ...(value as OutgoingRecord), order: key as number }));
  }

  /** All files of which something lies here. */
  async files(): Promise<FileRecord[]> {
    return (await this.backend.range("files", null)).map(({ value }) => value as FileRecord);
  }

  async file(id: FileId): Promise<FileRecord | undefined> {
    return (await this.backend.get("files", id)) as FileRecord | undefined;
  }

  /** One record of a file, encrypted. */
  async fileRecord(id: FileId, record: number): Promise<Uint8Array<ArrayBuffer> | undefined> {
    return (await this.backend.get("records", [id, record])) as Uint8Array<ArrayBuffer> | undefined;
  }

  async drafts(): Promise<Map<string, Boxed>> {
    return new Map((await this.backend.range("drafts", null)).map(({ key, value }) => [String(key), value as Boxed]));
  }

  /** A draft, opened; empty if there is none. */
  async draft(id: string, key: CryptoKey): Promise<string> {
    const found = (await this.backend.get("drafts", id)) as Boxed | undefined;
    return found ? unbox(key, found) : "";
  }

  /** Takes the lead: what older leaders still want to write is refused from now on. */
  async takeTerm(): Promise<number> {
    const term = ((await this.meta<number>("term")) ?? 0) + 1;
    await this.backend.write([{ put: "meta", key: "term", value: term }]);
    this.term = term;
    return term;
  }

  /** Forgets everything of the account, whatever it is called; who leads in another tab writes nothing from now on. */
  async forgetAll(): Promise<void> {
    const term = ((await this.meta<number>("term")) ?? 0) + 1;
    const known = await this.knownAccounts();
    await this.backend.write([
      ...tables.map((name): Change => ({ clear: name, range: null })),
      { put: "meta", key: "term", value: term },
      change.knownAccounts(known),
    ]);
  }
}

/** A conversation of which nothing is here yet. */
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

/** What a message names as the newest one that its writer saw. */
export const headOf = (record: ConversationRecord, beginning: string): Head =>
  record.head ? [record.head.seq, record.head.chain] : [0, beginning];
