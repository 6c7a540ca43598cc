// The vault (docs/e2ee.md, Vault): a user's private keys on the server. A random master key opens the box; the master key
// lies in it twice, under the password and under the recovery key.

import { base64, type Bytes, concat, fromBase64, fromUtf8, hex, idBytes, lp, random, u64, utf8 } from "./bytes.ts";
import { canonical, isObject, type Json, readCanonical } from "./canonical.ts";
import { aesKey, hkdf, label, type RawKeys } from "./keys.ts";

const PREFIX = "parlance-vault:1:";
const MAX_VAULT = 1024 * 1024;
/** Characters of a vault that a server keeps (docs/api.md, `rsakey`). */
export const MAX_RSAKEY = 262_144;
const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/** The vault's owner. */
export interface Owner {
  server: string;
  user: string;
}

/** A contact's pin: H(card), n, mark. */
export type VaultPin = readonly [card: string, n: number, mark: "seen" | "verified" | "changed"];

/** The content of a vault. */
export interface Contents {
  keys: RawKeys & { seed: Bytes };
  pins: Readonly<Record<string, VaultPin>>;
  heads: Readonly<Record<string, readonly [seq: number, chain: string]>>;
}

/** Which slot. */
export type Slot = "password" | "recovery";

/** A decoded vault that was not decrypted yet. */
export interface Vault {
  version: number;
  slots: Readonly<Record<Slot, string>>;
  box: string;
}

/** Whether what login answered is a vault; else it is a key of the published form. */
export const isVault = (rsakey: string): boolean => rsakey.startsWith(PREFIX);

const owner = ({ server, user }: Owner): Bytes => lp(idBytes(server), idBytes(user));
const empty = new Uint8Array(0);

/** The login key that is derived from a password's root or a recovery key. */
export const apikeyOfRoot = async (root: Bytes, of: Owner): Promise<string> =>
  hex(await hkdf(root, empty, concat(label("auth"), owner(of))));

const wrapKey = async (root: Bytes, of: Owner): Promise<CryptoKey> =>
  aesKey(await hkdf(root, empty, concat(label("wrap"), owner(of))));

/** What opens the box of a master key, for use only. It stays when the password or the recovery key are replaced. */
export const boxKeyOf = async (master: Bytes): Promise<CryptoKey> => aesKey(await hkdf(master, empty, label("box")));

const slotData = (of: Owner, slot: Slot): Bytes =>
  concat(label("slot"), lp(idBytes(of.user), idBytes(of.server), utf8(slot)));
const boxData = (of: Owner, version: number): Bytes =>
  concat(label("vault"), lp(idBytes(of.user), idBytes(of.server), u64(version)));

async function encrypt(key: CryptoKey, plain: Bytes, additionalData: Bytes): Promise<string> {
  const iv = random(12);
  const encrypted = await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData }, key, plain);
  return base64(concat(iv, new Uint8Array(encrypted)));
}

async function decrypt(key: CryptoKey, text: string, additionalData: Bytes): Promise<Bytes> {
  const bytes = fromBase64(text);
  const algorithm = { name: "AES-GCM", iv: bytes.slice(0, 12), additionalData };
  return new Uint8Array(await crypto.subtle.decrypt(algorithm, key, bytes.slice(12)));
}

/** The master key under what opens a slot. */
export const fillSlot = async (master: Bytes, root: Bytes, of: Owner, slot: Slot): Promise<string> =>
  encrypt(await wrapKey(root, of), master, slotData(of, slot));

/** The master key out of a slot; rejects with another password. */
export async function openSlot(vault: Vault, root: Bytes, of: Owner, slot: Slot): Promise<Bytes> {
  const master = await decrypt(await wrapKey(root, of), vault.slots[slot], slotData(of, slot));
  if (master.length !== 32) throw new Error("a master key has 32 bytes");
  return master;
}

/** The box around the keys, for this version of the vault. */
export async function sealBox(key: CryptoKey, contents: Contents, of: Owner, version: number): Promise<string> {
  const { rsa, seed, earlier = [] } = contents.keys;
  const before = earlier.length > 0 && { earlier: earlier.map(base64) };
  const text = canonical({ rsa: base64(rsa), sign: base64(seed), pins: contents.pins, heads: contents.heads, ...before });
  return encrypt(key, utf8(text), boxData(of, version));
}

/** A vault that is older than one that this device has seen: the server, or a thief, hands out an old one. */
export class OldVault extends Error {
  constructor() {
    super("the vault is older than one that was seen");
    this.name = "OldVault";
  }
}

