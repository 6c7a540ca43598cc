// The rows of a conversation as they are shown: read from the store, decrypted, put together.

import type { UserId } from "../model/ids.ts";
import { parseAnnouncement } from "../crypto/epoch.ts";
import { contentOf } from "../outbox/queue.ts";
import { checkNumbers } from "../model/reading.ts";
import { articles, type Context, type Reach, type Row, type Waiting } from "../model/timeline.ts";
import type { Article } from "../model/view.ts";
import type { ConversationRecord, Held, Outgoing } from "../store/store.ts";
import type { Account } from "../sync/account.ts";
import type { Names } from "./people.ts";

/** Why a message is not sent, in the words of the screens. */
function heldAs({ code, sentence }: Held): NonNullable<Article["held"]> {
  switch (code) {
    case "not_allowed":
      return { kind: "blocksYou", detail: sentence };
    case "too_large":
      return { kind: "tooLong", detail: sentence };
    case "conversation_not_found":
      return { kind: "removed", detail: sentence };
    default:
      return { kind: "other", detail: sentence || code };
  }
}

/** With whose eyes a conversation is read. */
export function contextOf(record: ConversationRecord, names: Names, me: UserId): Context {
  const admins = record.roster ? parseAnnouncement(record.roster.announcement).admins : [];
  const reach = new Map(Object.entries(record.reach) as [UserId, Reach][]);
  reach.delete(me);
  return { me, isGroup: record.wire.isgroup, nameOf: names.of, isAdmin: (user) => admins.includes(user), reach };
}

/** Opens the rows from a number on. */
export async function openRows(account: Account, record: ConversationRecord, from: number): Promise<Row[]> {
  const rows = await account.store.rows(record.wire.id, from);
  return checkNumbers(await Promise.all(rows.map((row) => account.cipher.open(record, row))), record.hasGaps);
}

/** What waits in a conversation. */
export function openWaiting(account: Account, outbox: readonly Outgoing[]): Promise<Waiting[]> {
  return Promise.all(
    outbox.map(async (one) => ({ id: one.id, at: one.at, content: await contentOf(account, one), held: one.held && heldAs(one.held) })),
  );
}

/** The articles from a number on, and what waits. */
export async function readLog(
  account: Account,
  record: ConversationRecord,
  outbox: readonly Outgoing[],
  names: Names,
  from: number,
): Promise<Article[]> {
  const [rows, waiting] = await Promise.all([openRows(account, record, from), openWaiting(account, outbox)]);
  return articles(rows, waiting, contextOf(record, names, account.session.user));
}
