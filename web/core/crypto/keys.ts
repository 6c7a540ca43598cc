// A user's keys: the RSA pair signs requests and opens wrapped secrets, the Ed25519 pair signs everything that people
// are to believe. After `importKeys` none of them can be read out of the browser again.

import { base64, type Bytes, fromBase64, hex, random, sha256, utf8 } from "./bytes.ts";

const RSA_SIGN = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
const RSA_OPEN = { name: "RSA-OAEP", hash: "SHA-256" };
const EXPONENT = Uint8Array.of(1, 0, 1);
/** What stands before an Ed25519 seed in PKCS#8 (RFC 8410, section 7). */
const ED25519_PKCS8 = Uint8Array.of(0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20);

/** The key pairs, for use only. */
export interface UserKeys {
  rsaSign: CryptoKey;
  rsaOpen: CryptoKey;
  /** Of RSA pairs before this one: they open what was wrapped for them. */
  rsaEarlier?: readonly CryptoKey[];
  /** Of an account of the published form: none. */
  sign: CryptoKey | null;
}

/** The key pairs as they lie in a vault: PKCS#8, and the Ed25519 seed. */
export interface RawKeys {
  rsa: Bytes;
  seed: Bytes | null;
  /** RSA pairs before this one, newest first. */
  earlier?: readonly Bytes[];
}

/** New keys, with the RSA pair's public half: base64 of the SubjectPublicKeyInfo. */
export async function makeKeys(rsaBits: 2048 | 3072, withSeed: boolean): Promise<{ raw: RawKeys; publicKey: string }> {
  const algorithm = { ...RSA_SIGN, modulusLength: rsaBits, publicExponent: EXPONENT };
  const pair = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const [rsa, spki] = await Promise.all([
    crypto.subtle.exportKey("pkcs8", pair.privateKey),
    crypto.subtle.exportKey("spki", pair.publicKey),
  ]);
  const raw = { rsa: new Uint8Array(rsa), seed: withSeed ? random(32) : null };
  return { raw, publicKey: base64(new Uint8Array(spki)) };
}

/** Imports keys so that they can be used but not exported. */
export async function importKeys(raw: RawKeys): Promise<UserKeys> {
  const opens = (rsa: Bytes): Promise<CryptoKey> => crypto.subtle.importKey("pkcs8", rsa, RSA_OPEN, false, ["decrypt"]);
  const [rsaSign, rsaOpen, sign, rsaEarlier] = await Promise.all([
    crypto.subtle.importKey("pkcs8", raw.rsa, RSA_SIGN, false, ["sign"]),
    opens(raw.rsa),
    raw.seed ? importSeed(raw.seed) : null,
    Promise.all((raw.earlier ?? []).map(opens)),
  ]);
  return { rsaSign, rsaOpen, sign, rsaEarlier };
}

/** An Ed25519 seed as a key that signs. */
export function importSeed(seed: Bytes, extractable = false): Promise<CryptoKey> {
  const pkcs8 = new Uint8Array([...ED25519_PKCS8, ...seed]);
  return crypto.subtle.importKey("pkcs8", pkcs8, { name: "Ed25519" }, extractable, ["sign"]);
}

/** The public half of an Ed25519 seed. */
export async function publicOfSeed(seed: Bytes): Promise<Bytes> {
  // WebCrypto has no call for it; the JWK of a private key carries it.
  const { x } = await crypto.subtle.exportKey("jwk", await importSeed(seed, true));
  if (x === undefined) throw new Error("the public key cannot be made");
  return fromBase64(x.replaceAll("-", "+").replaceAll("_", "/").padEnd(44, "="));
}

/** The public half of an RSA key pair in PKCS#8: base64 of the SubjectPublicKeyInfo. */
export async function publicOfRsa(pkcs8: Bytes): Promise<string> {
  const pair = await crypto.subtle.importKey("pkcs8", pkcs8, RSA_SIGN, true, ["sign"]);
  const { n, e } = await crypto.subtle.exportKey("jwk", pair);
  if (n === undefined || e === undefined) throw new Error("the public key cannot be made");
  const half = await crypto.subtle.importKey("jwk", { kty: "RSA", n, e }, RSA_SIGN, true, ["verify"]);
  return base64(new Uint8Array(await crypto.subtle.exportKey("spki", half)));
}

/** Signs with Ed25519. */
export const sign = async (key: CryptoKey, text: Bytes): Promise<Bytes> =>
  new Uint8Array(await crypto.subtle.sign({ name: "Ed25519" }, key, text));

const MAX_VERIFIERS = 1000;
const verifiers = new Map<string, Promise<CryptoKey>>();

