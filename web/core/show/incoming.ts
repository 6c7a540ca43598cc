// New messages to notify the user of: text and files from others, in conversations that are not muted.

import type { IncomingMessage } from "../api.ts";
import { wordsOf } from "../model/file.ts";
import type { ConversationId, UserId } from "../model/ids.ts";
import type { Account } from "../sync/account.ts";
import type { WireMessage } from "../wire/conversation.ts";
import { openRows } from "./log.ts";

/** Names of the conversation and of people. */
export interface DisplayNames {
  where: string;
  nameOf: (user: UserId) => string;
}

/** The messages to notify of among new rows of a conversation, in their order. */
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
