// Registers an account, and logs in to it.

import { hex, random } from "../crypto/bytes.ts";
import { importKeys, makeKeys, publicOfSeed } from "../crypto/keys.ts";
import { apikeyOf, lockKey } from "../crypto/published-account.ts";
import { printRecovery } from "../crypto/vault.ts";
import type { Ports } from "../ports.ts";
import type { Store } from "../store/store.ts";
import { firstCard, publishOwnCard } from "../sync/own-card.ts";
import { login, type NewAccount, prelogin, register } from "../wire/login.ts";
import { isRefusedAs } from "../wire/refusal.ts";
import { type LoginContext, loginContext, type LoggedIn, sessionRecord } from "./login-context.ts";
import { forget, remember } from "./known.ts";
import { passwordSlot, recoverySlot, vaultOf } from "./make-vault.ts";
import { callerOf } from "./record.ts";

/** What a new user enters. */
export interface Registration {
  email: string;
  name: string;
  password: string;
  /** The invitation's code; empty where everyone may register. */
  code: string;
}

/** A login with the recovery key to be printed; empty on servers that keep none. */
export interface LoggedInWithRecovery extends LoggedIn {
  recovery: string;
}

/** Registers an account and logs in to it. */
export async function createAccount(ports: Ports, store: Store, registration: Registration): Promise<LoggedInWithRecovery> {
  const context = loginContext(ports, store, registration.email);
  const server = (await prelogin(context.caller, context.email))?.server ?? "";
  const made = await (server === "" ? makePublished(context, registration) : makeWithVault(context, registration, server));
  // What this device knew of an earlier account with this address no longer applies.
  await forget(store, context.user);
  await remember(store, context.user, { server, version: server === "" ? 0 : 1 });
  return made;
}

async function makePublished(context: LoginContext, { name, password, code }: Registration): Promise<LoggedInWithRecovery> {
  const { raw, publicKey } = await makeKeys(2048, false);
  const account: NewAccount = {
    email: context.email,
    name,
    apikey: await apikeyOf(context.email, password),
    publickey: publicKey,
    rsakey: await lockKey(raw.rsa, password),
    invite: code,
    kdf: null,
    recoverykey: null,
    card: null,
  };
  await register(context.caller, account);
  const answer = await login(context.caller, account.apikey, context.ports.deviceName);
  const session = await sessionRecord(context, { answer, raw, server: "", vault: "", master: null, hasSheet: false });
  return { session, contents: null, recovery: "" };
}

async function makeWithVault(context: LoginContext, { name, password, code }: Registration, server: string): Promise<LoggedInWithRecovery> {
  const owner = { server, user: context.user };
  const master = random(32);
  const { raw, publicKey } = await makeKeys(3072, true);
  const keys = { rsa: raw.rsa, seed: raw.seed ?? random(32) };
  const [next, recovery] = [await passwordSlot(password, master, owner), await recoverySlot(master, owner)];
  const contents = { keys, pins: {}, heads: {} };
  const vault = await vaultOf({ version: 1, slots: { password: next.slot, recovery: recovery.slot }, master, contents, owner });
  const usable = await importKeys(keys);
  const signing = { user: context.user, email: context.email, server, keys: usable, publicKey, signKey: hex(await publicOfSeed(keys.seed)) };
  const card = await firstCard(signing);
  const account: NewAccount = {
    email: context.email,
    name,
    apikey: next.apikey,
    publickey: publicKey,
    rsakey: vault,
    invite: code,
    kdf: next.kdf,
    recoverykey: recovery.apikey,
    card,
  };
  try {
    await register(context.caller, account);
  } catch (error) {
    // An earlier account had this address, or its keys were lost: the card has to follow its newest one. Older servers disclose that
    // only after a login.
    if (!isRefusedAs(error, "stale_card")) throw error;
    await register(context.caller, { ...account, card: error.newestCard && (await firstCard(signing, error.newestCard)) });
  }
  const answer = await login(context.caller, next.apikey, context.ports.deviceName);
  const session = await sessionRecord(context, { answer, raw: keys, server, vault, master, hasSheet: true });
  await publishOwnCard(callerOf(context.ports, session), signing);
  return { session, contents, recovery: printRecovery(recovery.key) };
}
