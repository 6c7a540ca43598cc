// Bytes and their encodings. `docs/e2ee.md`, Notation, says where which one is used.

/** Bytes whose buffer is not shared. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** A text that is not a valid encoding of bytes. */
export class InvalidEncoding extends Error {
  constructor(expected: string) {
    super(`expected ${expected}`);
    this.name = "InvalidEncoding";
  }
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** A text as UTF-8. */
export const utf8 = (text: string): Bytes => encoder.encode(text);

/** Decodes UTF-8; throws if it is malformed. */
export function fromUtf8(bytes: Bytes): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw new InvalidEncoding("UTF-8");
  }
}

/** Hexadecimal digits in lower case. */
export function hex(bytes: Bytes): string {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}

/** The bytes of hexadecimal digits, exactly `length` if given. */
export function fromHex(text: string, length?: number): Bytes {
  if (!/^(?:[0-9a-f]{2})*$/.test(text) || (length !== undefined && text.length !== 2 * length)) {
    throw new InvalidEncoding(`${length ?? ""} bytes as hexadecimal digits`);
  }
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}

/** Base64 (RFC 4648, section 4). */
export function base64(bytes: Bytes): string {
  let text = "";
  // In pieces: fromCharCode takes a limited number of arguments.
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return btoa(text);
}

/** Decodes Base64; only the canonical text, as `base64` writes it, is accepted. */
export function fromBase64(text: string): Bytes {
  let letters: string;
  try {
    letters = atob(text);
  } catch {
    throw new InvalidEncoding("Base64");
  }
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = letters.charCodeAt(i);
  if (base64(bytes) !== text) throw new InvalidEncoding("Base64");
  return bytes;
}

/** Concatenates the parts. */
export function concat(...parts: readonly Bytes[]): Bytes {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** A number as 4 bytes, big-endian. */
export function u32(n: number): Bytes {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, n);
  return bytes;
}

/** A number as 8 bytes, big-endian. */
export function u64(n: number): Bytes {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(n));
  return bytes;
}

/** Reads 4 bytes, big-endian. */
export const readU32 = (bytes: Bytes, at = 0): number =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(at);

/** Each part with its length before it, 2 bytes: no two lists of parts make the same bytes. */
export function lp(...parts: readonly Bytes[]): Bytes {
  return concat(
    ...parts.flatMap((part) => {
      if (part.length > 0xffff) throw new RangeError("a part has more than 65,535 bytes");
      return [Uint8Array.of(part.length >> 8, part.length & 255), part];
    }),
  );
}

/** Whether both are equal. Not for secrets: it stops at the first difference. */
export const sameBytes = (one: Bytes, other: Bytes): boolean =>
  one.length === other.length && one.every((byte, i) => byte === other[i]);

/** Whether both are equal, in a time that depends only on the length. */
export function sameSecret(one: Bytes, other: Bytes): boolean {
  if (one.length !== other.length) return false;
  let difference = 0;
  one.forEach((byte, i) => {
    difference |= byte ^ (other[i] ?? 0);
  });
  return difference === 0;
}

/** SHA-256 of the concatenated parts. */
export const sha256 = async (...parts: readonly Bytes[]): Promise<Bytes> =>
  new Uint8Array(await crypto.subtle.digest("SHA-256", concat(...parts)));

/** SHA-512 of the concatenated parts. */
export const sha512 = async (...parts: readonly Bytes[]): Promise<Bytes> =>
  new Uint8Array(await crypto.subtle.digest("SHA-512", concat(...parts)));

/** `length` random bytes. */
export const random = (length: number): Bytes => crypto.getRandomValues(new Uint8Array(length));

/** A random number from 0 to 1. */
export const randomUnit = (): number => readU32(random(4)) / 2 ** 32;

/** The bytes of a UUID with or without its dashes, or of an id. */
export const idBytes = (id: string): Bytes => fromHex(id.replaceAll("-", ""), 16);
