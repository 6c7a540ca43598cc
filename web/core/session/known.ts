// What this device remembers of accounts after a logout: their server, and the version of their vault. It uses that to recognise an
// older vault, a weaker password hash, or another server.

import type { KnownAccount } from "../store/records.ts";
import { change, type Store } from "../store/store.ts";
import { Unsafe } from "./unsafe.ts";

/** What is remembered of an account. */
export const knownAccount = async (store: Store, user: string): Promise<KnownAccount | undefined> =>
  (await store.knownAccounts())[user];

/** Remembers an account, and the highest version of its vault; 0 for an account of the published form. */
export async function remember(store: Store, user: string, { server, version }: KnownAccount): Promise<void> {
  const all = await store.knownAccounts();
  const before = all[user];
  if (before?.server === server && before.version >= version) return;
  await store.writeOwn(change.knownAccounts({ ...all, [user]: { server, version } }));
}

/** Forgets an account that was deleted, or is being registered again. */
export async function forget(store: Store, user: string): Promise<void> {
  const { [user]: _, ...others } = await store.knownAccounts();
  await store.writeOwn(change.knownAccounts(others));
}

/** Refuses another server than the account's, and the published form of an account that has a vault. Throws `Unsafe`. */
export function checkKnown(known: KnownAccount | undefined, now: { server: string; isPublished: boolean }): void {
  if (!known) return;
  if (known.server !== "" && known.server !== now.server) throw new Unsafe("server");
  if (known.version > 0 && now.isPublished) throw new Unsafe("kdf");
}
