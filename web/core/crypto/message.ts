// Messages and names (docs/e2ee.md, Messages): encrypted under the epoch's secret, bound to their place, signed, padded.

import {
  base64,
  type Bytes,
  concat,
  fromBase64,
  fromUtf8,
  idBytes,
  InvalidEncoding,
  lp,
  readU32,
  sameBytes,
  sha256,
  u32,
  utf8,
} from "./bytes.ts";
import { readCanonical } from "./canonical.ts";
import { aesKey, hkdf, label, sign, verifies } from "./keys.ts";

/** What a message is bound to. `type` is `Message` or `Update`. */
export interface Place {
  conversation: string;
  instance: string;
  message: string;
  user: string;
  station: string;
  type: string;
}

/** The secret of an epoch. */
export interface EpochSecret {
  epoch: number;
  secret: Bytes;
}

/** Why a message or a name cannot be read. */
export class Unreadable extends Error {
  constructor(
    readonly why: "noSecret" | "notForMe" | "altered" | "notThisForm",
    options?: ErrorOptions,
  ) {
    super(`it cannot be read: ${why}`, options);
    this.name = "Unreadable";
  }
}

/** A decrypted body, and whether its signature is valid. */
export interface Opened {
  body: string;
  signed: boolean;
}

/** What distinguishes a message from a name. */
interface Form {
  letter: number;
  /** Names the key among those of a secret. */
  keyName: string;
  key: (secret: Bytes) => Promise<Bytes>;
  additional: (epoch: number, kid: Bytes) => Bytes;
}

const VERSION = 1;
const PREFIX_LENGTH = 2 + 4 + 8 + 12;
const SIGNATURE_LENGTH = 64;

function messageForm(place: Place): Form {
  const { conversation, instance, message, user, station, type } = place;
  const parts = [idBytes(conversation), utf8(instance), idBytes(message), idBytes(user), idBytes(station), utf8(type)];
  const salt = concat(idBytes(conversation), utf8(instance));
  const info = concat(label("message key"), idBytes(user), idBytes(station));
  return {
    letter: 0x50,
    keyName: [conversation, instance, user, station].join(" "),
    key: (secret) => hkdf(secret, salt, info),
    additional: (epoch, kid) => concat(label("message"), lp(...parts, u32(epoch), kid)),
  };
}

// A name outlives an instance, so it is not bound to one.
const nameForm = (conversation: string): Form => ({
  letter: 0x4e,
  keyName: conversation,
  key: (secret) => hkdf(secret, idBytes(conversation), label("name key")),
  additional: (epoch, kid) => concat(label("name"), lp(idBytes(conversation), u32(epoch), kid)),
});

/** Identifies the secret without disclosing it. */
export const kidOf = async (secret: Bytes): Promise<Bytes> => (await sha256(label("kid"), secret)).slice(0, 8);

/** Derived from a secret, and cached as long as the secret is referenced: its id, and the keys of each sender. */
interface Derived {
  kid: Promise<Bytes>;
  keys: Map<string, Promise<CryptoKey>>;
}

const derived = new WeakMap<Bytes, Derived>();

function derivedFrom(secret: Bytes): Derived {
  const known = derived.get(secret);
  if (known) return known;
  const fresh = { kid: kidOf(secret), keys: new Map<string, Promise<CryptoKey>>() };
  derived.set(secret, fresh);
  return fresh;
}

function keyOf(form: Form, secret: Bytes): Promise<CryptoKey> {
  const { keys } = derivedFrom(secret);
  const key = keys.get(form.keyName) ?? form.key(secret).then(aesKey);
  keys.set(form.keyName, key);
  return key;
}

/** 256, 512, 1024, 2048, 4096, then multiples of 4096. */
export function paddedLength(length: number): number {
  for (let size = 256; size <= 4096; size *= 2) if (length <= size) return size;
  return Math.ceil(length / 4096) * 4096;
}

const signedText = async (additional: Bytes, body: Bytes): Promise<Bytes> =>
  concat(label("body"), ...(await Promise.all([sha256(additional), sha256(body)])));

async function sealAs(form: Form, under: EpochSecret, signer: CryptoKey, body: string, nonce: Bytes): Promise<string> {
  const kid = await derivedFrom(under.secret).kid;
  const additionalData = form.additional(under.epoch, kid);
  const bytes = utf8(body);
  const [key, signature] = await Promise.all([keyOf(form, under.secret), signedText(additionalData, bytes).then((text) => sign(signer, text))]);
  const plain = new Uint8Array(paddedLength(4 + bytes.length + SIGNATURE_LENGTH));
  plain.set(concat(u32(bytes.length), bytes, signature));
  const encrypted = await crypto.subtle.encrypt({ name: "AES-GCM", iv: nonce, additionalData }, key, plain);
  const head = Uint8Array.of(form.letter, VERSION);
  return base64(concat(head, u32(under.epoch), kid, nonce, new Uint8Array(encrypted)));
}

