// Reports to the server what was delivered and what was seen. The pending state is a number per conversation, not a queue, so nothing
// is lost in a crash.

import type { ConversationId } from "../model/ids.ts";
import { change } from "../store/store.ts";
import { sendReport, type WireMessage } from "../wire/conversation.ts";
import { isUnauthorized, isPassing, Refused } from "../wire/refusal.ts";
import type { Account } from "./account.ts";
import { countsAsUnread } from "./unread.ts";

/** Messages that one report names. */
const MAX_IDS = 1000;

const cursors = (rows: readonly WireMessage[]): { id: WireMessage["ID"]; date: number }[] =>
  rows.map(({ ID, Created }) => ({ id: ID, date: Created }));

/** Sends the pending receipts of a conversation; none if it was left or cleared meanwhile. */
export async function sendReceipts(account: Account, id: ConversationId): Promise<void> {
  try {
    await send(account, id);
  } catch (error) {
    if (!(error instanceof Refused) || isPassing(error) || isUnauthorized(error)) throw error;
  }
}

async function send(account: Account, id: ConversationId): Promise<void> {
  const { store, caller, session } = account;
  const record = await store.conversation(id);
  if (!record?.head) return;
  const { seen, seenTold, deliveredTold, head } = record;
  const where = { conversationid: id, instance: record.instance };
  if (seen > seenTold) {
    const rows = (await store.rows(id, seenTold + 1, seen)).filter((row) => countsAsUnread(row, session.user)).slice(-MAX_IDS);
    if (rows.length > 0) await sendReport(caller, "viewed", where, cursors(rows));
  }
  const from = Math.max(deliveredTold, seen);
  if (head.seq > from) {
    const rows = (await store.rows(id, from + 1)).filter((row) => countsAsUnread(row, session.user)).slice(-MAX_IDS);
    if (rows.length > 0) await sendReport(caller, "delivered", where, cursors(rows));
  }
  await account.serial.run(async () => {
    const now = await store.conversation(id);
    if (!now || now.instance !== record.instance) return;
    now.seenTold = Math.max(now.seenTold, seen);
    now.deliveredTold = Math.max(now.deliveredTold, head.seq);
    await store.write(change.conversation(now));
  });
}
