// Appends new rows to a conversation. One batch writes the rows, the cursor, and removes their messages from the outbox.

import { beginning, follow, type Link } from "../crypto/chain.ts";
import type { ConversationId, MessageId, UserId } from "../model/ids.ts";
import type { ConversationRecord, ReportRecord } from "../store/records.ts";
import { change, type Store } from "../store/store.ts";
import type { Change } from "../store/backend.ts";
import type { WireMessage, WireReport } from "../wire/conversation.ts";
import type { Account } from "./account.ts";
import { countsAsUnread } from "./unread.ts";

/** The links of rows, as the chain has them. */
export const linksOf = (rows: readonly WireMessage[]): Link[] =>
  rows.map(({ Seq, ID, Chain, Data, DataHash }) => {
    const place = { seq: Seq, id: ID, chain: Chain };
    return DataHash === undefined ? { ...place, data: Data } : { ...place, data: null, dataHash: DataHash };
  });

async function unreadAfter(store: Store, record: ConversationRecord, fresh: readonly WireMessage[], me: UserId): Promise<number> {
  const held = await store.rows(record.wire.id, record.seen + 1);
  const seqs = new Set([...held, ...fresh].filter((row) => row.Seq > record.seen && countsAsUnread(row, me)).map(({ Seq }) => Seq));
  return seqs.size;
}

type Reported = Pick<WireMessage, "Seq" | "User">;

/**
 * Applies reports to a record; returns those about own messages, to be stored. Reports about messages that are not here are skipped,
 * as they change nothing that could be shown.
 */
async function applyReports(
  store: Store,
  record: ConversationRecord,
  reports: readonly WireReport[],
  fresh: ReadonlyMap<MessageId, Reported>,
  me: UserId,
): Promise<ReportRecord[]> {
  const { id } = record.wire;
  const held = async (message: MessageId): Promise<Reported | undefined> => {
    const seq = await store.seqOf(id, message);
    return seq === undefined ? undefined : (await store.rows(id, seq, seq))[0];
  };
  const known = new Map<MessageId, Reported | undefined>(fresh);
  const kept: ReportRecord[] = [];
  for (const { Type, User, MessageID, Created } of reports) {
    if (!known.has(MessageID)) known.set(MessageID, await held(MessageID));
    const row = known.get(MessageID);
    if (!row) continue;
    const seq = row.Seq;
    if (row.User === me && User !== me && (Type === "viewed" || Type === "delivered")) kept.push({ seq, user: User, type: Type, at: Created });
    const { delivered, seen } = record.reach[User] ?? { delivered: 0, seen: 0 };
    const isSeen = Type === "viewed";
    record.reach[User] = { delivered: Math.max(delivered, seq), seen: isSeen ? Math.max(seen, seq) : seen };
    if (User === me && isSeen) record.seen = Math.max(record.seen, seq);
  }
  const last = reports.at(-1);
  if (last) record.report = { id: last.ID, date: last.Created };
  record.seenTold = Math.max(record.seenTold, record.reach[me]?.seen ?? 0);
  record.deliveredTold = Math.max(record.deliveredTold, record.reach[me]?.delivered ?? 0, record.seenTold);
  return kept;
}

/** Rows that continue what is stored. Messages that are stored already are skipped. */
export interface Arrived {
  id: ConversationId;
  messages: readonly WireMessage[];
  reports: readonly WireReport[];
}

/** What was appended. */
export interface Joined {
  record: ConversationRecord;
  /** New messages from others. */
  fresh: WireMessage[];
}

/**
 * Appends rows to a conversation, in the batch that also moves its cursor. Within `account.serial` only.
 * `record` is what the store has now; it is changed in place.
 */
export async function join(account: Account, record: ConversationRecord, arrived: Arrived): Promise<Joined> {
  const { store, session } = account;
  const me = session.user;
  const last = record.head?.seq ?? 0;
  const messages = arrived.messages.filter(({ Seq }) => Seq > last);
  const changes: Change[] = messages.flatMap((row) => change.row(arrived.id, row));
  if (messages.length > 0) await extend(record, messages, session.station, me);
  const fresh = new Map(messages.map((row) => [row.ID, row]));
  const seenBefore = record.seen;
  const reports = await applyReports(store, record, arrived.reports, fresh, me);
  changes.push(...reports.map((report) => change.report(arrived.id, report)));
  if (record.seen === seenBefore) record.unread += messages.filter((row) => row.Seq > record.seen && countsAsUnread(row, me)).length;
  else record.unread = await unreadAfter(store, record, messages, me);
  // The answer to `add` and the socket's echo both lead here; the second one finds nothing to settle.
  const settled = messages.filter(({ ID }) => account.sent.has(ID));
  const orders = settled.flatMap(({ ID }) => account.sent.get(ID) ?? []);
  // Shown before the write has completed: reads of these rows are queued behind the write.
  if (messages.length > 0) account.arriving(record, messages, last);
  await store.write(change.conversation(record), ...changes, ...orders.map(change.settle));
  for (const { ID } of settled) account.sent.delete(ID);
  account.notify({ grown: [arrived.id], outbox: settled.length > 0 });
  if (messages.length > 0) account.arrived(arrived.id, messages);
  return { record, fresh: messages.filter((row) => countsAsUnread(row, me) && row.Seq > record.seen) };
}

async function extend(record: ConversationRecord, messages: readonly WireMessage[], station: string, me: UserId): Promise<void> {
  const start = record.head?.chain ?? (await beginning(record.wire.id, record.instance));
  // The first page of a longer transcript begins in its middle: its own first link is taken as given.
  const unknownStart = record.head === null && !record.complete;
  const [head] = messages;
  const wrong = unknownStart && head ? await follow(head.Chain, linksOf(messages.slice(1))) : await follow(start, linksOf(messages));
  if (wrong && record.broken === null) record.broken = wrong.seq;
  const newest = messages.at(-1);
  if (!newest || !head) return;
  record.first ??= { seq: head.Seq, message: { id: head.ID, date: head.Created } };
  record.head = { seq: newest.Seq, chain: newest.Chain, message: { id: newest.ID, date: newest.Created } };
  record.n += messages.filter((row) => row.User === me && row.Station === station).length;
  for (const row of messages) if (row.Type === "Message") record.newestVisible = row.Seq;
}

/** Marks messages as seen on this device; the report to the server follows later. Within `account.serial` only. */
export async function markSeen(account: Account, id: ConversationId, seq: number): Promise<void> {
  const record = await account.store.conversation(id);
  if (!record || seq <= record.seen) return;
  record.seen = seq;
  record.unread = await unreadAfter(account.store, record, [], account.session.user);
  await account.store.write(change.conversation(record));
  account.notify({ heads: [id] });
}
