// Prepares chosen files: each is encrypted onto this device at once, so that sending it is immediate.

import { effect } from "@preact/signals";
import { type ChosenFile, type ConversationId, type FileId, type FileInfo, MAX_FILES, padme, shapeOf } from "../../core/index.ts";
import { words } from "../i18n/words.ts";
import { note } from "../parts/announcer.tsx";
import { client, me } from "../state.ts";
import { type Picked, picked, pickedIn } from "./chosen.ts";
import { blobOf } from "./load.ts";
import { prepared } from "./prepare.ts";
import { saysPicture, sourceOf, thumbOf } from "./types.ts";

/** The total length of all thumbnails of a message, in base64. */
const MAX_THUMBS = 24_000;
let keys = 0;

/** Whether it is a picture whose metadata could be removed; other files are sent unchanged. */
const isImage = ({ mime }: Pick<FileInfo, "mime">): boolean => mime.startsWith("image/");

function put(id: ConversationId, all: readonly Picked[]): void {
  const next = new Map(picked.value);
  if (all.length > 0) next.set(id, all);
  else next.delete(id);
  picked.value = next;
}

const change = (id: ConversationId, key: number, to: Partial<Picked>): void =>
  put(id, pickedIn(id).map((one) => (one.key === key ? { ...one, ...to } : one)));

/** Pictures that are open at the same time: each takes as much memory as it has pixels. */
const WIDTH = 2;
let running = 0;
const queue: (() => void)[] = [];

/** The lock that a page holds while it prepares a file, by which other windows see that its page still exists. */
const lockOf = (id: FileId): string => `parlance-choosing-${id}`;

/** Prepares a file, after those that were chosen before it. If that fails, nothing of it stays on this device. */
async function makeReady(id: ConversationId, one: Picked): Promise<void> {
  const { key, order, name, type, original, ending } = one;
  let isReady = false;
  try {
    await client().keepChosen(id, { id: one.id, info: null, order, tiny: "", original, name, type });
    isReady = await inTurn(() => prepare(id, one));
  } catch (error) {
    // Else it was moved or changed since it was chosen.
    const isFull = error instanceof Error && error.name === "QuotaExceededError";
    if (!ending.signal.aborted) change(id, key, { state: isFull ? "noRoom" : "failed" });
  }
  if (!isReady || ending.signal.aborted) await client().unstage(one.id);
  else change(id, key, { state: "ready" });
}

async function inTurn<T>(task: () => Promise<T>): Promise<T> {
  if (running >= WIDTH) await new Promise<void>((begin) => queue.push(begin));
  running += 1;
  try {
    return await task();
  } finally {
    running -= 1;
    queue.shift()?.();
  }
}

/** Encrypts a file onto this device; false if it was removed, or is too large. */
async function prepare(id: ConversationId, { id: file, key, order, name, type, source, original, ending }: Picked): Promise<boolean> {
  if (!source || ending.signal.aborted) return false;
  const { blob, about, tiny, preview } = await prepared(source, original);
  if (ending.signal.aborted) return false;
  const { fileLimit } = me.value;
  // The padding counts towards the limit.
  if (fileLimit !== null && padme(blob.size) > fileLimit) {
    change(id, key, { state: "tooLarge", size: blob.size });
    return false;
  }
  const url = preview ? URL.createObjectURL(preview) : null;
  change(id, key, { url, tiny, size: blob.size, isPicture: isImage(about) });
  const info = await client().stage(sourceOf(blob), about, ending.signal, file);
  change(id, key, { info });
  // For a reload.
  await client().keepChosen(id, { id: file, info, order, tiny, original, name, type });
  return true;
}

// Asks before the page is closed, as the file would have to be chosen again.
effect(() => {
  if (![...picked.value.values()].flat().some(({ state }) => state === "preparing")) return undefined;
  const ask = (event: Event): void => event.preventDefault();
  addEventListener("beforeunload", ask);
  return () => removeEventListener("beforeunload", ask);
});

// Files that are chosen together share a millisecond.
const nextOrder = (): number => Date.now() * 1000 + (keys % 1000);

function begin(id: ConversationId, source: File, original: boolean, order: number): Picked {
  const one: Picked = {
    key: (keys += 1),
    id: crypto.randomUUID() as FileId,
    order,
    name: source.name,
    type: source.type,
    source,
    url: null,
    isPicture: saysPicture(source.type),
    original,
    state: "preparing",
    size: source.size,
    info: null,
    tiny: "",
    ending: new AbortController(),
    done: Promise.resolve(),
  };
  // After it stands in the list.
  one.done = Promise.resolve().then(() => navigator.locks.request(lockOf(one.id), () => makeReady(id, one)));
  return one;
}

