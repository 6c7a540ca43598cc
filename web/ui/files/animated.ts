// Animated pictures are sent as they are, as a canvas would keep only one frame; but without metadata of programs and cameras.

import { isAvifSequence, withoutMetadata } from "./iso.ts";
import { HEAD } from "./types.ts";

const text = (bytes: Uint8Array, from: number, length: number): string => String.fromCharCode(...bytes.subarray(from, from + length));

/** The parts of a file that are kept, in their order; null if it is truncated, or not of its type. */
type Kept = Uint8Array<ArrayBuffer>[] | null;
type Bytes = Uint8Array<ArrayBuffer>;

/** The number of repetitions: the only application extension that is needed to show the picture. */
const REPEATS = new Set(["NETSCAPE2.0", "ANIMEXTS1.0"]);

/** Bytes of a table of colours, by the byte that says whether there is one. */
const colors = (flags = 0): number => (flags & 0x80 ? 3 << ((flags & 7) + 1) : 0);

/** Where the blocks end that begin here. */
function blocksEnd(bytes: Bytes, from: number): number {
  let at = from;
  while (bytes[at]) at += 1 + (bytes[at] ?? 0);
  return at + 1;
}

function gif(bytes: Bytes): Kept {
  let at = 13 + colors(bytes[10]);
  const kept = [bytes.subarray(0, at)];
  while (at < bytes.length) {
    const [kind, label] = [bytes[at], bytes[at + 1]];
    if (kind === 0x3b) return [...kept, bytes.subarray(at, at + 1)];
    if (kind !== 0x21 && kind !== 0x2c) return null;
    const end = kind === 0x21 ? blocksEnd(bytes, at + 2) : blocksEnd(bytes, at + 11 + colors(bytes[at + 9]));
    if (kind === 0x2c || label === 0xf9 || label === 0x01 || (label === 0xff && REPEATS.has(text(bytes, at + 3, 11)))) kept.push(bytes.subarray(at, end));
    at = end;
  }
  return null;
}

const PNG_PARTS = new Set("IHDR PLTE IDAT IEND acTL fcTL fdAT tRNS gAMA cHRM sRGB iCCP sBIT pHYs bKGD".split(" "));

function png(bytes: Bytes): Kept {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const kept = [bytes.subarray(0, 8)];
  let moves = false;
  for (let at = 8; at + 12 <= bytes.length; ) {
    const [name, end] = [text(bytes, at + 4, 4), at + 12 + view.getUint32(at)];
    if (end > bytes.length) return null;
    if (PNG_PARTS.has(name)) kept.push(bytes.subarray(at, end));
    moves ||= name === "acTL";
    if (name === "IEND") return moves ? kept : null;
    at = end;
  }
  return null;
}

const WEBP_PARTS = new Set(["VP8X", "ICCP", "ANIM", "ANMF"]);
/** Flags of the VP8X header: animation, and the metadata that is removed here. */
const [MOVES, EXIF_OR_XMP] = [0x02, 0x0c];

function webp(bytes: Bytes): Kept {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (text(bytes, 12, 4) !== "VP8X" || ((bytes[20] ?? 0) & MOVES) === 0) return null;
  const kept = [bytes.slice(0, 12)];
  for (let at = 12; at + 8 <= bytes.length; ) {
    const size = view.getUint32(at + 4, true);
    const end = at + 8 + size + (size & 1);
    if (end > bytes.length) return null;
    const name = text(bytes, at, 4);
    const part = bytes.slice(at, end);
    if (name === "VP8X") part[8] = (part[8] ?? 0) & ~EXIF_OR_XMP;
    if (WEBP_PARTS.has(name)) kept.push(part);
    at = end;
  }
  const length = kept.reduce((sum, part) => sum + part.length, 0);
  if (kept[0]) new DataView(kept[0].buffer).setUint32(4, length - 8, true);
  return kept;
}

/** An animated picture without metadata; null if it is not animated, or cannot be read. */
export async function animated(source: Blob, type: string): Promise<Blob | null> {
  if (type === "image/avif") return isAvifSequence(new Uint8Array(await source.slice(0, HEAD).arrayBuffer())) ? withoutMetadata(source) : null;
  const read = { "image/gif": gif, "image/png": png, "image/webp": webp }[type];
  if (!read) return null;
  const kept = read(new Uint8Array(await source.arrayBuffer()));
  return kept && new Blob(kept, { type });
}
