// File types by their first bytes: only files with these are ever shown as pictures or played, whatever the sender or the name claims.
// Also reads a file's bytes.

import type { FileInfo, FileSource } from "../../core/index.ts";

const at = (bytes: Uint8Array, from: number, text: string): boolean => [...text].every((letter, i) => bytes[from + i] === letter.charCodeAt(0));

/** The type of a picture; null if it is none of those that are shown. */
export function pictureType(bytes: Uint8Array): string | null {
  if (at(bytes, 0, "\x89PNG\r\n\x1a\n")) return "image/png";
  if (at(bytes, 0, "\xff\xd8\xff")) return "image/jpeg";
  if (at(bytes, 0, "GIF87a") || at(bytes, 0, "GIF89a")) return "image/gif";
  if (at(bytes, 0, "RIFF") && at(bytes, 8, "WEBP")) return "image/webp";
  if (at(bytes, 4, "ftypavif") || at(bytes, 4, "ftypavis")) return "image/avif";
  return null;
}

/** Bytes by which a type is known. */
export const HEAD = 64;
/** The type of a file that is neither shown nor played, and has no type of its own. */
export const UNKNOWN = "application/octet-stream";

/** What a file of the ISO family is for, by its brand: pictures have brands of their own, and so has sound. */
function isoType(brand: string, isSound: boolean): string | null {
  if (/^(?:avi[fs]|he[iv][cxms]|mif1|msf1|jp2 |crx )$/.test(brand)) return null;
  if (/^M4[AB] $/.test(brand) || isSound) return "audio/mp4";
  return brand === "qt  " ? "video/quicktime" : "video/mp4";
}

/** MPEG sound without a head: a frame of layer III, or of AAC (ADTS), with fields that a frame can have. */
function frameType([first = 0, second = 0, third = 0]: Uint8Array): string | null {
  if (first !== 0xff) return null;
  const isLayer3 = (second & 0xe6) === 0xe2 && (second & 0x18) !== 0x08;
  if (isLayer3 && third >> 4 !== 0 && third >> 4 !== 15 && (third & 0x0c) !== 0x0c) return "audio/mpeg";
  return (second & 0xf6) === 0xf0 && ((third >> 2) & 15) < 13 ? "audio/aac" : null;
}

/**
 * The type of what is played; null if it is neither sound nor video. `isSound`: what it is said to be, where what holds it may hold
 * either.
 */
export function playableType(bytes: Uint8Array, isSound: boolean): string | null {
  const text = String.fromCharCode(...bytes.subarray(0, HEAD));
  const either = isSound ? "audio" : "video";
  if (at(bytes, 4, "ftyp")) return isoType(text.slice(8, 12), isSound);
  if (at(bytes, 0, "\x1a\x45\xdf\xa3")) return text.includes("webm") ? `${either}/webm` : text.includes("matroska") ? `${either}/x-matroska` : null;
  if (at(bytes, 0, "OggS")) return text.includes("\x80theora") ? "video/ogg" : "audio/ogg";
  if (at(bytes, 0, "RIFF") && at(bytes, 8, "WAVE")) return "audio/wav";
  if (at(bytes, 0, "fLaC")) return "audio/flac";
  if (at(bytes, 0, "ID3")) return "audio/mpeg";
  return frameType(bytes);
}

/** Whether this type claims to be shown or played. */
export const saysShown = (type: string): boolean => /^(?:image|audio|video)\//.test(type);

/** Reads what is to be encrypted, part by part. */
export const sourceOf = (blob: Blob): FileSource => ({
  size: blob.size,
  read: async (from, to) => new Uint8Array(await blob.slice(from, to).arrayBuffer()),
});

/** Whether this type claims to be one that `pictureType` recognizes. */
export const saysPicture = (type: string): boolean => /^image\/(?:png|jpeg|gif|webp|avif)$/.test(type);

/** Whether a file that is sent unchanged may have location metadata: a picture of another type, or a video. */
export const mayNamePlace = ({ name, type }: Pick<File, "name" | "type">): boolean =>
  // Not every system knows the MIME types of phone pictures.
  type === "" ? /\.(?:hei[cf]s?|tiff?|dng|mov|mp4)$/i.test(name) : /^(?:image|video)\//.test(type) && type !== "image/svg+xml";

/** The ending of a name in capitals, as "PDF"; empty if it has none. */
export const endingOf = (name: string): string => /\.([\p{L}\p{N}]{1,6})$/u.exec(name)?.[1]?.toUpperCase() ?? "";

/** A file's small picture, to be shown before the file is here; null if it has none. */
export function thumbOf({ thumb }: Pick<FileInfo, "thumb">): string | null {
  if (thumb === "") return null;
  try {
    const type = pictureType(Uint8Array.from(atob(thumb.slice(0, 24)), (letter) => letter.charCodeAt(0)));
    return type && `data:${type};base64,${thumb}`;
  } catch {
    return null; // it is not base64
  }
}
