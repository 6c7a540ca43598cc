// Downloads missing rows: the first page, what came while offline, older pages.

import { beginning, follow, type Link } from "../crypto/chain.ts";
import type { ConversationId } from "../model/ids.ts";
import type { ConversationRecord } from "../store/records.ts";
import { change } from "../store/store.ts";
import { type Cursor, download, downloadBefore, type Rows, transcript, type WireMessage } from "../wire/conversation.ts";
import type { Account } from "./account.ts";
import { setLost } from "./alarm.ts";
import { join, linksOf } from "./inbox.ts";
import { countsAsUnread } from "./unread.ts";

/** Rows of a page when a conversation is seen for the first time, and of each older page. */
const PAGE = 50;

const where = (record: ConversationRecord): { conversationid: ConversationId; instance: ConversationRecord["instance"] } => ({
  conversationid: record.wire.id,
  instance: record.instance,
});

const sameCursor = (one: Cursor<string> | null | undefined, other: Cursor<string> | null | undefined): boolean =>
  one?.id === other?.id;

/** Whether nothing moved meanwhile; else what was fetched may not join any more. */
const isAsBefore = (before: ConversationRecord, now: ConversationRecord): boolean =>
  before.instance === now.instance &&
  before.head?.seq === now.head?.seq &&
  before.loaded === now.loaded &&
  sameCursor(before.report, now.report);

/** Fetches until nothing is newer; returns new messages of others, of which the caller may notify a person. */
export async function catchUp(account: Account, id: ConversationId): Promise<WireMessage[]> {
  const fresh: WireMessage[] = [];
  for (;;) {
    const before = await account.store.conversation(id);
    if (!before) return fresh;
    const page = before.loaded
      ? await download(account.caller, where(before), { message: before.head?.message ?? null, report: before.report })
      : await downloadBefore(account.caller, where(before), null, PAGE);
    const lost = await firstLost(account, before, page);
    const joined = await account.serial.run(async () => {
      const now = await account.store.conversation(id);
      if (!now || !isAsBefore(before, now)) return null;
      if (lost !== null) return noteLost(account, now, lost);
      now.lost = false;
      if (now.loaded) return joinChecked(account, now, page);
      now.complete = page.messages.length < PAGE;
      now.loaded = true;
      const first = await joinChecked(account, now, page);
      await adoptUnread(account, id, page.messages);
      return first;
    });
    if (joined?.record.lost) {
      await setLost(account);
      return fresh;
    }
    if (joined && before.loaded) fresh.push(...joined.fresh);
    // One more request follows the first page, for what came in between.
    if (joined && before.loaded && !page.hasmore) return fresh;
  }
}

/** Numbers before the newest message that is here, of which links are fetched where the server does not have it. */
const LOST_WITHIN = 500;

/**
 * The first message that the server has lost; null if it still has the newest one that is here. A page begins with the cursor's row,
 * unless its content was deleted: its link is left then.
 */
async function firstLost({ store, caller }: Account, record: ConversationRecord, page: Rows): Promise<number | null> {
  const { head, wire } = record;
  if (!record.loaded || !head || page.messages.some(({ Seq, Chain }) => Seq === head.seq && Chain === head.chain)) return null;
  const from = Math.max(0, head.seq - LOST_WITHIN);
  const links = new Map((await transcript(caller, where(record), from)).transcript.map(({ Seq, Chain }) => [Seq, Chain]));
  if (links.get(head.seq) === head.chain) return null;
  return (await store.rows(wire.id, from + 1)).find(({ Seq, Chain }) => links.get(Seq) !== Chain)?.Seq ?? head.seq;
}

async function noteLost({ store, notify }: Account, record: ConversationRecord, seq: number): ReturnType<typeof join> {
  const lost = { ...record, lost: true, broken: Math.min(record.broken ?? seq, seq) };
  await store.write(change.conversation(lost));
  notify({ conversations: [record.wire.id] });
  return { record: lost, fresh: [] };
}

async function joinChecked(account: Account, record: ConversationRecord, page: Rows): ReturnType<typeof join> {
  const joined = await join(account, record, { id: record.wire.id, ...page });
  if (joined.record.broken !== null) await explainGap(account, joined.record);
  if (joined.record.pinnedHead) await comparePinned(account, record.wire.id);
  return joined;
}

