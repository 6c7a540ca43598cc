// What happens to a message in the outbox: held, retried, discarded, or stored. In the leading tab only.

import { change } from "../store/store.ts";
import type { Held, Outgoing } from "../store/records.ts";
import type { Account } from "../sync/account.ts";
import { dropFiles } from "./files.ts";
import { waiting } from "./queue.ts";

/** Whether a message is still in the outbox: it may have been discarded since the outbox was read. */
export async function waits({ store }: Account, { order }: Outgoing): Promise<boolean> {
  return (await store.outbox(order, order)).length > 0;
}

/**
 * Holds a message, and with it those behind it, until its author decides. Does nothing if it was discarded meanwhile. Not within
 * `account.serial`.
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
  account.notify({ grown: [outgoing.conversation], outbox: true });
}

/** Removes a message from the outbox; false if it may be on the server already. */
export function discard(account: Account, id: string): Promise<boolean> {
  return account.serial.run(async () => {
    const found = await waiting(account, id);
    if (!found || (found.sealed && !found.held)) return false;
    await account.store.write(change.settle(found.order));
    account.uploading.get(found.id)?.abort();
    account.notify({ grown: [found.conversation], outbox: true });
    // If the session ends first, the files are deleted with it, or by `sweepFiles`.
    if (found.files) dropFiles(account, found.files).catch(() => undefined);
    return true;
  });
}

/** Releases a held message, to be sealed and sent again. */
export function retry(account: Account, id: string): Promise<void> {
  return account.serial.run(async () => {
    const found = await waiting(account, id);
    if (!found?.held) return;
    await account.store.write(change.outgoing({ ...found, sealed: null, held: null }));
    account.notify({ grown: [found.conversation], outbox: true });
  });
}

/** Removes a message from the outbox that needs no further handling. */
export async function drop(account: Account, { conversation, id, order }: Outgoing): Promise<void> {
  await account.store.write(change.settle(order));
  account.sent.delete(id);
  account.notify({ grown: [conversation], outbox: true });
}

/** Removes it from the outbox if its row is here. */
export async function settleIfStored(account: Account, outgoing: Outgoing): Promise<boolean> {
  if ((await account.store.seqOf(outgoing.conversation, outgoing.id)) === undefined) return false;
  await drop(account, outgoing);
  return true;
}
