// Logs in with a password. An account of the published form gets a vault and a card in the process, if the server supports them.
// Its owner need not do anything.

import { type Bytes, hex, random } from "../crypto/bytes.ts";
import { importKeys, publicOfRsa, publicOfSeed } from "../crypto/keys.ts";
import { apikeyOf, unlockKey } from "../crypto/published-account.ts";
import type { Ports } from "../ports.ts";
import type { Store } from "../store/store.ts";
import { signNextCard } from "../sync/own-card.ts";
import { changePassword, login, type LoginAnswer } from "../wire/login.ts";
import { isRefusedAs, isUnknownCall } from "../wire/refusal.ts";
import { fetchHashing, type LoginContext, loginContext, type LoggedIn, logInWithVault, type PasswordHashing, sessionRecord, rootOf } from "./login-context.ts";
import { remember } from "./known.ts";
import { passwordSlot, recoverySlot, vaultOf } from "./make-vault.ts";
import { callerOf } from "./record.ts";
import { Unsafe } from "./unsafe.ts";

/**
 * Logs in; the only place where the keys are decrypted. `isRestored`: the user has heard that the server was restored from a backup,
 * so an older vault than this device has seen is accepted. Throws `Refused`, `Unreachable`, `Unsafe`.
 */
export async function logIn(ports: Ports, store: Store, email: string, password: string, isRestored = false): Promise<LoggedIn> {
  const context = loginContext(ports, store, email);
  const hashing = await fetchHashing(context);
  if (hashing.kdf !== "published") return logInWithVault(context, hashing, await rootOf(password, hashing.kdf), { slot: "password", isRestored });
  const answer = await login(context.caller, await apikeyOf(context.email, password), context.ports.deviceName);
  const rsa = await openPublished(answer, password);
  try {
    const upgraded = hashing.owner.server === "" ? null : await upgrade(context, hashing, { answer, rsa, password });
    if (upgraded) return upgraded;
  } catch (error) {
    // Another device has just upgraded the account.
    if (isRefusedAs(error, "stale_version")) return logIn(ports, store, email, password);
    throw error;
  }
  await remember(context.store, context.user, { server: hashing.owner.server, version: 0 });
  const parts = { answer, raw: { rsa, seed: null }, server: hashing.owner.server, vault: "", master: null, hasSheet: false };
  return { session: await sessionRecord(context, parts), contents: null };
}

async function openPublished({ rsakey }: LoginAnswer, password: string): Promise<Bytes> {
  try {
    return await unlockKey(rsakey, password);
  } catch (error) {
    throw new Unsafe("keys", error);
  }
}

/** Gives an account of the published form a vault and a card; null if the server does not support them. */
async function upgrade(context: LoginContext, { owner }: PasswordHashing, has: { answer: LoginAnswer; rsa: Bytes; password: string }): Promise<LoggedIn | null> {
  const { answer, rsa, password } = has;
  const [master, keys] = [random(32), { rsa, seed: random(32) }];
  const [next, recovery] = [await passwordSlot(password, master, owner), await recoverySlot(master, owner)];
  const contents = { keys, pins: {}, heads: {} };
  const version = answer.version + 1;
  // The slot needs a recovery key, which is thrown away: a sheet is made when the owner asks for one.
  const vault = await vaultOf({ version, slots: { password: next.slot, recovery: recovery.slot }, master, contents, owner });
  const usable = await importKeys(keys);
  const identity = { user: context.user, station: context.station, email: context.email, server: owner.server, keys: usable };
  const signing = { ...identity, publicKey: await publicOfRsa(rsa), signKey: hex(await publicOfSeed(keys.seed)) };
  const caller = callerOf(context.ports, identity);
  try {
    const card = await signNextCard(caller, signing);
    // Other stations have no signing key: their messages could not be distinguished from forgeries.
    const { apikey, kdf } = next;
    await changePassword(caller, { apikey, kdf, rsakey: vault, version, recoverykey: null, card, signout: true });
  } catch (error) {
    if (isUnknownCall(error)) return null;
    throw error;
  }
  await remember(context.store, context.user, { server: owner.server, version });
  const session = await sessionRecord(context, { answer, raw: keys, server: owner.server, vault, master, hasSheet: false });
  return { session, contents };
}
