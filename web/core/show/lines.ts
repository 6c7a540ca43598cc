// What happened in a conversation besides messages: members and admins who joined, left or changed, from its signed announcements;
// and changed keys, as this device noticed them.

import { beginning } from "../crypto/chain.ts";
import { type Announcement, parseAnnouncement } from "../crypto/epoch.ts";
import { type UserId, userId } from "../model/ids.ts";
import type { Row } from "../model/timeline.ts";
import type { Article, Entry, Line } from "../model/view.ts";
import type { ConversationRecord, PersonRecord } from "../store/records.ts";
import type { Account } from "../sync/account.ts";
import type { Names } from "./people.ts";

/** What the lines of a log are computed with. */
export interface LinesContext {
  names: Names;
  people: ReadonlyMap<UserId, PersonRecord>;
  /** The rows that are shown, from the oldest. */
  rows: readonly Row[];
}

/** A line, and the number of the message after which it is placed; null if it is placed by its time. */
interface Placed {
  line: Line;
  after: number | null;
}

type What = Line["what"];
type Changes = Pick<Announcement, "by" | "added" | "removed" | "admins">;

/** What an announcement changed; `before` is the one before it, if this device has it. */
export function changesOf(one: Changes, before: Changes | undefined, nameOf: (user: string) => string): What[] {
  const found: What[] = [];
  if (one.added.length > 0) found.push({ kind: "added", by: nameOf(one.by), who: one.added.map(nameOf) });
  // Leaving and being removed cannot be distinguished: both are missing from the next announcement.
  if (one.removed.length > 0) found.push({ kind: "removed", who: one.removed.map(nameOf) });
  if (before) {
    const isOld = (user: string): boolean => before.admins.includes(user) || one.added.includes(user);
    for (const user of one.admins) if (!isOld(user)) found.push({ kind: "admin", who: nameOf(user) });
    const isStill = (user: string): boolean => one.admins.includes(user) || one.removed.includes(user);
    for (const user of before.admins) if (!isStill(user)) found.push({ kind: "member", who: nameOf(user) });
  }
  return found.length > 0 ? found : [{ kind: "renewed" }];
}

async function ofEpochs(account: Account, record: ConversationRecord, { names, rows }: LinesContext): Promise<Placed[]> {
  const { id } = record.wire;
  const epochs = (await account.store.epochs(id)).filter(({ epoch }) => epoch > 0);
  const all = epochs.map(({ announcement }) => parseAnnouncement(announcement));
  const start = await beginning(id, record.instance);
  const nameOf = (user: string): string => names.of(userId(user));
  const found: Placed[] = [];
  for (const [i, one] of all.entries()) {
    // The first announcement created the group.
    if (one.epoch === 1) continue;
    const [seq, chain] = one.head;
    const [first] = rows;
    // Older than what is shown.
    if (!first || (seq > 0 ? seq < first.seq : first.seq > 1)) continue;
    const [held] = await account.store.rows(id, seq, seq);
    // From before the conversation was cleared.
    if (chain !== (seq === 0 ? start : held?.Chain)) continue;
    const { at } = rows.findLast((row) => row.seq <= seq) ?? first;
    const changes = changesOf(one, all[i - 1], nameOf);
    changes.forEach((what, n) => found.push({ after: seq, line: { kind: "line", id: `epoch ${one.epoch} ${n}`, at, what } }));
  }
  return found;
}

function ofKeys(record: ConversationRecord, me: UserId, { names, people }: LinesContext): Placed[] {
  const others = record.wire.participants.map(({ userid }) => userid).filter((user) => user !== me);
  return others.flatMap((user) =>
    (people.get(user)?.history ?? []).flatMap(({ kind, at }): Placed[] => {
      if (kind === "verified" && record.wire.isgroup) return [];
      return [{ after: null, line: { kind: "line", id: `${kind} ${user} ${at}`, at, what: { kind, who: names.of(user), user } } }];
    }),
  );
}

/** The articles of a log, with the lines where they belong. */
export async function withLines(
  account: Account,
  record: ConversationRecord,
  articles: readonly Article[],
  isWhole: boolean,
  context: LinesContext,
): Promise<Entry[]> {
  const seqs = new Map<string, number>(context.rows.map(({ id, seq }) => [id, seq]));
  const epochs = record.wire.isgroup ? await ofEpochs(account, record, context) : [];
  const entries: Entry[] = [...articles];
  const since = isWhole ? 0 : (articles[0]?.at ?? 0);
  for (const { line, after } of [...epochs, ...ofKeys(record, account.session.user, context)]) {
    if (line.at < since) continue;
    const stands = (entry: Entry): boolean => {
      if (after === null || entry.kind === "line") return entry.at <= line.at;
      return (seqs.get(entry.id) ?? Number.POSITIVE_INFINITY) <= after;
    };
    entries.splice(entries.findLastIndex(stands) + 1, 0, line);
  }
  return entries;
}
