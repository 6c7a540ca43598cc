// Deletes here what was erased on the server. A row keeps its place in the chain.

import { hex, sha256, utf8 } from "../crypto/bytes.ts";
import type { ConversationId, FileId } from "../model/ids.ts";
import type { Change } from "../store/backend.ts";
import { change } from "../store/store.ts";
import type { WireMessage } from "../wire/conversation.ts";
import type { Frame } from "../wire/notification.ts";
import type { Account } from "./account.ts";

/** A row without its content. The content's hash stays, as the chain covers it. */
export const withoutContent = async (row: WireMessage): Promise<WireMessage> => ({ ...row, Data: "", DataHash: hex(await sha256(utf8(row.Data))) });

/** Deletes the content of messages on this device. */
export async function takeErased(account: Account, erased: Frame["erased"]): Promise<void> {
  const { store, serial, notify } = account;
  for (const { conversationid: id, messageids } of erased) {
    await serial.run(async () => {
      for (const message of messageids) {
        const seq = await store.seqOf(id, message);
        const [row] = seq === undefined ? [] : await store.rows(id, seq, seq);
        if (row && row.Data !== "") await store.write(...(await forgetFilesOf(account, id, [row])), ...change.row(id, await withoutContent(row)));
      }
      notify({ conversations: [id] });
    });
  }
}

/** Rows that are decrypted at a time, to find their files. */
const OPENED = 500;

/** The changes that delete the files of these rows; notifies the tabs, which may be showing them. */
export async function forgetFilesOf({ store, cipher, notify }: Account, id: ConversationId, rows: readonly WireMessage[]): Promise<Change[]> {
  const record = await store.conversation(id);
  const files: FileId[] = [];
  // In portions, to bound memory.
  for (let from = 0; record && from < rows.length; from += OPENED) {
    const opened = await cipher.openAll(record, rows.slice(from, from + OPENED));
    files.push(...opened.flatMap(({ content }) => (content?.kind === "file" ? content.files.map((file) => file.id) : [])));
  }
  if (files.length > 0) notify({ files });
  return files.flatMap(change.forgetFile);
}

/** The changes that delete the rows of a conversation and their files, whose ids are only in the decrypted rows. */
export const forgetRowsOf = async (account: Account, id: ConversationId): Promise<Change[]> => [
  ...(await forgetFilesOf(account, id, await account.store.rows(id, 0))),
  ...change.forgetRows(id),
];

/** The changes that delete a conversation, with its rows and files. */
export const forgetConversationOf = async (account: Account, id: ConversationId): Promise<Change[]> => [
  ...(await forgetFilesOf(account, id, await account.store.rows(id, 0))),
  ...change.forgetConversation(id),
];