/** Takes over the server's unread count, as the first page need not show what was read on other devices. */
async function adoptUnread({ store, session }: Account, id: ConversationId, page: readonly WireMessage[]): Promise<void> {
  const record = await store.conversation(id);
  if (!record?.head || record.wire.unread === null || record.head.message.id !== record.wire.lastmessageid) return;
  const { unread } = record.wire;
  const counted = page.filter((row) => countsAsUnread(row, session.user));
  const read = unread === 0 ? record.head.seq : (counted.at(-1 - unread)?.Seq ?? 0);
  const seen = Math.max(record.seen, read);
  await store.write(change.conversation({ ...record, seen, seenTold: Math.max(record.seenTold, read), unread }));
}

/** Compares with the newest message that another of the user's devices has seen: a server that has less has removed something. */
async function comparePinned(account: Account, id: ConversationId): Promise<void> {
  const { store, caller } = account;
  const record = await store.conversation(id);
  if (!record?.pinnedHead || !record.head) return;
  const [seq, chain] = record.pinnedHead;
  const [row] = await store.rows(id, seq, seq);
  const own = row ? { Seq: row.Seq, Chain: row.Chain } : (await transcript(caller, where(record), seq - 1)).transcript[0];
  // The transcript reaches beyond that message without containing it: it was part of an instance that was cleared since.
  const isOther = own === undefined || (own.Seq === seq && own.Chain !== chain);
  const next = isOther ? { ...record, broken: Math.min(seq, record.head.seq) } : { ...record, pinnedHead: null };
  await store.write(change.conversation(next));
  account.notify({ conversations: [id] });
}

/** Messages whose content was deleted have left their links: with them the chain may fit after all. */
async function explainGap(account: Account, record: ConversationRecord): Promise<void> {
  const rows = await account.store.rows(record.wire.id, 0);
  const held = new Map(linksOf(rows).map((link) => [link.seq, link]));
  const links: Link[] = [];
  const [first] = rows;
  const from = record.complete || !first ? 0 : first.Seq;
  for (let after = from; ; ) {
    const page = await transcript(account.caller, where(record), after);
    for (const { Seq, ID, DataHash, Chain } of page.transcript) {
      links.push(held.get(Seq) ?? { seq: Seq, id: ID, chain: Chain, data: null, dataHash: DataHash });
      after = Seq;
    }
    if (!page.hasmore || page.transcript.length === 0) break;
  }
  const start = from === 0 ? await beginning(record.wire.id, record.instance) : (first?.Chain ?? "");
  const wrong = await follow(start, links);
  const missing = rows.some(({ Seq }) => Seq > from && !links.some(({ seq }) => seq === Seq));
  if (wrong || missing) return;
  await account.store.write(change.conversation({ ...record, broken: null, hasGaps: record.hasGaps || links.some(({ data }) => data === null) }));
  account.notify({ conversations: [record.wire.id] });
}

/** Fetches one older page; false if there is none. */
export async function fetchOlder(account: Account, id: ConversationId): Promise<boolean> {
  const before = await account.store.conversation(id);
  if (!before?.first || before.complete || before.gone) return false;
  const { first } = before;
  const page = await downloadBefore(account.caller, where(before), first.message, PAGE);
  return account.serial.run(async () => {
    const now = await account.store.conversation(id);
    if (!now?.first || now.instance !== before.instance || now.first.seq !== first.seq) return true;
    const older = page.messages.filter(({ Seq }) => Seq < first.seq);
    const [oldest] = older;
    now.complete = page.messages.length < PAGE;
    if (oldest) {
      const [next] = await account.store.rows(id, first.seq, first.seq);
      const wrong = await follow(oldest.Chain, linksOf([...older.slice(1), ...(next ? [next] : [])]));
      if (wrong && now.broken === null) now.broken = wrong.seq;
      now.first = { seq: oldest.Seq, message: { id: oldest.ID, date: oldest.Created } };
    }
    await account.store.write(change.conversation(now), ...older.flatMap((row) => change.row(id, row)));
    if (now.broken !== null) await explainGap(account, now);
    account.notify({ conversations: [id] });
    return older.length > 0;
  });
}
