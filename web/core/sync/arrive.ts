// Events from the socket: rows that continue what is stored are appended, otherwise the rows are fetched.

import type { ConversationId } from "../model/ids.ts";
import type { WireMessage } from "../wire/conversation.ts";
import type { WireEvent } from "../wire/notification.ts";
import type { Account } from "./account.ts";
import { catchUp } from "./fill.ts";
import { join } from "./inbox.ts";

/** Whether each event's predecessor is the last stored row, or the event before it. */
export function joins(events: readonly WireEvent[], head: string, report: string): boolean {
  let [lastMessage, lastReport] = [head, report];
  for (const { message, report: one, after } of events) {
    if (message) {
      if (after !== lastMessage) return false;
      lastMessage = message.ID;
    } else if (one) {
      if (after !== lastReport) return false;
      lastReport = one.ID;
    } else return false;
  }
  return true;
}

/** Stores the new events of one conversation; returns new messages from others. */
export async function arrive(account: Account, id: ConversationId, events: readonly WireEvent[]): Promise<WireMessage[]> {
  const fresh = await account.serial.run(async () => {
    const record = await account.store.conversation(id);
    if (!record?.loaded || events.length === 0 || events.some(({ instance }) => instance !== record.instance)) return null;
    if (!joins(events, record.head?.message.id ?? "", record.report?.id ?? "")) return null;
    const messages = events.flatMap(({ message }) => (message ? [message] : []));
    account.cipher.ahead(record, messages);
    const reports = events.flatMap(({ report }) => (report ? [report] : []));
    return (await join(account, record, { id, messages, reports })).fresh;
  });
  return fresh ?? catchUp(account, id);
}
