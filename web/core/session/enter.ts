// Getting in: log in, register by an invitation, recover. What is kept afterwards are keys that cannot be read out.

import { type Bytes, hex, random, sha256, utf8 } from "../crypto/bytes.ts";
import { makeCard } from "../crypto/card.ts";
import type { Argon2id } from "../crypto/kdf.ts";
import { importKeys, importSeed, makeKeys, publicOfRsa, publicOfSeed, type RawKeys } from "../crypto/keys.ts";
import { md5 } from "../crypto/md5.ts";
import { apikeyOf, lockKey, normalEmail, unlockKey } from "../crypto/published.ts";
import {
  apikeyOfRoot,
  fillBox,
  fillSlot,
  isVault,
  openBox,
  openSlot,
  type Owner,
  printRecovery,
  readVault,
  type Slot,
  type Vault,
  writeVault,
} from "../crypto/vault.ts";
import { stationId, userId } from "../model/ids.ts";
import type { Ports } from "../ports.ts";
import { makeBoxKey } from "../store/box.ts";
import type { SessionRecord } from "../store/store.ts";
import { Caller } from "../wire/call.ts";
import { changePassword, login, type LoginAnswer, type NewAccount, type Prelogin, prelogin, register } from "../wire/login.ts";
import { publishCard } from "../wire/people.ts";

/** A password that opens the login, but not the keys: the server, or someone in between, has changed them. */
export class CannotOpenKeys extends Error {
  constructor(cause: unknown) {
    super("the keys cannot be opened", { cause });
    this.name = "CannotOpenKeys";
  }
}

/** argon2id is loaded where somebody types a password, and nowhere else. */
const loadKdf = (): Promise<typeof import("../crypto/kdf.ts")> => import("../crypto/kdf.ts");

/** What is common to all ways in. */
interface Door {
  ports: Ports;
  email: string;
  station: ReturnType<typeof stationId>;
  caller: Caller;
}

function door(ports: Ports, email: string): Door {
  const station = stationId(hex(random(16)));
  return { ports, email: normalEmail(email), station, caller: new Caller(ports.http, ports.clock, { station }) };
}

const ownerOf = (email: string, server: string): Owner => ({ server, user: md5(email) });

async function record(of: Door, answer: LoginAnswer, raw: RawKeys, from: { server: string; kdf: Argon2id | null; version: number }): Promise<SessionRecord> {
  return {
    user: answer.userid,
    email: of.email,
    name: answer.nick,
    station: of.station,
    server: from.server,
    publicKey: await publicOfRsa(raw.rsa),
    signKey: raw.seed ? hex(await publicOfSeed(raw.seed)) : "",
    keys: await importKeys(raw),
    box: await makeBoxKey(),
    kdf: from.kdf,
    vaultVersion: from.version,
    hasSheet: from.kdf !== null,
  };
}

/** Logs in; the keys are opened here and nowhere else. Throws `Refused`, `Unreachable`, `CannotOpenKeys`. */
export async function logIn(ports: Ports, email: string, password: string): Promise<SessionRecord> {
  const of = door(ports, email);
  const how = await prelogin(of.caller, of.email);
  if (how && how.kdf !== "published") {
    const root = await (await loadKdf()).rootOf(password, how.kdf);
    return withRoot(of, how.server, how.kdf, root, "password");
  }
  const answer = await login(of.caller, await apikeyOf(of.email, password));
  try {
    const rsa = await unlockKey(answer.rsakey, password);
    return await record(of, answer, { rsa, seed: null }, { server: how?.server ?? "", kdf: null, version: 0 });
  } catch (cause) {
    throw new CannotOpenKeys(cause);
  }
}

async function withRoot(of: Door, server: string, kdf: Argon2id, root: Bytes, slot: Slot): Promise<SessionRecord> {
  const owner = ownerOf(of.email, server);
  const answer = await login(of.caller, await apikeyOfRoot(root, owner));
  try {
    if (!isVault(answer.rsakey)) throw new Error("it is not a vault");
    const vault = readVault(answer.rsakey);
    const { keys } = await openBox(vault, await openSlot(vault, root, owner, slot), owner);
    return await record(of, answer, keys, { server, kdf, version: vault.version });
  } catch (cause) {
    throw new CannotOpenKeys(cause);
  }
}

/** Who wants to be here. */
export interface Newcomer {
  email: string;
  name: string;
  password: string;
  /** The invitation's code; empty where everyone may register. */
  code: string;
}

/** An account that was made; the recovery key is empty where the server has no place for one. */
export interface Made {
  session: SessionRecord;
  recovery: string;
}

/** Makes an account and logs in to it. */
export async function createAccount(ports: Ports, newcomer: Newcomer): Promise<Made> {
  const of = door(ports, newcomer.email);
  const how = await prelogin(of.caller, of.email);
  return how?.server ? makeWithVault(of, newcomer, how) : makePublished(of, newcomer);
}

