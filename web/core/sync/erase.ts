// What was erased on the server is erased here, too: what is left of a row is its place in the chain.

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

/** Rows that are opened at a time, to look for their files. */
const OPENED = 500;

/** The changes that delete the files of these rows; tells whoever shows them. */
export async function forgetFilesOf({ store, cipher, notify }: Account, id: ConversationId, rows: readonly WireMessage[]): Promise<Change[]> {
  const record = await store.conversation(id);
  const files: FileId[] = [];
  // Some at a time: all that is opened is held.
  for (let from = 0; record && from < rows.length; from += OPENED) {
    const opened = await cipher.openAll(record, rows.slice(from, from + OPENED));
    files.push(...opened.flatMap(({ content }) => (content?.kind === "file" ? content.files.map((file) => file.id) : [])));
  }
  if (files.length > 0) notify({ files });
  return files.flatMap(change.forgetFile);
}

/** The changes that delete the rows of a conversation and their files. Only the rows' keys tell which files these are. */
export const forgetRowsOf = async (account: Account, id: ConversationId): Promise<Change[]> => [
  ...(await forgetFilesOf(account, id, await account.store.rows(id, 0))),
  ...change.forgetRows(id),
];

/** The changes that delete a conversation, with its rows and files. */
export const forgetConversationOf = async (account: Account, id: ConversationId): Promise<Change[]> => [
  ...(await forgetFilesOf(account, id, await account.store.rows(id, 0))),
  ...change.forgetConversation(id),
];