// Cached, as the same few people sign nearly every message.
function verifierOf(publicKey: Bytes): Promise<CryptoKey> {
  const name = hex(publicKey);
  const known = verifiers.get(name);
  if (known) return known;
  if (verifiers.size >= MAX_VERIFIERS) verifiers.clear();
  const imported = crypto.subtle.importKey("raw", publicKey, { name: "Ed25519" }, false, ["verify"]);
  verifiers.set(name, imported);
  return imported;
}

/** The y coordinates of the points whose order divides 8, little-endian: with such a "key" anyone's signature is right. */
const SMALL_ORDER = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

/** Whether these bytes can be a key: 32, a reduced coordinate, not of small order. Libraries differ in what they refuse. */
export function isSignKey(bytes: Bytes): boolean {
  if (bytes.length !== 32) return false;
  const y = bytes.slice();
  y[31] = (y[31] ?? 0) & 0x7f;
  // The prime is 2^255 - 19: its bytes are ed, 30 times ff, 7f.
  const isReduced = y[31] !== 0x7f || y.slice(1, 31).some((byte) => byte !== 0xff) || (y[0] ?? 0) < 0xed;
  return isReduced && !SMALL_ORDER.includes(hex(y));
}

/** Whether an Ed25519 signature is valid; false for an invalid key. */
export async function verifies(publicKey: Bytes, signature: Bytes, text: Bytes): Promise<boolean> {
  if (!isSignKey(publicKey) || signature.length !== 64) return false;
  try {
    return await crypto.subtle.verify({ name: "Ed25519" }, await verifierOf(publicKey), signature, text);
  } catch {
    return false;
  }
}

/** Signs with RSA, base64: requests, cards. */
export const rsaSign = async (key: CryptoKey, text: Bytes): Promise<string> =>
  base64(new Uint8Array(await crypto.subtle.sign("RSASSA-PKCS1-v1_5", key, text)));

/** Whether an RSA signature is valid. */
export async function rsaVerifies(publicKey: string, signature: string, text: Bytes): Promise<boolean> {
  try {
    const key = await crypto.subtle.importKey("spki", fromBase64(publicKey), RSA_SIGN, false, ["verify"]);
    return await crypto.subtle.verify("RSASSA-PKCS1-v1_5", key, fromBase64(signature), text);
  } catch {
    return false;
  }
}

/** Wraps a conversation's secret for the owner of this public key. */
export async function wrapSecret(secret: Bytes, publicKey: string): Promise<string> {
  const key = await crypto.subtle.importKey("spki", fromBase64(publicKey), RSA_OPEN, false, ["encrypt"]);
  return base64(new Uint8Array(await crypto.subtle.encrypt({ name: "RSA-OAEP" }, key, secret)));
}

/** Opens a wrapped secret; rejects if it is not for this key. */
export async function unwrap(wrapped: string, key: CryptoKey): Promise<Bytes> {
  const secret = new Uint8Array(await crypto.subtle.decrypt({ name: "RSA-OAEP" }, key, fromBase64(wrapped)));
  if (secret.length !== 32) throw new Error("a secret has 32 bytes");
  return secret;
}

/** The same, with the key that it is for; rejects if none of them is. */
export const unwrapWithAny = (wrapped: string, { rsaOpen, rsaEarlier = [] }: UserKeys): Promise<Bytes> =>
  rsaEarlier.reduce((tried, key) => tried.catch(() => unwrap(wrapped, key)), unwrap(wrapped, rsaOpen));

/** The hash of an RSA public key: of its SubjectPublicKeyInfo. */
export const rsaHash = (publicKey: string): Promise<Bytes> => sha256(fromBase64(publicKey));

/** A key of 32 bytes that HKDF makes. */
export async function hkdf(secret: Bytes, salt: Bytes, info: Bytes, length = 32): Promise<Bytes> {
  const key = await crypto.subtle.importKey("raw", secret, "HKDF", false, ["deriveBits"]);
  return new Uint8Array(await crypto.subtle.deriveBits({ name: "HKDF", hash: "SHA-256", salt, info }, key, 8 * length));
}

/** A key for AES-256-GCM. */
export const aesKey = (bytes: Bytes): Promise<CryptoKey> =>
  crypto.subtle.importKey("raw", bytes, { name: "AES-GCM" }, false, ["encrypt", "decrypt"]);

/** HMAC-SHA-256. */
export async function hmac(key: Bytes, text: Bytes): Promise<Bytes> {
  const imported = await crypto.subtle.importKey("raw", key, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", imported, text));
}

/** The domain separator of what is hashed or signed. */
export const label = (name: string): Bytes => utf8(`parlance ${name} 1\n`);