async function makePublished(of: Door, { name, password, code }: Newcomer): Promise<Made> {
  const { raw, publicKey } = await makeKeys(2048, false);
  const account: NewAccount = {
    email: of.email,
    name,
    apikey: await apikeyOf(of.email, password),
    publickey: publicKey,
    rsakey: await lockKey(raw.rsa, password),
    invite: code,
    kdf: null,
    recoverykey: null,
  };
  await register(of.caller, account);
  const answer = await login(of.caller, account.apikey);
  return { session: await record(of, answer, raw, { server: "", kdf: null, version: 0 }), recovery: "" };
}

async function makeWithVault(of: Door, { name, password, code }: Newcomer, how: NonNullable<Prelogin>): Promise<Made> {
  const { DEFAULTS, rootOf } = await loadKdf();
  const owner = ownerOf(of.email, how.server);
  const kdf: Argon2id = { ...DEFAULTS, salt: random(16) };
  const [root, recovery, master] = [await rootOf(password, kdf), random(32), random(32)];
  const { raw, publicKey } = await makeKeys(3072, true);
  const keys = { rsa: raw.rsa, seed: raw.seed ?? random(32) };
  const vault: Vault = {
    version: 1,
    slots: {
      password: await fillSlot(master, root, owner, "password"),
      recovery: await fillSlot(master, recovery, owner, "recovery"),
    },
    box: await fillBox(master, { keys, pins: {}, heads: {} }, owner, 1),
  };
  const apikey = await apikeyOfRoot(root, owner);
  await register(of.caller, {
    email: of.email,
    name,
    apikey,
    publickey: publicKey,
    rsakey: writeVault(vault),
    invite: code,
    kdf,
    recoverykey: await apikeyOfRoot(recovery, owner),
  });
  const answer = await login(of.caller, apikey);
  const session = await record(of, answer, keys, { server: how.server, kdf, version: 1 });
  await publishFirstCard(of, session, keys);
  return { session, recovery: printRecovery(recovery) };
}

/** Publishes the first card of an account. */
async function publishFirstCard(of: Door, session: SessionRecord, keys: { seed: Bytes }): Promise<void> {
  const signer = await importSeed(keys.seed);
  const card = await makeCard({
    email: of.email,
    server: session.server,
    publicKey: session.publicKey,
    signKey: await publicOfSeed(keys.seed),
    rsaSigner: session.keys.rsaSign,
    signer,
    before: null,
  });
  await publishCard(callerOf(of.ports, session), card);
}

/** Sends this session's requests. */
export const callerOf = (ports: Ports, { user, station, keys }: SessionRecord): Caller =>
  new Caller(ports.http, ports.clock, { user: userId(user), station, rsaSign: keys.rsaSign });

/** Gets in with the recovery key, and sets a new password and a new recovery key: the old ones stop working. */
export async function recover(ports: Ports, email: string, key: Bytes, password: string): Promise<Made | null> {
  const of = door(ports, email);
  const how = await prelogin(of.caller, of.email);
  if (!how?.server || how.kdf === "published") return null;
  const owner = ownerOf(of.email, how.server);
  const { DEFAULTS, rootOf } = await loadKdf();
  const session = await withRoot(of, how.server, how.kdf, key, "recovery");
  const answer = await login(of.caller, await apikeyOfRoot(key, owner));
  const vault = readVault(answer.rsakey);
  const master = await openSlot(vault, key, owner, "recovery");
  const contents = await openBox(vault, master, owner);
  const kdf: Argon2id = { ...DEFAULTS, salt: random(16) };
  const [root, recovery] = [await rootOf(password, kdf), random(32)];
  const version = vault.version + 1;
  const next: Vault = {
    version,
    slots: {
      password: await fillSlot(master, root, owner, "password"),
      recovery: await fillSlot(master, recovery, owner, "recovery"),
    },
    box: await fillBox(master, contents, owner, version),
  };
  await changePassword(callerOf(ports, session), {
    apikey: await apikeyOfRoot(root, owner),
    kdf,
    rsakey: writeVault(next),
    version,
    recoverykey: await apikeyOfRoot(recovery, owner),
    signout: true,
  });
  return { session: { ...session, kdf, vaultVersion: version }, recovery: printRecovery(recovery) };
}

/** A password that is easy to write down and hard to guess: 80 bits in four groups. */
export function suggestPassword(): string {
  const letters = "abcdefghjkmnpqrstuvwxyz23456789";
  const groups: string[] = [];
  while (groups.length < 4) {
    // Bytes beyond the last multiple of 31 are passed over: every letter is as likely as any other.
    const bytes = [...random(32)].filter((byte) => byte < 248).slice(0, 4);
    if (bytes.length === 4) groups.push(bytes.map((byte) => letters[byte % 31] ?? "").join(""));
  }
  return groups.join("-");
}

/** What can be read out to compare the keys of two devices: the same on all of one person's. */
export async function fingerprintOf({ publicKey, signKey }: SessionRecord): Promise<string> {
  return (hex(await sha256(utf8(signKey || publicKey))).slice(0, 32).match(/.{4}/g) ?? []).join(" ");
}
