// srv=chatserver&api=chatlogin: getting in, and one's own account.

import { userId, type UserId } from "../model/ids.ts";
import type { Argon2id } from "../crypto/kdf.ts";
import { fromBase64, base64 } from "../crypto/bytes.ts";
import { type Caller, done } from "./call.ts";
import { flag, integer, list, object, optional, parsed, text } from "./decode.ts";
import { isUnknownCall } from "./refusal.ts";
import { fromWireTime } from "./time.ts";

/** What a login answers. */
export interface LoginAnswer {
  rsakey: string;
  userid: UserId;
  fullname: string;
  nick: string;
  /** `recovery` if the recovery key opened it; empty on servers that do not say. */
  key: string;
  version: number;
}

const loginAnswer = object<LoginAnswer>({
  rsakey: text,
  userid: parsed(userId),
  fullname: text,
  nick: text,
  key: optional(text, ""),
  version: optional(integer, 0),
});

/** How a password is hashed, and on which server; `null` on a server that knows the published form only. */
export type Prelogin = { server: string; kdf: Argon2id | "published" } | null;

const preloginAnswer = object({
  server: optional(text, ""),
  kdf: text,
  m: optional(integer, 0),
  t: optional(integer, 0),
  p: optional(integer, 0),
  salt: optional(text, ""),
});

/** Asks how the password of this address is hashed. */
export async function prelogin(caller: Caller, email: string): Promise<Prelogin> {
  try {
    const { server, kdf, m, t, p, salt } = await caller.call("chatlogin", "prelogin", { email }, preloginAnswer);
    return { server, kdf: kdf === "argon2id" ? { m, t, p, salt: fromBase64(salt) } : "published" };
  } catch (error) {
    if (isUnknownCall(error)) return null;
    throw error;
  }
}

/** Logs in. */
export const login = (caller: Caller, apikey: string): Promise<LoginAnswer> =>
  caller.call("chatlogin", "login", { apikey }, loginAnswer);

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
}

const wireKdf = ({ salt, ...rest }: Argon2id): Record<string, unknown> => ({ kdf: "argon2id", ...rest, salt: base64(salt) });

/** Registers. */
export function register(caller: Caller, { email, name, kdf, recoverykey, invite, ...keys }: NewAccount): Promise<null> {
  const fields = {
    email,
    fullname: name,
    nick: name,
    ...keys,
    ...(invite && { invite }),
    ...(kdf && { kdf: wireKdf(kdf) }),
    ...(recoverykey && { recoverykey }),
  };
  return caller.call("chatlogin", "register", fields, done);
}

/** A station at which one is logged in. */
export interface Station {
  stationid: string;
  /** Of the credential that it logged in with. */
  key: string;
  lastseen: number;
  current: boolean;
}

const stationsAnswer = object({
  stations: list(
    object<Station>({
      stationid: text,
      key: optional(text, ""),
      lastseen: optional(parsed(fromWireTime), 0),
      current: flag,
    }),
  ),
});

/** One's stations; none on servers that do not tell. */
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

/** Replaces the password's credential and the vault. */
export const changePassword = (
  caller: Caller,
  to: { apikey: string; kdf: Argon2id; rsakey: string; version: number; recoverykey: string | null; signout: boolean },
): Promise<null> => {
  const { kdf, recoverykey, ...rest } = to;
  const fields = { ...rest, kdf: wireKdf(kdf), ...(recoverykey && { recoverykey }) };
  return caller.call("chatlogin", "changepassword", fields, done);
};

/** Replaces the recovery key's credential and the vault. */
export const changeRecovery = (caller: Caller, to: { recoverykey: string; rsakey: string; version: number }): Promise<null> =>
  caller.call("chatlogin", "changerecovery", to, done);
