// The little of DER (X.690) that an encrypted private key needs.

import { type Bytes, concat, InvalidEncoding } from "./bytes.ts";

/** Tags. */
export const tag = { integer: 2, octets: 4, nothing: 5, oid: 6, sequence: 0x30 } as const;

/** A value with its tag. */
export interface Der {
  tag: number;
  content: Bytes;
}

/** Writes a value. */
export function der(kind: number, ...contents: readonly Bytes[]): Bytes {
  const content = concat(...contents);
  const { length } = content;
  if (length < 128) return concat(Uint8Array.of(kind, length), content);
  const size = length < 256 ? [length] : [length >> 8, length & 255];
  return concat(Uint8Array.of(kind, 0x80 | size.length, ...size), content);
}

/** Reads the values that stand one after the other. */
export function readDer(bytes: Bytes): Der[] {
  const values: Der[] = [];
  for (let at = 0; at < bytes.length; ) {
    const kind = bytes[at] ?? 0;
    let length = bytes[at + 1] ?? 0;
    at += 2;
    if (length >= 0x80) {
      const size = length & 0x7f;
      if (size === 0 || size > 3) throw new InvalidEncoding("DER");
      length = bytes.subarray(at, at + size).reduce((sum, byte) => sum * 256 + byte, 0);
      at += size;
    }
    if (at + length > bytes.length) throw new InvalidEncoding("DER");
    values.push({ tag: kind, content: bytes.slice(at, at + length) });
    at += length;
  }
  return values;
}

/** The values inside a sequence. */
export function inside(value: Der | undefined): Der[] {
  if (value?.tag !== tag.sequence) throw new InvalidEncoding("a sequence in DER");
  return readDer(value.content);
}

/** The content of a value that must have this tag. */
export function content(value: Der | undefined, kind: number): Bytes {
  if (value?.tag !== kind) throw new InvalidEncoding("another value in DER");
  return value.content;
}

/** A positive integer. */
export function integer(n: number): Bytes {
  const bytes: number[] = [];
  for (let rest = n; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  if (bytes.length === 0 || (bytes[0] ?? 0) >= 128) bytes.unshift(0);
  return der(tag.integer, Uint8Array.from(bytes));
}