/** Refuses an older vault than this device has seen. */
export function checkVersion(vault: Vault, seen: number): void {
  if (vault.version < seen) throw new OldVault();
}

/** Opens the box; rejects if it is of another version, user or server than it says. */
export async function openBox(vault: Vault, key: CryptoKey, of: Owner): Promise<Contents> {
  const text = fromUtf8(await decrypt(key, vault.box, boxData(of, vault.version)));
  const fields = readCanonical(text, MAX_VAULT);
  const { rsa, sign, pins, heads, earlier } = fields;
  if (typeof rsa !== "string" || typeof sign !== "string" || !isObject(pins) || !isObject(heads)) throw new Error("not a vault");
  const seed = fromBase64(sign);
  if (seed.length !== 32 || Object.keys(fields).length !== (earlier === undefined ? 4 : 5)) throw new Error("not a vault");
  const readPins = Object.entries(pins).map(([user, pin]) => [user, readPin(pin)] as const);
  const readHeads = Object.entries(heads).map(([id, head]) => [id, readHead(head)] as const);
  const keys = { rsa: fromBase64(rsa), seed, ...(earlier !== undefined && { earlier: readEarlier(earlier) }) };
  return { keys, pins: Object.fromEntries(readPins), heads: Object.fromEntries(readHeads) };
}

function readEarlier(value: Json): Bytes[] {
  if (!Array.isArray(value) || value.length === 0) throw new Error("not a vault");
  return (value as readonly Json[]).map((one) => {
    if (typeof one !== "string") throw new Error("not a vault");
    return fromBase64(one);
  });
}

function readPin(value: Json): VaultPin {
  if (!Array.isArray(value) || value.length !== 3) throw new Error("not a pin");
  const [card, n, mark] = value as readonly Json[];
  if (typeof card !== "string" || typeof n !== "number") throw new Error("not a pin");
  if (mark !== "seen" && mark !== "verified" && mark !== "changed") throw new Error("not a pin");
  return [card, n, mark];
}

function readHead(value: Json): readonly [number, string] {
  if (!Array.isArray(value) || value.length !== 2) throw new Error("not a head");
  const [seq, chain] = value as readonly Json[];
  if (typeof seq !== "number" || typeof chain !== "string") throw new Error("not a head");
  return [seq, chain];
}

/** A vault as the server keeps it. */
export function writeVault({ version, slots, box }: Vault): string {
  const { password, recovery } = slots;
  return PREFIX + base64(utf8(canonical({ version, slots: { password, recovery }, box })));
}

/** Reads what the server keeps. */
export function readVault(rsakey: string): Vault {
  if (!isVault(rsakey)) throw new Error("not a vault");
  const fields = readCanonical(fromUtf8(fromBase64(rsakey.slice(PREFIX.length))), MAX_VAULT);
  const { version, slots, box } = fields;
  if (typeof version !== "number" || version < 1 || typeof box !== "string" || !isObject(slots)) throw new Error("not a vault");
  const { password, recovery } = slots;
  if (typeof password !== "string" || typeof recovery !== "string") throw new Error("not a vault");
  if (Object.keys(fields).length !== 3 || Object.keys(slots).length !== 2) throw new Error("not a vault");
  return { version, slots: { password, recovery }, box };
}

/** A recovery key as it is printed: 52 letters and digits in groups of four. */
export function printRecovery(key: Bytes): string {
  let bits = "";
  for (const byte of key) bits += byte.toString(2).padStart(8, "0");
  const letters = (bits.match(/.{1,5}/g) ?? []).map((five) => LETTERS[Number.parseInt(five.padEnd(5, "0"), 2)] ?? "");
  return (letters.join("").match(/.{1,4}/g) ?? []).join(" ");
}

/** Reads what was printed, in either case, whatever spaces and dashes; null if it cannot be a recovery key. */
export function readRecovery(text: string): Bytes | null {
  const letters = [...text.replaceAll(/[\s-]/g, "").toUpperCase()].map((letter) => LETTERS.indexOf(letter));
  if (letters.length !== 52 || letters.includes(-1)) return null;
  const bits = letters.map((value) => value.toString(2).padStart(5, "0")).join("");
  // 260 bits for 256: the last four are zeros, or it is not the one text of a key.
  if (!bits.endsWith("0000")) return null;
  return Uint8Array.from({ length: 32 }, (_, i) => Number.parseInt(bits.slice(8 * i, 8 * i + 8), 2));
}
