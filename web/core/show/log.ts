// The rows of a conversation as articles: read from the store, decrypted, and combined.

import type { ConversationId, MessageId, UserId } from "../model/ids.ts";
import { parseAnnouncement } from "../crypto/epoch.ts";
import { contentOf } from "../outbox/queue.ts";
import { checkOrder } from "../model/reading.ts";
import { articles, type Context, type Reach, type Row, type Waiting } from "../model/timeline.ts";
import type { Article, HeldKind } from "../model/view.ts";
import type { ConversationRecord, Held, Outgoing } from "../store/records.ts";
import type { Account } from "../sync/account.ts";
import type { Names } from "./people.ts";

/** The reasons by their codes: the server's, and those of the outbox (outbox/sender.ts). */
const heldKinds: Partial<Record<string, HeldKind>> = {
  not_allowed: "blocksYou",
  not_friends: "ended",
  too_large: "tooLong",
  conversation_not_found: "removed",
  stale_instance: "cleared",
  keys_changed: "keysChanged",
  stranger: "stranger",
  no_key: "noKey",
  epoch_refused: "epochRefused",
  message_id_conflict: "conflict",
  lost: "lost",
  file_too_large: "fileTooLarge",
  quota_exceeded: "filesFull",
  disk_full: "serverFull",
  file_gone: "fileGone",
};

/** Why a message is held, as the UI distinguishes it. */
const heldAs = ({ code, sentence }: Held): NonNullable<Article["held"]> => ({
  kind: heldKinds[code] ?? "other",
  detail: sentence || code,
});

/** The context in which a conversation is read. */
export function contextOf(record: ConversationRecord, names: Names, { session, caller }: Account): Context {
  const me = session.user;
  const admins = record.roster ? parseAnnouncement(record.roster.announcement).admins : [];
  const reach = new Map(Object.entries(record.reach) as [UserId, Reach][]);
  reach.delete(me);
  return { me, isGroup: record.wire.isgroup, nameOf: names.of, isAdmin: (user) => admins.includes(user), reach, now: caller.now() };
}

/** Opens the rows from a number on. */
export async function openRows(account: Account, record: ConversationRecord, from: number): Promise<Row[]> {
  const rows = await account.store.rows(record.wire.id, from);
  return checkOrder(await account.cipher.openAll(record, rows), record.hasGaps);
}

/** Decrypts the outbox. The content of a message does not change there, so known ones are not decrypted again. */
export function openWaiting(account: Account, outbox: readonly Outgoing[], known: ReadonlyMap<MessageId, Waiting>): Promise<(Waiting & { conversation: ConversationId })[]> {
  return Promise.all(
    outbox.map(async (one) => {
      const content = known.get(one.id)?.content ?? (await contentOf(account, one));
      return { conversation: one.conversation, id: one.id, at: one.at, content, held: one.held && heldAs(one.held) };
    }),
  );
}

/** The articles from a number on, and the outbox. */
export async function readLog(
  account: Account,
  record: ConversationRecord,
  waiting: readonly Waiting[],
  names: Names,
  from: number,
): Promise<Article[]> {
  return articles(await openRows(account, record, from), waiting, contextOf(record, names, account));
}
