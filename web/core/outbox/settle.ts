// What becomes of a message in the outbox after it was written: held, sent again, taken back, or stored. In the tab that leads only.

import { change } from "../store/store.ts";
import type { Held, Outgoing } from "../store/records.ts";
import type { Account } from "../sync/account.ts";
import { dropFiles } from "./files.ts";
import { waiting } from "./queue.ts";

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
  account.notify({ grown: [outgoing.conversation], outbox: true });
}

/** Takes a message out of the outbox (the tab that leads only), while it is not on its way; false if it may be on the server already. */
export function discard(account: Account, id: string): Promise<boolean> {
  return account.serial.run(async () => {
    const found = await waiting(account, id);
    if (!found || (found.sealed && !found.held)) return false;
    await account.store.write(change.settle(found.order));
    account.uploading.get(found.id)?.abort();
    account.notify({ grown: [found.conversation], outbox: true });
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
    account.notify({ grown: [found.conversation], outbox: true });
  });
}

/** Takes a message out of the outbox that has nothing left to wait for (the tab that leads only). */
export async function drop(account: Account, { conversation, id, order }: Outgoing): Promise<void> {
  await account.store.write(change.settle(order));
  account.sent.delete(id);
  account.notify({ grown: [conversation], outbox: true });
}

/** Takes it out of the outbox if its row is here. */
export async function settleIfStored(account: Account, outgoing: Outgoing): Promise<boolean> {
  if ((await account.store.seqOf(outgoing.conversation, outgoing.id)) === undefined) return false;
  await drop(account, outgoing);
  return true;
}
