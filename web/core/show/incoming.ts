// What is told of new messages: of those that others wrote, for people to read, where one wants to hear of them.

import type { IncomingMessage } from "../api.ts";
import { wordsOf } from "../model/file.ts";
import type { ConversationId, UserId } from "../model/ids.ts";
import type { Account } from "../sync/account.ts";
import type { WireMessage } from "../wire/conversation.ts";
import { openRows } from "./log.ts";

/** What places and people are called. */
export interface DisplayNames {
  where: string;
  nameOf: (user: UserId) => string;
}

/** What is to be told of rows that have just arrived in a conversation, in their order. */
export async function incomingOf(account: Account, id: ConversationId, fresh: readonly WireMessage[], { where, nameOf }: DisplayNames): Promise<IncomingMessage[]> {
  const record = await account.store.conversation(id);
  const [first] = fresh;
  if (!record || !first || record.wire.properties[0]?.ismuted) return [];
  const ids = new Set(fresh.map(({ ID }) => ID));
  const rows = await openRows(account, record, first.Seq);
  return rows.flatMap((row): IncomingMessage[] => {
    const { content } = row;
    if (!ids.has(row.id) || !(content?.kind === "text" || content?.kind === "file")) return [];
    const text = content.kind === "file" ? wordsOf(content) : content.text;
    return [{ conversation: id, message: row.id, where, who: nameOf(row.user), text }];
  });
}
