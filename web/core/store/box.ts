// The device's own key encrypts drafts and the outbox on disk. Anyone who can run this browser can decrypt them; anyone who only has
// its files cannot.

import { fromUtf8, random, utf8 } from "../crypto/bytes.ts";
import { aesKey } from "../crypto/keys.ts";
import type { Boxed } from "./records.ts";

/** A new key, which cannot be exported. */
export const makeBoxKey = (): Promise<CryptoKey> => aesKey(random(32));

/** Encrypts a text. */
export async function box(key: CryptoKey, text: string): Promise<Boxed> {
  const iv = random(12);
  return { iv, data: await crypto.subtle.encrypt({ name: "AES-GCM", iv }, key, utf8(text)) };
}

/** Decrypts it. */
export const unbox = async (key: CryptoKey, { iv, data }: Boxed): Promise<string> =>
  fromUtf8(new Uint8Array(await crypto.subtle.decrypt({ name: "AES-GCM", iv }, key, data)));
