// Actions that need the password: changing it, a new recovery key, new keys, deleting the account. Loaded where it is typed.

import { type Bytes, hex, random } from "../crypto/bytes.ts";
import { importKeys, makeKeys, publicOfSeed, rsaSign } from "../crypto/keys.ts";
import { apikeyOf } from "../crypto/published-account.ts";
import { apikeyOfRoot, type Contents, sealBox, printRecovery, readVault, type Vault, writeVault } from "../crypto/vault.ts";
import type { Outcome } from "../model/view.ts";
import { openVault, rootOf } from "../session/login-context.ts";
import { forget } from "../session/known.ts";
import { passwordSlot, recoverySlot } from "../session/make-vault.ts";
import { acceptRestored as takeRestored } from "../session/restored.ts";
import { Unsafe } from "../session/unsafe.ts";
import type { SessionRecord } from "../store/records.ts";
import { change } from "../store/store.ts";
import type { Account } from "../sync/account.ts";
import { signRenewedCard } from "../sync/own-card.ts";
import { sleep } from "../sync/sleep.ts";
import { ownerOf, updateSession } from "../sync/vault.ts";
import { deleteAccount as removeAccount } from "../wire/account.ts";
import { changeKeys as sendKeys, changePassword as replacePassword, changeRecovery, fetchVault, keysProof } from "../wire/login.ts";
import { isRefusedAs, Refused, Unreachable } from "../wire/refusal.ts";
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

// A wrong password fails here, as it does not open the vault, and does not count as a failed login.
async function openNow({ session, caller }: Account, password: string): Promise<Opened> {
  const { rsakey, kdf } = await fetchVault(caller);
  if (kdf === "published") throw new Unsafe("kdf");
  const root = await rootOf(password, kdf);
  try {
    return await openVault(rsakey, root, { owner: ownerOf(session), slot: "password", seen: readVault(session.vault).version });
  } catch (error) {
    if (error instanceof Unsafe && error.by === "keys") throw new Refused(401, "login_failed", "", null);
    throw error;
  }
}

/** The next version of a vault, with these slots, and these contents if they are others. */
type NextVaultOf = (slots: Partial<Vault["slots"]>, contents?: Contents) => Promise<{ rsakey: string; version: number }>;

/** Opens the vault and writes its next version, which `change` makes and sends; retries when another device was faster. */
async function replaceVault<T>(
  account: Account,
  password: string,
  change: (opened: Opened, next: NextVaultOf) => Promise<{ rsakey: string; value: T }>,
): Promise<T> {
  for (let tries = 1; ; tries++) {
    const opened = await openNow(account, password);
    const { vault } = opened;
    const version = vault.version + 1;
    const next: NextVaultOf = async (slots, contents = opened.contents) => {
      const { boxKey } = account.session;
      if (!boxKey) throw new Error("there is no vault");
      const box = await sealBox(boxKey, contents, ownerOf(account.session), version);
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

/** Changes the password. The present one is needed to open the vault. */
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

/** How many earlier RSA pairs a vault keeps, so that what was wrapped for them can be read. */
const MAX_EARLIER = 2;
/** How often, and how far apart, a lost answer to `changekeys` is probed for. */
const PROBES = 5;
const PROBE_MS = 2000;

/** Replaces all keys. The old ones sign the new ones, so contacts need not compare keys again. Signs all other stations out. */
export async function newKeys({ account, ask }: Open, password: string): Promise<Outcome> {
  const { session } = account;
  if (session.vault === "") return notOffered;
  const outcome = await attempt(() =>
    replaceVault(account, password, async ({ contents }, next) => {
      const made = await makeKeys(3072, true);
      const earlier = [contents.keys.rsa, ...(contents.keys.earlier ?? [])].slice(0, MAX_EARLIER);
      const keys = { rsa: made.raw.rsa, seed: made.raw.seed ?? random(32), earlier };
      const vault = await next({}, { ...contents, keys });
      const usable = { keys: await importKeys(keys), publicKey: made.publicKey, signKey: hex(await publicOfSeed(keys.seed)) };
      await replaceKeys(account, usable, vault);
      return { rsakey: vault.rsakey, value: null };
    }),
  );
  if (!outcome.ok) return outcome;
  account.notify({ keys: true, list: true });
  // Conversations get new secrets, for the new keys.
  await ask({ kind: "resync" });
  return outcome;
}

type KeysOfSession = Pick<SessionRecord, "keys" | "publicKey" | "signKey">;

// Serialized, so that no other task checks keys while the server has the new ones and this device does not.
function replaceKeys(account: Account, to: KeysOfSession, vault: { rsakey: string; version: number }): Promise<void> {
  const { session, caller, store, serial } = account;
  return serial.run(async () => {
    const card = await signRenewedCard(caller, session, { ...session, ...to });
    if (!card) throw new Unsafe("keys");
    const proof = await rsaSign(to.keys.rsaSign, keysProof(session.user, to.publicKey));
    try {
      await sendKeys(caller, { publickey: to.publicKey, proof, card, ...vault });
    } catch (error) {
      if (!(error instanceof Unreachable) || !(await hasTaken(account, to.keys.rsaSign))) throw error;
    }
    const now = await store.session();
    if (now?.station === session.station) await store.writeOwn(change.session({ ...now, ...to }));
    Object.assign(session, to);
  });
}

async function hasTaken({ caller, clock }: Account, key: CryptoKey): Promise<boolean> {
  const withNew = caller.signedWith(key);
  for (let probes = 0; probes < PROBES; probes++) {
    try {
      await fetchVault(withNew);
      return true;
    } catch (error) {
      if (!(error instanceof Unreachable)) return false;
      await sleep(clock, PROBE_MS);
    }
  }
  return false;
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

/** Goes on with a server that was restored from an older backup. */
export async function acceptRestored({ account, ask }: Open): Promise<Outcome> {
  const outcome = await attempt(async () => {
    await takeRestored(account);
    return null;
  });
  if (outcome.ok) await ask({ kind: "resync" });
  return outcome;
}
