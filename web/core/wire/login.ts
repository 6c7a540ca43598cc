// srv=chatserver&api=chatlogin: login, registration, stations and the vault.

import { type UserId, userId } from "../model/ids.ts";
import { type Bytes, fromHex, hex, utf8 } from "../crypto/bytes.ts";
import type { SignedCard } from "../crypto/card.ts";
import type { Argon2id } from "../crypto/kdf.ts";
import type { CredentialInfo, Kdf as KdfJson, Keys, Limits, Login, StationInfo, Stations, Vault } from "./answers.ts";
import { type Caller, done } from "./call.ts";
import { answer, type Decode, flag, integer, list, Malformed, object, optional, parsed, text } from "./decode.ts";
import { isUnknownCall } from "./refusal.ts";
import { fromWireTime } from "./time.ts";
import type { Kdf as WireKdf } from "./requests.ts";

const loginAnswer = answer<Login>()({
  rsakey: text,
  userid: parsed(userId),
  fullname: text,
  nick: text,
  key: optional(text, ""),
  version: optional(integer, 0),
  limits: optional(answer<Limits>()({ file: optional(integer, null) }), null),
});

/** What a login answers; `key` is `recovery` if the recovery key opened it, and empty on servers that do not say. */
export type LoginAnswer = ReturnType<typeof loginAnswer>;

/** How a password is made into a key: by argon2id, or as accounts of the published form do it. */
export type Kdf = Argon2id | "published";

const kdfFields = object({
  kdf: text,
  m: optional(integer, 0),
  t: optional(integer, 0),
  p: optional(integer, 0),
  salt: optional(text, ""),
});

const kdf: Decode<Kdf, KdfJson> = (value, path) => {
  const { kdf: name, m, t, p, salt } = kdfFields(value, path);
  // Its rounds and its salt are not the server's to choose: they are the same everywhere.
  if (name === "pbkdf2-sha256") return "published";
  if (name !== "argon2id") throw new Malformed(`${path}.kdf`, "a way to hash a password that is known here");
  return { m, t, p, salt: parsed((hexes) => fromHex(hexes, 16))(salt, `${path}.salt`) };
};

/** How a password is hashed, and on which server; `null` on a server that knows the published form only. */
export type Prelogin = { server: string; kdf: Kdf } | null;

const preloginAnswer: Decode<Prelogin> = (value, path) => ({ ...object({ server: optional(text, "") })(value, path), kdf: kdf(value, path) });

/** Asks how the password of this address is hashed. */
export async function prelogin(caller: Caller, email: string): Promise<Prelogin> {
  try {
    return await caller.call("chatlogin", "prelogin", { email }, preloginAnswer);
  } catch (error) {
    if (isUnknownCall(error)) return null;
    throw error;
  }
}

/** Logs in; `stationname` is shown on the user's other stations. */
export const login = (caller: Caller, apikey: string, stationname: string): Promise<LoginAnswer> =>
  caller.call("chatlogin", "login", { apikey, ...(stationname && { stationname }) }, loginAnswer);

/** What makes an account. */
export interface NewAccount {
  email: string;
  name: string;
  apikey: string;
  publickey: string;
  rsakey: string;
  invite: string;
  /** Absent in an account of the published form. */
  kdf: Argon2id | null;
  recoverykey: string | null;
  card: SignedCard | null;
}

const wireKdf = ({ salt, ...rest }: Argon2id): WireKdf => ({ kdf: "argon2id", ...rest, salt: hex(salt) });

/** Registers. */
export function register(caller: Caller, { email, name, kdf: hash, recoverykey, card, invite, ...keys }: NewAccount): Promise<null> {
  const fields = {
    email,
    fullname: name,
    nick: name,
    ...keys,
    ...(invite && { invite }),
    ...(hash && { kdf: wireKdf(hash) }),
    ...(recoverykey && { recoverykey }),
    ...(card && { card }),
  };
  return caller.call("chatlogin", "register", fields, done);
}

const station = answer<StationInfo>()({
  stationid: text,
  name: optional(text, ""),
  key: optional(text, ""),
  created: optional(parsed(fromWireTime), null),
  lastseen: parsed(fromWireTime),
  current: flag,
});
const stationsAnswer = answer<Stations>()({ stations: list(station) });

/** A station of the user's: the name it gave itself, the label of its credential, and times to the hour. */
export type Station = ReturnType<typeof station>;

/** The user's stations; none on servers without the call. */
export async function stations(caller: Caller): Promise<Station[]> {
  try {
    return (await caller.call("chatlogin", "stations", {}, stationsAnswer)).stations;
  } catch (error) {
    if (isUnknownCall(error)) return [];
    throw error;
  }
}

/** Ends a station, or all others. */
export const signOut = (caller: Caller, which: { stationid: string } | { others: true }): Promise<null> =>
  caller.call("chatlogin", "signout", which, done);

/** Whether there is a recovery key that logs in. */
export async function hasRecoveryKey(caller: Caller): Promise<boolean> {
  const keys = answer<Keys>()({ keys: list(answer<CredentialInfo>()({ kind: text })) });
  try {
    return (await caller.call("chatlogin", "keys", {}, keys)).keys.some(({ kind }) => kind === "recovery");
  } catch (error) {
    if (isUnknownCall(error)) return false;
    throw error;
  }
}

const vaultAnswer = answer<Vault>()({ rsakey: text, kdf });

/** The vault as the server has it, and how the password that opens it is hashed. */
export type StoredVault = ReturnType<typeof vaultAnswer>;

/** Fetches the user's vault. */
export const fetchVault = (caller: Caller): Promise<StoredVault> => caller.call("chatlogin", "vault", {}, vaultAnswer);

/** A vault that takes the place of an older one; refused with `stale_version` where another device was faster. */
export interface NextVault {
  rsakey: string;
  version: number;
}

/** Replaces the vault alone. */
export const changeVault = (caller: Caller, to: NextVault): Promise<null> => caller.call("chatlogin", "changevault", { ...to }, done);

/** What makes a new password. */
export interface NewPassword extends NextVault {
  apikey: string;
  kdf: Argon2id;
  recoverykey: string | null;
  /** Of an account that has none yet. */
  card: SignedCard | null;
  /** Ends all other stations. */
  signout: boolean;
}

/** Replaces the password's credential and the vault. */
export const changePassword = (caller: Caller, { kdf: hash, recoverykey, card, ...rest }: NewPassword): Promise<null> => {
  const fields = { ...rest, kdf: wireKdf(hash), ...(recoverykey && { recoverykey }), ...(card && { card }) };
  return caller.call("chatlogin", "changepassword", fields, done);
};

/** What takes the place of all keys. */
export interface NewKeys extends NextVault {
  publickey: string;
  /** By the new key, over `keysProof`. */
  proof: string;
  /** Names the new keys; signed by those before. */
  card: SignedCard;
}

/** What the new key signs, so that nobody claims another's. */
export const keysProof = (user: UserId, publickey: string): Bytes => utf8(`parlance new key 1\n${user}\n${publickey}`);

/** Replaces the keys, the card and the vault, and ends all other stations. */
export const changeKeys = (caller: Caller, to: NewKeys): Promise<null> => caller.call("chatlogin", "changekeys", { ...to }, done);

/** Replaces the recovery key's credential and the vault. */
export const changeRecovery = (caller: Caller, to: NextVault & { recoverykey: string }): Promise<null> =>
  caller.call("chatlogin", "changerecovery", { ...to }, done);
