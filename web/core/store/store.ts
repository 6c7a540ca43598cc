// Typed access to the stored records. Values are returned as they were written: only this client writes its database, and
// browser/migrations.ts upgrades what an older one wrote.

import type { ConversationId, FileId, MessageId, UserId } from "../model/ids.ts";
import type { WireMessage } from "../wire/conversation.ts";
import { type Backend, type Change, LostLead, type Range, tables } from "./backend.ts";
import { unbox } from "./box.ts";
import type { Boxed, ConversationRecord, EpochRecord, FileRecord, KnownAccount, Outgoing, OutgoingRecord, PersonRecord, ReportRecord, SessionRecord } from "./records.ts";

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

/** The changes that batches are made of. */
export const change = {
  session: (record: SessionRecord): Change => ({ put: "meta", key: "session", value: record }),
  knownAccounts: (all: Record<string, KnownAccount>): Change => ({ put: "meta", key: "accounts", value: all }),
  person: (record: PersonRecord): Change => ({ put: "people", key: record.id, value: record }),
  conversation: (record: ConversationRecord): Change => ({ put: "conversations", key: record.wire.id, value: record }),
  row: (id: ConversationId, row: WireMessage): Change[] => [
    { put: "rows", key: [id, row.Seq], value: row },
    { put: "ids", key: [id, row.ID], value: row.Seq },
  ],
  report: (id: ConversationId, { seq, user, type, at }: ReportRecord): Change => ({ put: "reports", key: [id, seq, user, type], value: at }),
  epoch: (id: ConversationId, record: EpochRecord): Change => ({ put: "epochs", key: [id, record.epoch], value: record }),
  forgetRows: (id: ConversationId): Change[] => [
    { clear: "rows", range: ofConversation(id) },
    { clear: "ids", range: anyId(id) },
    { clear: "reports", range: ofConversation(id) },
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
    public term?: number,
  ) {}

  /** Writes as the leader; throws `LostLead` if another tab leads by now. */
  async write(...changes: Change[]): Promise<void> {
    if (this.isOver) throw new LostLead();
    await this.backend.write(changes, this.term);
  }

  /** Writes what every tab may write: drafts, new messages in the outbox, and the user's decisions. */
  async writeOwn(...changes: Change[]): Promise<void> {
    if (this.isOver) throw new LostLead();
    await this.backend.write(changes);
  }

  /** Puts a message into the outbox, as the leader if it is sealed; `also` is written in the same batch. Returns its place. */
  async enqueue(record: OutgoingRecord, ...also: Change[]): Promise<number> {
    if (this.isOver) throw new LostLead();
    const [order] = await this.backend.write([{ append: "outbox", value: record }, ...also], record.sealed ? this.term : undefined);
    if (order === undefined) throw new Error("nothing was appended");
    return order;
  }

  /** Refuses further writes: pending tasks belong to a session that has ended. */
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

  async peopleById(): Promise<Map<UserId, PersonRecord>> {
    return new Map((await this.people()).map((person) => [person.id, person]));
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

  /** The direct conversation with a user, if there is one. */
  async directWith(user: UserId): Promise<ConversationRecord | undefined> {
    return (await this.conversations()).find(({ wire }) => !wire.isgroup && wire.participants.some(({ userid }) => userid === user));
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

  /** The users who have received or seen an own message, and when. */
  async reports(id: ConversationId, seq: number): Promise<ReportRecord[]> {
    const found = await this.backend.range("reports", { from: [id, seq], to: [id, seq, "\uffff"] });
    return found.map(({ key, value }) => {
      const [, , user, type] = key as [ConversationId, number, UserId, ReportRecord["type"]];
      return { seq, user, type, at: value as number };
    });
  }

  /** The outbox, in order; or a range of it, both ends included. */
  async outbox(from = 0, to = LAST): Promise<Outgoing[]> {
    const found = await this.backend.range("outbox", { from, to });
    return found.map(({ key, value }) => ({ ...(value as OutgoingRecord), order: key as number }));
  }

  /** All files that are stored on this device, whole or in part. */
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

  /** Begins a new term: later writes of former leaders are refused. */
  async takeTerm(): Promise<number> {
    const term = ((await this.meta<number>("term")) ?? 0) + 1;
    await this.backend.write([{ put: "meta", key: "term", value: term }]);
    this.term = term;
    return term;
  }

  /** Deletes everything of the account. Later writes of a leading tab are refused. */
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
