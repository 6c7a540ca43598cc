// The details of a message: who has received it, and its place in the transcript.

import { beginning, follow } from "../crypto/chain.ts";
import { type ConversationId, messageId, userId } from "../model/ids.ts";
import { versionsOf } from "../model/timeline.ts";
import type { MessageInfo, Reached } from "../model/written.ts";
import { openRows } from "../show/log.ts";
import type { ConversationRecord, ReportRecord } from "../store/records.ts";
import { linksOf } from "../sync/inbox.ts";
import type { WireMessage } from "../wire/conversation.ts";
import type { Open } from "./context.ts";

/** The users who have received a message: those who reported it, with the time, and those who only reported a later one. */
function reachedBy({ view }: Open, record: ConversationRecord, seq: number, reports: readonly ReportRecord[], of: "delivered" | "seen"): Reached[] {
  // A client may report "viewed" without having reported "delivered".
  const said = of === "seen" ? ["viewed"] : ["delivered", "viewed"];
  const atOf = (user: string): number | null => {
    const times = reports.filter((one) => one.user === user && said.includes(one.type)).map(({ at }) => at);
    return times.length > 0 ? Math.min(...times) : null;
  };
  return Object.entries(record.reach).flatMap(([user, reach]) => (reach[of] >= seq ? [{ name: view.nameOf(userId(user)), at: atOf(user) }] : []));
}

/** Whether a row continues the chain. What was fetched together, or after it, was followed when it came (sync/inbox.ts, sync/fill.ts). */
async function fitsChain({ wire, instance, first, broken }: ConversationRecord, row: WireMessage): Promise<boolean | null> {
  if (broken !== null && row.Seq >= broken) return false;
  if (first && row.Seq > first.seq) return true;
  const [link] = linksOf([row]);
  if (row.Seq !== 1 || !link) return null;
  return (await follow(await beginning(wire.id, instance), [link])) === null;
}

/** The details of a message; null while the server does not have it. */
export async function info(open: Open, conversation: ConversationId, message: string): Promise<MessageInfo | null> {
  const { store, session } = open.account;
  const record = await store.conversation(conversation);
  const seq = await store.seqOf(conversation, messageId(message));
  if (!record || seq === undefined) return null;
  const [[wire], rows, reports] = await Promise.all([store.rows(conversation, seq, seq), openRows(open.account, record, seq), store.reports(conversation, seq)]);
  if (!wire) return null;
  delete record.reach[session.user];
  const row = rows.find((one) => one.seq === seq);
  const trouble = row?.trouble;
  return {
    at: row?.at ?? wire.Created,
    seq,
    chain: wire.Chain,
    fits: await fitsChain(record, wire),
    // A message that does not fit the transcript still has a verified author.
    signed: record.roster !== null && (trouble === null || trouble === "forked"),
    delivered: reachedBy(open, record, seq, reports, "delivered"),
    seen: reachedBy(open, record, seq, reports, "seen"),
    versions: row ? versionsOf(row, rows) : [],
  };
}
