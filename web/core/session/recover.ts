// Gets in with the recovery key, and sets a new password and a new recovery key: the old ones stop working.

import { printRecovery, readRecovery, readVault } from "../crypto/vault.ts";
import type { Ports } from "../ports.ts";
import type { Store } from "../store/store.ts";
import { changePassword } from "../wire/login.ts";
import type { Made } from "./create.ts";
import { askHow, doorFor, enterVault } from "./door.ts";
import { remember } from "./known.ts";
import { passwordSlot, recoverySlot, vaultOf } from "./make-vault.ts";
import { callerOf } from "./record.ts";

/** Recovers an account; `noKey` if the text is no recovery key, `noVault` if the account has none. Throws `Refused`, `Unreachable`, `Unsafe`. */
export async function recover(ports: Ports, store: Store, given: { email: string; key: string; password: string }): Promise<Made | "noKey" | "noVault"> {
  const key = readRecovery(given.key);
  if (!key) return "noKey";
  const of = doorFor(ports, store, given.email);
  const how = await askHow(of);
  if (how.kdf === "published") return "noVault";
  const { owner } = how;
  const { session, contents, master } = await enterVault(of, how, key, "recovery");
  if (!contents) return "noVault";
  const [next, recovery] = [await passwordSlot(given.password, master, owner), await recoverySlot(master, owner)];
  const version = readVault(session.vault).version + 1;
  const vault = await vaultOf({ version, slots: { password: next.slot, recovery: recovery.slot }, master, contents, owner });
  const { apikey, kdf } = next;
  const to = { apikey, kdf, rsakey: vault, version, recoverykey: recovery.apikey, card: null, signout: true };
  await changePassword(callerOf(ports, session), to);
  await remember(store, of.user, { server: owner.server, version });
  return { session: { ...session, vault, hasSheet: true }, contents, recovery: printRecovery(recovery.key) };
}