/** Adds files; shows a note if they are more than a message can have. */
export function pick(id: ConversationId, files: readonly File[]): void {
  if (me.value.fileLimit === 0) return note(words.value.filesOff);
  const before = pickedIn(id);
  const room = MAX_FILES - before.length;
  if (files.length > room) note(words.value.filesMost(MAX_FILES));
  const original = before.some((one) => one.isPicture && one.original);
  put(id, [...before, ...files.slice(0, room).map((file) => begin(id, file, original, nextOrder()))]);
}

function end({ ending, url, id }: Picked, isSent: boolean): void {
  if (!isSent) ending.abort();
  if (url) URL.revokeObjectURL(url);
  if (!isSent) void client().unstage(id);
}

/** Takes one out. */
export function unpick(id: ConversationId, key: number): void {
  for (const one of pickedIn(id)) if (one.key === key) end(one, false);
  put(id, pickedIn(id).filter((one) => one.key !== key));
}

/** All pictures as they are, or without place and camera. */
export function setOriginal(id: ConversationId, original: boolean): void {
  const next = pickedIn(id).map((one) => {
    if (!one.isPicture || !one.source || one.original === original) return one;
    end(one, false);
    return begin(id, one.source, original, one.order);
  });
  put(id, next);
}

/** The preview of a prepared file: the picture as it is sent, or the thumbnail. */
async function previewOf(info: FileInfo): Promise<string | null> {
  if (shapeOf(info) !== "picture") return thumbOf(info);
  const blob = await blobOf(info, true, () => undefined);
  return blob instanceof Blob ? URL.createObjectURL(blob) : thumbOf(info);
}

/** Shows the files that an earlier page has prepared, and as lost those that it has not. */
export async function restore(id: ConversationId): Promise<void> {
  // Queried before the files, so that one that is prepared in between is not taken for lost.
  const { held = [] } = await navigator.locks.query();
  const files = await client().chosenFiles(id);
  const before = pickedIn(id);
  const isElsewhere = ({ id: file, info }: ChosenFile): boolean => !info && held.some(({ name }) => name === lockOf(file));
  const fresh = files.filter((file) => !before.some((one) => one.id === file.id) && !isElsewhere(file));
  const again = fresh.map(
    ({ info, ...rest }): Picked => ({
      ...rest,
      key: (keys += 1),
      source: null,
      url: null,
      isPicture: info ? isImage(info) : saysPicture(rest.type),
      state: info ? "ready" : "lost",
      size: info?.size ?? 0,
      info,
      ending: new AbortController(),
      done: Promise.resolve(),
    }),
  );
  put(id, [...again, ...before]);
  for (const { key, info, ending } of again) {
    const url = info && (await previewOf(info));
    if (!ending.signal.aborted) change(id, key, { url });
  }
}

// Drops files that another window has sent or removed; resolves to whether there were any.
async function dropGone(id: ConversationId): Promise<boolean> {
  const here = new Set((await client().chosenFiles(id)).map((file) => file.id));
  const isGone = (one: Picked): boolean => one.info !== null && !here.has(one.id);
  const gone = pickedIn(id).filter(isGone);
  // If they are on their way, their bytes are still needed.
  for (const one of gone) end(one, true);
  if (gone.length > 0) put(id, pickedIn(id).filter((one) => !isGone(one)));
  return gone.length > 0;
}

/** Waits until all files are prepared, and returns them; null if one has failed. */
export async function readyFiles(id: ConversationId): Promise<FileInfo[] | null> {
  // One that is chosen meanwhile is waited for, too.
  for (let all = pickedIn(id); all.some(({ state }) => state === "preparing"); all = pickedIn(id)) await Promise.all(all.map(({ done }) => done));
  if (await dropGone(id)) {
    // The message is not sent without a file that was meant to be part of it, unless the user sends again.
    note(words.value.fileNotHere);
    return null;
  }
  const all = pickedIn(id);
  if (all.some(({ state }) => state !== "ready")) {
    note(words.value.removeUnsent);
    return null;
  }
  const isTight = all.reduce((sum, { info }) => sum + (info?.thumb.length ?? 0), 0) > MAX_THUMBS;
  return all.flatMap(({ info, tiny }) => (info ? [isTight ? { ...info, thumb: tiny } : info] : []));
}

/** They were sent, so they are no longer chosen. */
export function sent(id: ConversationId, files: readonly FileInfo[]): void {
  const ids = new Set(files.map((file) => file.id));
  for (const one of pickedIn(id)) if (ids.has(one.id)) end(one, true);
  put(id, pickedIn(id).filter((one) => !ids.has(one.id)));
}
