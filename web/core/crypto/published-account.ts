// Accounts of the published form (docs/api.md, End-to-end encryption): what a client of version 3 makes of a password. Only code
// that is loaded where a password is typed needs it.

import { base64, type Bytes, fromBase64, hex, random, utf8 } from "./bytes.ts";
import { content, der, inside, integer, readDer, tag } from "./der.ts";

/** Rounds of PBKDF2: all clients use the same, or one password would make several apikeys. */
const ROUNDS = 600_000;
/** More than any client uses; a key that asks for more is refused instead of stopping the browser. */
const MAX_ROUNDS = 10_000_000;

const OID = {
  pbes2: fromOid("2a864886f70d01050d"),
  pbkdf2: fromOid("2a864886f70d01050c"),
  hmacSha256: fromOid("2a864886f70d0209"),
  aes256Cbc: fromOid("60864801650304012a"),
};

function fromOid(text: string): Bytes {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

async function pbkdf2(password: string, salt: Bytes, iterations: number): Promise<Bytes> {
  const key = await crypto.subtle.importKey("raw", utf8(password), "PBKDF2", false, ["deriveBits"]);
  return new Uint8Array(await crypto.subtle.deriveBits({ name: "PBKDF2", hash: "SHA-256", salt, iterations }, key, 256));
}

/** An address as it is hashed: trimmed, in lower case. */
export const normalEmail = (email: string): string => email.trim().toLowerCase();

/** What logs a person in, so that the server never sees the password. */
export const apikeyOf = async (email: string, password: string): Promise<string> =>
  hex(await pbkdf2(password, utf8(`parlance:${normalEmail(email)}`), ROUNDS));

/** The private key under a password: PKCS#8 in PEM (PBES2, PBKDF2-HMAC-SHA256, AES-256-CBC). */
export async function lockKey(pkcs8: Bytes, password: string): Promise<string> {
  const [salt, iv] = [random(16), random(16)];
  const raw = await pbkdf2(password, salt, ROUNDS);
  const key = await crypto.subtle.importKey("raw", raw, "AES-CBC", false, ["encrypt"]);
  const encrypted = new Uint8Array(await crypto.subtle.encrypt({ name: "AES-CBC", iv }, key, pkcs8));
  const oid = (bytes: Bytes): Bytes => der(tag.oid, bytes);
  const hash = der(tag.sequence, oid(OID.hmacSha256), der(tag.nothing));
  const kdf = der(tag.sequence, oid(OID.pbkdf2), der(tag.sequence, der(tag.octets, salt), integer(ROUNDS), hash));
  const cipher = der(tag.sequence, oid(OID.aes256Cbc), der(tag.octets, iv));
  const algorithm = der(tag.sequence, oid(OID.pbes2), der(tag.sequence, kdf, cipher));
  const body = base64(der(tag.sequence, algorithm, der(tag.octets, encrypted)));
  const lines = body.match(/.{1,64}/g) ?? [];
  return ["-----BEGIN ENCRYPTED PRIVATE KEY-----", ...lines, "-----END ENCRYPTED PRIVATE KEY-----", ""].join("\n");
}

/** Opens what `lockKey`, or openssl, made; rejects with another password. */
export async function unlockKey(pem: string, password: string): Promise<Bytes> {
  const body = /-----BEGIN ENCRYPTED PRIVATE KEY-----([A-Za-z0-9+/=\s]+)-----END/.exec(pem)?.[1];
  if (body === undefined) throw new Error("not an encrypted private key");
  const [algorithm, encrypted] = inside(readDer(fromBase64(body.replaceAll(/\s/g, "")))[0]);
  const [, parameters] = inside(algorithm);
  const [kdf, cipher] = inside(parameters);
  const [, kdfParameters] = inside(kdf);
  const [salt, rounds] = inside(kdfParameters);
  const [cipherName, iv] = inside(cipher);
  if (hex(content(cipherName, tag.oid)) !== hex(OID.aes256Cbc)) throw new Error("not AES-256-CBC");
  const iterations = content(rounds, tag.integer).reduce((sum, byte) => sum * 256 + byte, 0);
  if (iterations > MAX_ROUNDS) throw new Error("too many rounds");
  const raw = await pbkdf2(password, content(salt, tag.octets), iterations);
  const key = await crypto.subtle.importKey("raw", raw, "AES-CBC", false, ["decrypt"]);
  const data = content(encrypted, tag.octets);
  return new Uint8Array(await crypto.subtle.decrypt({ name: "AES-CBC", iv: content(iv, tag.octets) }, key, data));
}
