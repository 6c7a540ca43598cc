// A file as its message describes it (docs/e2ee.md, Kinds): where its bytes are, their key, and what can be shown before they are
// loaded. All of it comes from somebody else's client, so values out of range are dropped.

import { isObject, type Json, type JsonObject } from "../crypto/canonical.ts";
import { InvalidId, type FileId, fileId } from "./ids.ts";

/** How a file is shown. */
export type FileShape = "picture" | "video" | "voice" | "audio" | "document";

/** A file of a message. */
export interface FileInfo {
  id: FileId;
  name: string;
  /** As its sender says: what is shown as a picture is decided by its bytes. */
  mime: string;
  /** Bytes, without padding. */
  size: number;
  records: number;
  /** Base64. */
  key: string;
  /** Hexadecimal. */
  digest: string;
  /** Pixels; null if it has no picture, or the sender did not say. */
  w: number | null;
  h: number | null;
  /** Duration; null if it cannot be played. */
  ms: number | null;
  /** A small picture of it, base64; empty if there is none. */
  thumb: string;
  /** How loud a voice note is, in equal steps of its time: a byte each, base64; empty if it is none. */
  wave: string;
}

/** Reads a range of a chosen file; `to` is excluded. */
export interface FileSource {
  size: number;
  read: (from: number, to: number) => Promise<Uint8Array<ArrayBuffer>>;
}

/** Maximum number of files in a message. */
export const MAX_FILES = 32;
const MAX_NAME = 255;
const MAX_THUMB = 5_464;
const MAX_WAVE = 256;
const MAX_SIDE = 65_535;

const pictures = new Set(["image/png", "image/jpeg", "image/gif", "image/webp", "image/avif"]);

/** How it is shown, according to its sender. */
export function shapeOf({ mime, wave }: Pick<FileInfo, "mime" | "wave">): FileShape {
  if (pictures.has(mime)) return "picture";
  if (mime.startsWith("video/")) return "video";
  if (mime.startsWith("audio/")) return wave === "" ? "audio" : "voice";
  return "document";
}

const text = (value: Json | undefined, most: number): string => (typeof value === "string" && value.length <= most ? value : "");
const number = (value: Json | undefined, least: number, most: number): number | null =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= least && value <= most ? value : null;
// A file name for saving has no slashes or control characters.
const nameOf = (value: Json | undefined): string =>
  (typeof value === "string" ? value : "").replaceAll(/[\\/\u0000-\u001f\u007f\u202a-\u202e\u2066-\u2069]/g, " ").trim().slice(0, MAX_NAME);

/** Decodes a file; null if it could not be fetched. */
export function readFile(value: Json | undefined): FileInfo | null {
  if (!isObject(value)) return null;
  const size = number(value["size"], 0, Number.MAX_SAFE_INTEGER);
  const records = number(value["records"], 1, 2 ** 32 - 1);
  const [key, digest] = [text(value["key"], 44), text(value["digest"], 64)];
  if (size === null || records === null || key === "" || !/^[0-9a-f]{64}$/.test(digest) || typeof value["id"] !== "string") return null;
  try {
    return {
      id: fileId(value["id"]),
      name: nameOf(value["name"]),
      mime: text(value["mime"], 127).toLowerCase(),
      size,
      records,
      key,
      digest,
      w: number(value["w"], 1, MAX_SIDE),
      h: number(value["h"], 1, MAX_SIDE),
      ms: number(value["ms"], 0, Number.MAX_SAFE_INTEGER),
      thumb: text(value["thumb"], MAX_THUMB),
      wave: text(value["wave"], MAX_WAVE),
    };
  } catch (error) {
    if (error instanceof InvalidId) return null;
    throw error;
  }
}

/** Encodes it; absent values are omitted. */
export function fileFields({ w, h, ms, thumb, wave, ...rest }: FileInfo): JsonObject {
  return {
    ...rest,
    ...(w !== null && { w }),
    ...(h !== null && { h }),
    ...(ms !== null && { ms }),
    ...(thumb !== "" && { thumb }),
    ...(wave !== "" && { wave }),
  };
}

/** Its plain text: the caption, or the files' names. */
export const wordsOf = ({ text: written, files }: { text: string; files: readonly Pick<FileInfo, "name">[] }): string =>
  written || files.map(({ name }) => name).join(", ");
