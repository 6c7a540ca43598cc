// What a file is by its first bytes: only these are ever shown as pictures, whatever a sender or a name says. And how its bytes
// are read.

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

/** Reads what is to be encrypted, part by part. */
export const sourceOf = (blob: Blob): FileSource => ({
  size: blob.size,
  read: async (from, to) => new Uint8Array(await blob.slice(from, to).arrayBuffer()),
});

/** Whether it says that it is of a type that `pictureType` knows. */
export const saysPicture = (type: string): boolean => /^image\/(?:png|jpeg|gif|webp|avif)$/.test(type);

/** Whether a file that is sent as it is may name the place and the camera: a picture of another type, or a video. */
export const mayNamePlace = ({ name, type }: Pick<File, "name" | "type">): boolean =>
  // Not every system has a name for the type of what phones take.
  type === "" ? /\.(?:hei[cf]s?|tiff?|dng|mov|mp4)$/i.test(name) : /^(?:image|video)\//.test(type) && type !== "image/svg+xml";

/** The type of what is played; null if it is neither sound nor video. */
export const playedType = (mime: string): string | null => (/^(?:audio|video)\/[\w.+-]{1,100}$/.test(mime) ? mime : null);

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
