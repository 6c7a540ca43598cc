// A message is stored in the outbox before the text field is cleared, and before anything is sent, so that it survives a crash.

import { canonical } from "../crypto/canonical.ts";
import { type Content, fieldsOf, readBody } from "../model/body.ts";
import type { FileInfo } from "../model/file.ts";
import type { ConversationId, MessageId } from "../model/ids.ts";
import { box, unbox } from "../store/box.ts";
import type { Change } from "../store/backend.ts";
import type { Outgoing, OutgoingRecord } from "../store/records.ts";
import type { Account } from "../sync/account.ts";

/** A message to be sent. */
export interface Message {
  conversation: ConversationId;
  id: MessageId;
  content: Content;
  /** Of an update: when its target disappears. */
  until: number | null;
}

async function recordOf(account: Account, { conversation, id, content, until }: Message): Promise<OutgoingRecord> {
  const boxed = await box(account.session.box, canonical({ v: 1, ...fieldsOf(content) }));
  const files = content.kind === "file" ? { files: content.files.map((file) => file.id) } : {};
  const erases = content.kind === "delete" ? { erases: content.of } : {};
  return { conversation, id, at: account.caller.now(), until, box: boxed, ...files, ...erases, sealed: null, held: null };
}

/** Writes a message into the outbox. */
export async function enqueue(account: Account, message: Message): Promise<void> {
  await account.store.enqueue(await recordOf(account, message));
  account.notify({ grown: [message.conversation], outbox: true });
}

/**
 * The same for what the user sends; `also` is written in the same batch. If the conversation's queue is empty, the message is sealed
 * and sent at once. Not within `account.serial`.
 */
export function submit(account: Account, message: Message, ...also: Change[]): Promise<void> {
  return account.submitting.run(async () => {
    const record = await recordOf(account, message);
    if (!(await account.sendDirectly?.(record, message.content, also))) await account.store.enqueue(record, ...also);
    account.notify({ grown: [message.conversation], outbox: true });
  });
}

/** The content of a message in the outbox. */
export async function contentOf(account: Account, outgoing: OutgoingRecord): Promise<Content> {
  return readBody(await unbox(account.session.box, outgoing.box)).content;
}

/** The files of a message in the outbox. */
export async function filesOf(account: Account, outgoing: OutgoingRecord): Promise<readonly FileInfo[]> {
  if (!outgoing.files) return [];
  const content = await contentOf(account, outgoing);
  return content.kind === "file" ? content.files : [];
}

/** Finds a message in the outbox. */
export async function waiting(account: Account, id: string): Promise<Outgoing | undefined> {
  return (await account.store.outbox()).find((one) => one.id === id);
}