/** Seals a body, canonical JSON. `nonce`: 12 random bytes, handed in so that vectors can be played. */
export const seal = (under: EpochSecret, signer: CryptoKey, place: Place, body: string, nonce: Bytes): Promise<string> =>
  sealAs(messageForm(place), under, signer, body, nonce);

/** Seals a conversation's name; the body is J({v, name, by}). */
export const sealName = (under: EpochSecret, signer: CryptoKey, conversation: string, body: string, nonce: Bytes): Promise<string> =>
  sealAs(nameForm(conversation), under, signer, body, nonce);

function split(letter: number, data: string): { epoch: number; kid: Bytes; nonce: Bytes; encrypted: Bytes } | null {
  let bytes: Bytes;
  try {
    bytes = fromBase64(data);
  } catch (error) {
    if (error instanceof InvalidEncoding) return null;
    throw error;
  }
  if (bytes.length < PREFIX_LENGTH + 16 || bytes[0] !== letter || bytes[1] !== VERSION) return null;
  const [kid, nonce] = [bytes.slice(6, 14), bytes.slice(14, PREFIX_LENGTH)];
  return { epoch: readU32(bytes, 2), kid, nonce, encrypted: bytes.slice(PREFIX_LENGTH) };
}

/** The number of the epoch under which a message lies; null if it is not of this form. */
export const epochOf = (data: string): number | null => split(0x50, data)?.epoch ?? null;

async function openAs(form: Form, under: EpochSecret, data: string): Promise<{ body: Bytes; signature: Bytes; signed: Bytes }> {
  const parts = split(form.letter, data);
  if (!parts) throw new Unreadable("notThisForm");
  if (parts.epoch !== under.epoch || !sameBytes(parts.kid, await derivedFrom(under.secret).kid)) throw new Unreadable("noSecret");
  const additionalData = form.additional(parts.epoch, parts.kid);
  const key = await keyOf(form, under.secret);
  let plain: Bytes;
  try {
    const algorithm = { name: "AES-GCM", iv: parts.nonce, additionalData };
    plain = new Uint8Array(await crypto.subtle.decrypt(algorithm, key, parts.encrypted));
  } catch (cause) {
    throw new Unreadable("altered", { cause });
  }
  const length = plain.length < 4 ? plain.length : readU32(plain);
  const end = 4 + length + SIGNATURE_LENGTH;
  // One padding only: it must be of zeros, and no longer than the length asks for.
  if (plain.length !== paddedLength(end) || plain.slice(end).some((byte) => byte !== 0)) throw new Unreadable("altered");
  const body = plain.slice(4, 4 + length);
  return { body, signature: plain.slice(4 + length, end), signed: await signedText(additionalData, body) };
}

/**
 * Opens a message. `signKeys` are those of the sender's cards, as pinned; without one nothing counts as signed.
 * Throws `Unreadable`: `noSecret` if it lies under another secret, `altered` if any of its place or content differs.
 */
export async function open(under: EpochSecret, signKeys: readonly Bytes[], place: Place, data: string): Promise<Opened> {
  const { body, signature, signed } = await openAs(messageForm(place), under, data);
  return { body: canonicalText(body), signed: await anyVerifies(signKeys, signature, signed) };
}

/** Opens a name; `keysOf` returns the pinned keys of the user who is named as its author. */
export async function openName(
  under: EpochSecret,
  keysOf: (body: string) => readonly Bytes[],
  conversation: string,
  data: string,
): Promise<Opened> {
  const { body, signature, signed } = await openAs(nameForm(conversation), under, data);
  const text = canonicalText(body);
  return { body: text, signed: await anyVerifies(keysOf(text), signature, signed) };
}

// Two texts for one body would be two messages under one signature's meaning.
function canonicalText(bytes: Bytes): string {
  const text = fromUtf8(bytes);
  readCanonical(text, bytes.length);
  return text;
}

async function anyVerifies(keys: readonly Bytes[], signature: Bytes, text: Bytes): Promise<boolean> {
  for (const key of keys) if (await verifies(key, signature, text)) return true;
  return false;
}
