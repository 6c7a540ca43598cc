// A message is written down before it leaves the box, and before anything is sent: whatever stops after that, it is not lost.

import { canonical } from "../crypto/canonical.ts";
import { type Content, fieldsOf, readBody } from "../model/body.ts";
import type { ConversationId, MessageId } from "../model/ids.ts";
import { box, unbox } from "../store/box.ts";
import type { Change } from "../store/backend.ts";
import { dropFiles } from "./files.ts";
import type { Held, Outgoing, OutgoingRecord } from "../store/records.ts";
import { change } from "../store/store.ts";
import type { Account } from "../sync/account.ts";

/** What is to be sent. */
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
  return { conversation, id, at: account.caller.now(), until, box: boxed, ...files, sealed: null, held: null };
}

/** Writes a message into the outbox. */
export async function enqueue(account: Account, message: Message): Promise<void> {
  await account.store.enqueue(await recordOf(account, message));
  account.tell({ grown: [message.conversation], outbox: true });
}

/**
 * The same for what a person writes; `also` is written in the same batch, as the emptied draft is. Where nothing waits before it, it
 * is sealed at once. Not within `account.serial`.
 */
export function say(account: Account, message: Message, ...also: Change[]): Promise<void> {
  return account.saying.run(async () => {
    const record = await recordOf(account, message);
    if (!(await account.direct?.(record, message.content, also))) await account.store.enqueue(record, ...also);
    account.tell({ grown: [message.conversation], outbox: true });
  });
}

/** What a message in the outbox says. */
export async function contentOf(account: Account, outgoing: OutgoingRecord): Promise<Content> {
  return readBody(await unbox(account.session.box, outgoing.box)).content;
}

/** Finds a message that waits. */
export async function waiting(account: Account, id: string): Promise<Outgoing | undefined> {
  return (await account.store.outbox()).find((one) => one.id === id);
}

/** Whether a message is still to be sent: it may have been taken back since the outbox was read. */
export async function waits({ store }: Account, { order }: Outgoing): Promise<boolean> {
  return (await store.outbox(order, order)).length > 0;
}

/**
 * Keeps a message until its writer decides; what was written after it waits, too. One that was taken back meanwhile stays away. The
 * tab that leads only, and not within `account.serial`.
 */
export function hold(account: Account, outgoing: Outgoing, held: Held): Promise<void> {
  return account.serial.run(async () => {
    if (await waits(account, outgoing)) await holdNow(account, outgoing, held);
  });
}

/** The same within `account.serial`, of a message that is known to wait. */
export async function holdNow(account: Account, outgoing: Outgoing, held: Held): Promise<void> {
  await account.store.write(change.outgoing({ ...outgoing, held }));
  account.sent.delete(outgoing.id);
  account.tell({ grown: [outgoing.conversation], outbox: true });
}

/** Takes a message out of the outbox (the tab that leads only), while it is not on its way; false if it may be on the server already. */
export function discard(account: Account, id: string): Promise<boolean> {
  return account.serial.run(async () => {
    const found = await waiting(account, id);
    if (!found || (found.sealed && !found.held)) return false;
    await account.store.write(change.settle(found.order));
    account.uploading.get(found.id)?.abort();
    account.tell({ grown: [found.conversation], outbox: true });
    // Where the session ends before they are gone, they go with it, or are swept.
    if (found.files) dropFiles(account, found.files).catch(() => undefined);
    return true;
  });
}

/** Lets a held message be sent again, sealed anew (the tab that leads only). */
export function retry(account: Account, id: string): Promise<void> {
  return account.serial.run(async () => {
    const found = await waiting(account, id);
    if (!found?.held) return;
    await account.store.write(change.outgoing({ ...found, sealed: null, held: null }));
    account.tell({ grown: [found.conversation], outbox: true });
  });
}

/** Takes a message out of the outbox that has nothing left to wait for (the tab that leads only). */
export async function drop(account: Account, { conversation, id, order }: Outgoing): Promise<void> {
  await account.store.write(change.settle(order));
  account.sent.delete(id);
  account.tell({ grown: [conversation], outbox: true });
}

/** Takes it out of the outbox if its row is here. */
export async function settleIfStored(account: Account, outgoing: Outgoing): Promise<boolean> {
  if ((await account.store.seqOf(outgoing.conversation, outgoing.id)) === undefined) return false;
  await drop(account, outgoing);
  return true;
}
