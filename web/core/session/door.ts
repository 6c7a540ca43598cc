// What all ways in share: the question how a password is hashed, and what becomes of an answer. These files are loaded
// where somebody types a password, and nowhere else.

import { type Bytes, hex, random } from "../crypto/bytes.ts";
import { rootOf as argon2id, UnsafeKdf } from "../crypto/kdf.ts";
import { importKeys, publicOfRsa, publicOfSeed, type RawKeys } from "../crypto/keys.ts";
import { md5 } from "../crypto/md5.ts";
import { normalEmail } from "../crypto/published-account.ts";
import { apikeyOfRoot, boxKeyOf, checkVersion, type Contents, OldVault, openBox, openSlot, type Owner, readVault, type Slot } from "../crypto/vault.ts";
import { stationId, userId, type UserId } from "../model/ids.ts";
import type { Ports } from "../ports.ts";
import { makeBoxKey } from "../store/box.ts";
import type { SessionRecord } from "../store/records.ts";
import type { Store } from "../store/store.ts";
import { Caller } from "../wire/call.ts";
import { hasRecoveryKey, type Kdf, login, type LoginAnswer, prelogin } from "../wire/login.ts";
import { checkKnown, forget, knownAccount, remember } from "./known.ts";
import { callerOf } from "./record.ts";
import { Unsafe } from "./unsafe.ts";

/** Who stands before it. */
export interface Door {
  ports: Ports;
  store: Store;
  email: string;
  user: UserId;
  station: ReturnType<typeof stationId>;
  caller: Caller;
}

/** Goes to the door as a station of its own. */
export function doorFor(ports: Ports, store: Store, address: string): Door {
  const station = stationId(hex(random(16)));
  const email = normalEmail(address);
  return { ports, store, email, user: userId(md5(email)), station, caller: new Caller(ports.http, ports.clock, { station }) };
}

/** How the password is hashed, and for whom. */
export interface How {
  owner: Owner;
  kdf: Kdf;
}

/** Asks how the password of this address is hashed; refuses what is not as this device knows it. */
export async function askHow({ store, caller, email, user }: Door): Promise<How> {
  const answer = (await prelogin(caller, email)) ?? { server: "", kdf: "published" as const };
  checkKnown(await knownAccount(store, user), { server: answer.server, isPublished: answer.kdf === "published" });
  return { owner: { server: answer.server, user }, kdf: answer.kdf };
}

/** What argon2id makes of a password; throws `Unsafe` where it would be cheap to guess. */
export async function rootOf(password: string, kdf: Exclude<Kdf, "published">): Promise<Bytes> {
  try {
    return await argon2id(password, kdf);
  } catch (error) {
    throw error instanceof UnsafeKdf ? new Unsafe("kdf", error) : error;
  }
}

/** An account that was entered, with what is needed to change its vault. */
export interface Entered {
  session: SessionRecord;
  /** Null in an account of the published form. */
  contents: Contents | null;
}

/** What a session is kept with. */
export interface Kept {
  answer: Pick<LoginAnswer, "userid" | "nick" | "limits">;
  raw: RawKeys;
  server: string;
  /** Empty in an account of the published form. */
  vault: string;
  master: Bytes | null;
  hasSheet: boolean;
}

/** A session, whose keys cannot be read out. */
export async function record(of: Door, { answer, raw, server, vault, master, hasSheet }: Kept): Promise<SessionRecord> {
  return {
    user: answer.userid,
    email: of.email,
    name: answer.nick,
    station: of.station,
    server,
    publicKey: await publicOfRsa(raw.rsa),
    signKey: raw.seed ? hex(await publicOfSeed(raw.seed)) : "",
    keys: await importKeys(raw),
    box: await makeBoxKey(),
    vault,
    boxKey: master && (await boxKeyOf(master)),
    hasSheet,
    fileLimit: answer.limits?.file ?? null,
  };
}

/** Opens a vault; throws `Unsafe` for an older one than was seen here, and for what is none. */
export async function unlock(rsakey: string, root: Bytes, { owner, slot, seen }: { owner: Owner; slot: Slot; seen: number }) {
  try {
    const vault = readVault(rsakey);
    checkVersion(vault, seen);
    const master = await openSlot(vault, root, owner, slot);
    return { vault, master, contents: await openBox(vault, await boxKeyOf(master), owner) };
  } catch (error) {
    throw new Unsafe(error instanceof OldVault ? "vault" : "keys", error);
  }
}

/** How a vault is entered. */
interface Entry {
  slot: Slot;
  /** An older one than was seen here will do: the person knows why. */
  isRestored: boolean;
}

/** Logs in with what a password, or a recovery key, makes, and opens the vault. */
export async function enterVault(of: Door, { owner }: How, root: Bytes, { slot, isRestored }: Entry): Promise<Entered & { master: Bytes }> {
  const answer = await login(of.caller, await apikeyOfRoot(root, owner), of.ports.deviceName);
  const seen = isRestored ? 0 : ((await knownAccount(of.store, of.user))?.version ?? 0);
  const { vault, master, contents } = await unlock(answer.rsakey, root, { owner, slot, seen });
  const kept = { answer, raw: contents.keys, server: owner.server, vault: answer.rsakey, master, hasSheet: true };
  const session = await record(of, kept);
  const hasSheet = slot === "recovery" || (await hasRecoveryKey(callerOf(of.ports, session)));
  if (isRestored) await forget(of.store, of.user);
  await remember(of.store, of.user, { server: owner.server, version: vault.version });
  return { session: { ...session, hasSheet }, contents, master };
}
