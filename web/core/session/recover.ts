// Logs in with the recovery key, and sets a new password and a new recovery key: the old ones stop working.

import { random } from "../crypto/bytes.ts";
import { boxKeyOf, printRecovery, readRecovery, readVault } from "../crypto/vault.ts";
import type { Ports } from "../ports.ts";
import type { Store } from "../store/store.ts";
import { changePassword, fetchVault } from "../wire/login.ts";
import { isRefusedAs } from "../wire/refusal.ts";
import type { LoggedInWithRecovery } from "./create.ts";
import { fetchHashing, loginContext, logInWithVault, openVault } from "./login-context.ts";
import { remember } from "./known.ts";
import { passwordSlot, recoverySlot, vaultOf } from "./make-vault.ts";
import { callerOf } from "./record.ts";

/** Other devices may write the vault at the same moment. */
const MAX_TRIES = 4;

/** Recovers an account; `noKey` if the text is no recovery key, `noVault` if the account has none. Throws `Refused`, `Unreachable`, `Unsafe`. */
export async function recover(ports: Ports, store: Store, given: { email: string; key: string; password: string }): Promise<LoggedInWithRecovery | "noKey" | "noVault"> {
  const key = readRecovery(given.key);
  if (!key) return "noKey";
  const context = loginContext(ports, store, given.email);
  const hashing = await fetchHashing(context);
  if (hashing.kdf === "published") return "noVault";
  const { owner } = hashing;
  const { session } = await logInWithVault(context, hashing, key, { slot: "recovery", isRestored: false });
  const caller = callerOf(ports, session);
  for (let tries = 1, { vault: rsakey } = session; ; tries++) {
    const opened = await openVault(rsakey, key, { owner, slot: "recovery", seen: readVault(session.vault).version });
    const { contents } = opened;
    // A new one: otherwise an old sheet with an old copy of the vault would open every later vault.
    const master = random(32);
    const [next, recovery] = [await passwordSlot(given.password, master, owner), await recoverySlot(master, owner)];
    const version = opened.vault.version + 1;
    const vault = await vaultOf({ version, slots: { password: next.slot, recovery: recovery.slot }, master, contents, owner });
    const { apikey, kdf } = next;
    try {
      await changePassword(caller, { apikey, kdf, rsakey: vault, version, recoverykey: recovery.apikey, card: null, signout: true });
    } catch (error) {
      // A device that is still logged in has written it meanwhile.
      if (!isRefusedAs(error, "stale_version") || tries === MAX_TRIES) throw error;
      rsakey = (await fetchVault(caller)).rsakey;
      continue;
    }
    await remember(store, context.user, { server: owner.server, version });
    return { session: { ...session, vault, boxKey: await boxKeyOf(master), hasSheet: true }, contents, recovery: printRecovery(recovery.key) };
  }
}
