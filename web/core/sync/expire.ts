// Deletes the content of expired messages from this device, whatever the server does. Their place in the chain stays, so that later
// messages can still be checked. The timeline omits them as soon as they expire (model/timeline.ts).

import type { ConversationId } from "../model/ids.ts";
import { change } from "../store/store.ts";
import type { Account } from "./account.ts";
import { forgetFilesOf, withoutContent } from "./erase.ts";

const FIRST_MS = 30_000;
const EVERY_MS = 60 * 60_000;

async function deleteExpiredIn(account: Account, id: ConversationId): Promise<boolean> {
  const now = account.caller.now();
  const expired = (await account.store.rows(id, 0)).filter(({ ValidUntil, Data }) => ValidUntil <= now && Data !== "");
  if (expired.length === 0) return false;
  const emptied = await Promise.all(expired.map(withoutContent));
  const changes = [...(await forgetFilesOf(account, id, expired)), ...emptied.flatMap((row) => change.row(id, row))];
  // A conversation that was cleared meanwhile has other rows, or none.
  return account.serial.run(async () => {
    const [first] = expired;
    const [held] = first ? await account.store.rows(id, first.Seq, first.Seq) : [];
    if (held?.ID !== first?.ID) return false;
    await account.store.write(...changes);
    return true;
  });
}

/** Removes the content of expired messages, in all conversations. For the leading tab only. */
export async function deleteExpired(account: Account): Promise<void> {
  for (const { wire } of await account.store.conversations()) {
    if (await deleteExpiredIn(account, wire.id)) account.notify({ conversations: [wire.id] });
  }
}

/** Runs periodically; returns a function that stops it. */
export function followExpiry(account: Account, onFault: (error: unknown) => void): () => void {
  let cancel = account.clock.after(FIRST_MS, run);
  function run(): void {
    cancel = account.clock.after(EVERY_MS, run);
    deleteExpired(account).catch(onFault);
  }
  return () => cancel();
}
