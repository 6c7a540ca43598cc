// Searches the messages on this device. Rows are decrypted one by one, because an index on the disk would disclose them.

import type { ConversationId } from "../model/ids.ts";
import { wordsOf } from "../model/file.ts";
import { articles } from "../model/timeline.ts";
import type { Hit } from "../model/view.ts";
import { contextOf, openRows } from "../show/log.ts";
import { Names } from "../show/people.ts";
import type { Open } from "./context.ts";

/** Maximum hits. */
const MAX_HITS = 200;

const fold = (text: string): string => text.normalize("NFKD").replaceAll(/\p{M}/gu, "").toLocaleLowerCase();

/** Finds messages that contain all words, newest first. */
export async function search(
  { account, view }: Open,
  text: string,
  within: ConversationId | null,
): Promise<{ hits: readonly Hit[]; searched: number }> {
  const words = fold(text).split(/\s+/).filter(Boolean);
  if (words.length === 0) return { hits: [], searched: 0 };
  const { store, session } = account;
  const names = new Names(await store.peopleById(), session);
  const hits: Hit[] = [];
  let searched = 0;
  for (const record of await store.conversations()) {
    const { id } = record.wire;
    if (within !== null && id !== within) continue;
    const found = articles(await openRows(account, record, 0), [], contextOf(record, names, account));
    searched += found.length;
    for (const { id: message, user, name, at, text: written, files } of found) {
      const folded = fold([written, ...files.map((file) => file.name)].join(" "));
      if (!words.every((word) => folded.includes(word))) continue;
      hits.push({ conversation: id, where: view.conversationName(id), message, user, name, at, text: wordsOf({ text: written, files }) });
    }
  }
  hits.sort((one, other) => other.at - one.at);
  return { hits: hits.slice(0, MAX_HITS), searched };
}
