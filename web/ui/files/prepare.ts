// Prepares a file for sending: re-encodes a picture, so that it has no metadata (location, camera), and makes the dimensions and the
// thumbnail that the message carries.

import type { FileMetadata } from "../../core/index.ts";
import { animated } from "./animated.ts";
import { isHeic, withoutMetadata } from "./iso.ts";
import { HEAD, pictureType, playableType, saysShown, UNKNOWN } from "./types.ts";

/** A file that is ready. */
export interface Prepared {
  blob: Blob;
  about: FileMetadata;
  tiny: string;
  /** To be shown before it is sent. */
  preview: Blob | null;
}

/** The longer side of a picture that is sent, and of the small pictures, in pixels. */
const SIDE = 2560;
const THUMBS = [64, 40, 24];
const TINY = 24;
const PREVIEW = 320;
/** Bytes of a small picture. */
const THUMB_BYTES = 4096;
const TINY_BYTES = 600;
/** A larger lossless picture is sent in a lossy format. */
const LOSSLESS_BYTES = 3 << 20;
/** How long the metadata of a video may take to load; without it there is no thumbnail. */
const FILM_MS = 5000;

/** What phones take pictures in. */
const HEIC = "image/heic";

type Drawable = ImageBitmap | HTMLVideoElement;

function drawn(source: Drawable, [w, h]: readonly [number, number], side: number): HTMLCanvasElement {
  const scale = Math.min(1, side / Math.max(w, h));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(w * scale));
  canvas.height = Math.max(1, Math.round(h * scale));
  const context = canvas.getContext("2d");
  if (context) context.imageSmoothingQuality = "high";
  context?.drawImage(source, 0, 0, canvas.width, canvas.height);
  return canvas;
}

// A browser that cannot write a type writes PNG.
const written = (canvas: HTMLCanvasElement, type: string, quality?: number): Promise<Blob> =>
  new Promise((resolve, reject) => canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("a picture could not be written"))), type, quality));

/** Whether nothing shines through it. */
function isOpaque(canvas: HTMLCanvasElement): boolean {
  const pixels = canvas.getContext("2d")?.getImageData(0, 0, canvas.width, canvas.height).data ?? [];
  for (let alpha = 3; alpha < pixels.length; alpha += 4) if (pixels[alpha] !== 255) return false;
  return true;
}

/** The type in which a picture is sent: JPEG would make black of what is transparent. */
function sentAs(type: string, canvas: HTMLCanvasElement): string {
  if (type === "image/png" || type === "image/webp") return type;
  return type === "image/jpeg" || isOpaque(canvas) ? "image/jpeg" : "image/webp";
}

async function small(source: Drawable, size: readonly [number, number], sides: readonly number[], most: number): Promise<string> {
  for (const side of sides) {
    const canvas = drawn(source, size, side);
    for (const type of ["image/webp", "image/jpeg"]) {
      const blob = await written(canvas, type, 0.6);
      if (blob.size <= most && blob.type === type) return base64Of(new Uint8Array(await blob.arrayBuffer()));
    }
  }
  return "";
}

const base64Of = (bytes: Uint8Array): string => btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));

/** The file name with the ending of its new type. */
function named(name: string, type: string): string {
  const ending = { "image/jpeg": "jpg", "image/png": "png", "image/webp": "webp" }[type];
  return ending === undefined ? name : `${name.replace(/\.[^.]*$/, "")}.${ending}`;
}

async function picture(source: File, type: string, bitmap: ImageBitmap, original: boolean): Promise<Prepared> {
  const size = [bitmap.width, bitmap.height] as const;
  // An animated picture would lose its animation.
  const kept = original ? source : await animated(source, type);
  const asIs = kept !== null;
  let blob: Blob = kept ?? source;
  let [w, h] = size;
  if (!asIs) {
    const canvas = drawn(bitmap, size, SIDE);
    [w, h] = [canvas.width, canvas.height];
    blob = await written(canvas, sentAs(type, canvas), 0.85);
    if (blob.type === "image/png" && blob.size > LOSSLESS_BYTES) {
      const lossy = await written(canvas, "image/webp", 0.9);
      if (lossy.size < blob.size) blob = lossy;
    }
  }
  const mime = asIs ? type : blob.type;
  const name = asIs ? source.name : named(source.name, mime);
  const thumb = await small(bitmap, size, THUMBS, THUMB_BYTES);
  const tiny = await small(bitmap, size, [TINY, 16], TINY_BYTES);
  const preview = await written(drawn(bitmap, size, PREVIEW), "image/webp", 0.8);
  bitmap.close();
  return { blob, about: { name, mime, w, h, ms: null, thumb, wave: "" }, tiny, preview };
}

/** A file that nothing is shown of. */
const plain = (blob: Blob, name: string, mime: string): Prepared => ({
  blob,
  about: { name, mime, w: null, h: null, ms: null, thumb: "", wave: "" },
  tiny: "",
  preview: null,
});

/** The first picture of a video, its size and how long it is. */
async function video(source: File, mime: string): Promise<Prepared> {
  const video = document.createElement("video");
  const url = URL.createObjectURL(source);
  const unseen = plain(source, source.name, mime);
  try {
    await new Promise<void>((resolve) => {
      for (const event of ["loadeddata", "error"]) video.addEventListener(event, () => resolve(), { once: true });
      setTimeout(resolve, FILM_MS);
      video.muted = true;
      video.preload = "auto";
      video.src = url;
    });
    const size = [video.videoWidth, video.videoHeight] as const;
    if (size[0] === 0) return unseen;
    const thumb = await small(video, size, THUMBS, THUMB_BYTES);
    const tiny = await small(video, size, [TINY, 16], TINY_BYTES);
    const ms = Number.isFinite(video.duration) ? Math.round(video.duration * 1000) : null;
    const about = { ...unseen.about, w: size[0], h: size[1], ms, thumb };
    return { blob: source, about, tiny, preview: await written(drawn(video, size, PREVIEW), "image/webp", 0.8) };
  } finally {
    video.removeAttribute("src");
    URL.revokeObjectURL(url);
  }
}

/** Makes a file ready; `original` leaves a picture as it is. */
export async function prepared(source: File, original: boolean): Promise<Prepared> {
  const head = new Uint8Array(await source.slice(0, HEAD).arrayBuffer());
  const type = pictureType(head) ?? (isHeic(head) ? HEIC : null);
  // Applies the EXIF orientation.
  const bitmap = type ? await createImageBitmap(source, { imageOrientation: "from-image" }).catch(() => null) : null;
  if (type && bitmap) return picture(source, type, bitmap, original);
  // This browser cannot draw it, and still nobody is to learn from it where it was taken.
  const bare = type === HEIC || type === "image/avif" ? await withoutMetadata(source) : null;
  if (type && bare) return plain(original ? source : bare, source.name, type);
  // A file with a document's type stays a document.
  const isNamed = source.type !== "" && source.type !== UNKNOWN && !saysShown(source.type);
  const played = isNamed ? null : playableType(head, source.type.startsWith("audio/"));
  if (played?.startsWith("video/")) return video(source, played);
  return plain(source, source.name, played ?? (isNamed ? source.type : UNKNOWN));
}
