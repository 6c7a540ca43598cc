// argon2id in WebAssembly: only what is loaded where somebody types a password may import it.

import { argon2id } from "hash-wasm";
import type { Bytes } from "./bytes.ts";

/** How a server says that a password is hashed. `m` is in KiB. */
export interface Argon2id {
  m: number;
  t: number;
  p: number;
  salt: Bytes;
}

/** What new accounts use. */
export const DEFAULTS = { m: 65_536, t: 3, p: 1 };

/** A hash of the password that a server asks for, and that is not safe. */
export class UnsafeKdf extends Error {
  constructor() {
    super("the server asks for a hash of the password that is not safe");
    this.name = "UnsafeKdf";
  }
}

/** 32 bytes of a password; takes a quarter of a second. */
export async function rootOf(password: string, { m, t, p, salt }: Argon2id): Promise<Bytes> {
  // With cheap parameters the server could guess the password; with excessive ones it could hang the browser.
  const within = (value: number, least: number): boolean => value >= least && value <= 16 * least;
  if (!within(m, DEFAULTS.m) || !within(t, DEFAULTS.t) || !within(p, DEFAULTS.p) || salt.length !== 16) {
    throw new UnsafeKdf();
  }
  const options = { password: password.normalize("NFKC"), salt, iterations: t, parallelism: p, memorySize: m, hashLength: 32 };
  return Uint8Array.from(await argon2id({ ...options, outputType: "binary" }));
}
