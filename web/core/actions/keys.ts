// What the password is asked for: another password, a new recovery key, the end of the account. Loaded where it is typed.

import type { Bytes } from "../crypto/bytes.ts";
import { apikeyOf } from "../crypto/published.ts";
import { apikeyOfRoot, type Contents, fillBox, printRecovery, readVault, type Vault, writeVault } from "../crypto/vault.ts";
import type { Outcome } from "../model/view.ts";
import { rootOf, unlock } from "../session/door.ts";
import { forget } from "../session/known.ts";
import { passwordSlot, recoverySlot } from "../session/make-vault.ts";
import { Unsafe } from "../session/unsafe.ts";
import type { Account } from "../sync/account.ts";
import { ownerOf, updateSession } from "../sync/vault.ts";
import { deleteAccount as removeAccount } from "../wire/account.ts";
import { changePassword as replacePassword, changeRecovery, fetchVault } from "../wire/login.ts";
import { isRefusedAs, Refused } from "../wire/refusal.ts";
import type { Open } from "./context.ts";
import { attempt, notOffered } from "./outcome.ts";

/** Other devices may write the vault at the same moment. */
const MAX_TRIES = 4;

/** A vault that was opened, to be replaced by its next version. */
interface Opened {
  vault: Vault;
  master: Bytes;
  contents: Contents;
}

// A wrong password is found out here, by what it does not open, and costs no try at the login.
async function openNow({ session, caller }: Account, password: string): Promise<Opened> {
  const { rsakey, kdf } = await fetchVault(caller);
  if (kdf === "published") throw new Unsafe("kdf");
  const root = await rootOf(password, kdf);
  try {
    return await unlock(rsakey, root, { owner: ownerOf(session), slot: "password", seen: readVault(session.vault).version });
  } catch (error) {
    if (error instanceof Unsafe && error.by === "keys") throw new Refused(401, "login_failed", "", null);
    throw error;
  }
}

/** Opens the vault and writes its next version, which `change` makes and sends; once more where another device was faster. */
async function replaceVault<T>(
  account: Account,
  password: string,
  change: (opened: Opened, next: (slots: Partial<Vault["slots"]>) => Promise<{ rsakey: string; version: number }>) => Promise<{ rsakey: string; value: T }>,
): Promise<T> {
  for (let tries = 1; ; tries++) {
    const opened = await openNow(account, password);
    const { vault, contents } = opened;
    const version = vault.version + 1;
    const next = async (slots: Partial<Vault["slots"]>): Promise<{ rsakey: string; version: number }> => {
      const { boxKey } = account.session;
      if (!boxKey) throw new Error("there is no vault");
      const box = await fillBox(boxKey, contents, ownerOf(account.session), version);
      return { version, rsakey: writeVault({ version, slots: { ...vault.slots, ...slots }, box }) };
    };
    try {
      const { rsakey, value } = await change(opened, next);
      await updateSession(account, { vault: rsakey });
      return value;
    } catch (error) {
      if (!isRefusedAs(error, "stale_version") || tries === MAX_TRIES) throw error;
    }
  }
}

/** Sets another password. The old one is asked for, because it opens the vault. */
export async function changePassword({ account }: Open, present: string, to: string, othersOut: boolean): Promise<Outcome> {
  const { session, caller } = account;
  if (session.vault === "") return notOffered;
  return attempt(() =>
    replaceVault(account, present, async ({ master }, next) => {
      const { apikey, kdf, slot } = await passwordSlot(to, master, ownerOf(session));
      const vault = await next({ password: slot });
      await replacePassword(caller, { ...vault, apikey, kdf, recoverykey: null, card: null, signout: othersOut });
      return { rsakey: vault.rsakey, value: null };
    }),
  );
}

/** Makes a new recovery key; the old one stops working. */
export async function newSheet({ account }: Open, password: string): Promise<Outcome<string>> {
  const { session, caller } = account;
  if (session.vault === "") return notOffered;
  return attempt(async () => {
    const key = await replaceVault(account, password, async ({ master }, next) => {
      const recovery = await recoverySlot(master, ownerOf(session));
      const vault = await next({ recovery: recovery.slot });
      await changeRecovery(caller, { ...vault, recoverykey: recovery.apikey });
      return { rsakey: vault.rsakey, value: printRecovery(recovery.key) };
    });
    await updateSession(account, { hasSheet: true });
    return key;
  });
}

/** Deletes the account, for good; the password is asked for once more. */
export function deleteAccount({ account }: Open, password: string): Promise<Outcome> {
  const { session, caller, store } = account;
  return attempt(async () => {
    let apikey = "";
    if (session.vault === "") apikey = await apikeyOf(session.email, password);
    else {
      const { kdf } = await fetchVault(caller);
      if (kdf === "published") throw new Unsafe("kdf");
      apikey = await apikeyOfRoot(await rootOf(password, kdf), ownerOf(session));
    }
    await removeAccount(caller, apikey);
    await forget(store, session.user);
    return null;
  });
}

