// What login, registration and recovery share: asking how a password is hashed, opening the vault, and the session record that
// results. Loaded only where a password is typed.

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

/** A login that is under way, from a station of its own. */
export interface LoginContext {
  ports: Ports;
  store: Store;
  email: string;
  user: UserId;
  station: ReturnType<typeof stationId>;
  caller: Caller;
}

/** Begins a login with a new station id. */
export function loginContext(ports: Ports, store: Store, address: string): LoginContext {
  const station = stationId(hex(random(16)));
  const email = normalEmail(address);
  const user = userId(md5(email));
  return { ports, store, email, user, station, caller: new Caller(ports.http, ports.clock, { user, station }) };
}

/** How the password of an account is hashed. */
export interface PasswordHashing {
  owner: Owner;
  kdf: Kdf;
}

/** Asks how the password of this address is hashed; throws `Unsafe` if that contradicts what this device knows of the account. */
export async function fetchHashing({ store, caller, email, user }: LoginContext): Promise<PasswordHashing> {
  const answer = (await prelogin(caller, email)) ?? { server: "", kdf: "published" as const };
  checkKnown(await knownAccount(store, user), { server: answer.server, isPublished: answer.kdf === "published" });
  return { owner: { server: answer.server, user }, kdf: answer.kdf };
}

/** The argon2id hash of a password; throws `Unsafe` if the parameters make it cheap to guess. */
export async function rootOf(password: string, kdf: Exclude<Kdf, "published">): Promise<Bytes> {
  try {
    return await argon2id(password, kdf);
  } catch (error) {
    throw error instanceof UnsafeKdf ? new Unsafe("kdf", error) : error;
  }
}

/** The outcome of a login, with what is needed to change the vault. */
export interface LoggedIn {
  session: SessionRecord;
  /** Null in an account of the published form. */
  contents: Contents | null;
}

/** What a session record is made of. */
export interface SessionParts {
  answer: Pick<LoginAnswer, "userid" | "nick" | "limits">;
  raw: RawKeys;
  server: string;
  /** Empty in an account of the published form. */
  vault: string;
  master: Bytes | null;
  hasSheet: boolean;
}

/** A session record, whose keys cannot be exported. */
export async function sessionRecord(context: LoginContext, { answer, raw, server, vault, master, hasSheet }: SessionParts): Promise<SessionRecord> {
  return {
    user: answer.userid,
    email: context.email,
    name: answer.nick,
    station: context.station,
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

/** Opens a vault; throws `Unsafe` if it is older than one that this device has seen, or is no vault. */
export async function openVault(rsakey: string, root: Bytes, { owner, slot, seen }: { owner: Owner; slot: Slot; seen: number }) {
  try {
    const vault = readVault(rsakey);
    checkVersion(vault, seen);
    const master = await openSlot(vault, root, owner, slot);
    return { vault, master, contents: await openBox(vault, await boxKeyOf(master), owner) };
  } catch (error) {
    throw new Unsafe(error instanceof OldVault ? "vault" : "keys", error);
  }
}

/** Which slot of a vault is opened. */
interface VaultAccess {
  slot: Slot;
  /** Accepts an older vault than this device has seen: the user knows why. */
  isRestored: boolean;
}

/** Logs in with the hash of a password, or a recovery key, and opens the vault. */
export async function logInWithVault(context: LoginContext, { owner }: PasswordHashing, root: Bytes, { slot, isRestored }: VaultAccess): Promise<LoggedIn & { master: Bytes }> {
  const answer = await login(context.caller, await apikeyOfRoot(root, owner), context.ports.deviceName);
  const seen = isRestored ? 0 : ((await knownAccount(context.store, context.user))?.version ?? 0);
  const { vault, master, contents } = await openVault(answer.rsakey, root, { owner, slot, seen });
  const parts = { answer, raw: contents.keys, server: owner.server, vault: answer.rsakey, master, hasSheet: true };
  const session = await sessionRecord(context, parts);
  const hasSheet = slot === "recovery" || (await hasRecoveryKey(callerOf(context.ports, session)));
  if (isRestored) await forget(context.store, context.user);
  await remember(context.store, context.user, { server: owner.server, version: vault.version });
  return { session: { ...session, hasSheet }, contents, master };
}
