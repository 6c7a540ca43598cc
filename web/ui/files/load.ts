// Files as object URLs for elements. Those that are not shown any more are evicted when they take too much memory. Nothing may ever
// navigate to such a URL: the file would run as a page of this origin.

import { effect, type ReadonlySignal, type Signal, signal, untracked } from "@preact/signals";
import { useEffect, useMemo, useState } from "preact/hooks";
import { type Failure, type FileInfo, shapeOf } from "../../core/index.ts";
import { client, connection, forgotten } from "../state.ts";
import { HEAD, pictureType, playableType, UNKNOWN } from "./types.ts";

/** How far a file is. */
export type Loaded = { kind: "waiting"; done: number } | { kind: "here"; url: string } | { kind: "failed"; failure: Failure };

/** How many are fetched at the same time. */
const WIDTH = 3;
/** Bytes of files that are cached after they were shown. */
const KEPT = 96 << 20;
/** Parts of this many bytes are combined into a blob, which browsers keep outside of the page's memory. */
const PART = 8 << 20;

/** A file that is shown somewhere, or was. */
export interface Entry {
  file: FileInfo;
  shown: Signal<Loaded>;
  /** Whether a component has asked for it; and how often it was begun, as a download that was stopped ends with its next part. */
  begun: boolean;
  turn: number;
  users: number;
  at: number;
}

const entries = new Map<string, Entry>();
let running = 0;
const queue: Entry[] = [];

/** Whether another try may help. */
const mayPass = ({ kind }: Failure): boolean => kind === "noAnswer" || kind === "tooMany";

/** The parts of a file that are loaded. */
class Reading {
  private readonly whole: Blob[] = [];
  private parts: Uint8Array<ArrayBuffer>[] = [];
  private held = 0;
  readonly hashes: Uint8Array<ArrayBuffer>[] = [];
  head = new Uint8Array(0);
  done = 0;

  take(part: Uint8Array<ArrayBuffer>): void {
    if (this.done === 0) this.head = part.slice(0, HEAD);
    this.parts.push(part);
    this.done += part.length;
    this.held += part.length;
    if (this.held > PART) this.join();
  }

  private join(): void {
    if (this.held > 0) this.whole.push(new Blob(this.parts));
    [this.parts, this.held] = [[], 0];
  }

  blob(type: string): Blob {
    this.join();
    return new Blob(this.whole, { type });
  }
}

/** Interrupted downloads that the next try resumes, by key and digest. */
const unfinished = new Map<string, Reading>();
const bytesOf = ({ key, digest }: FileInfo): string => key + digest;

/** Reads a whole file, for an element of its shape or to be saved; `onPart` is called with the progress. */
export async function blobOf(file: FileInfo, isShown: boolean, onPart: (done: number) => void): Promise<Blob | Failure> {
  const bytes = bytesOf(file);
  const reading = unfinished.get(bytes) ?? new Reading();
  // Taken out, so that nobody else resumes the same download.
  unfinished.delete(bytes);
  const take = (part: Uint8Array<ArrayBuffer>): void => {
    reading.take(part);
    onPart(reading.done);
  };
  const outcome = await client().readFile(file, take, reading.hashes);
  if (!outcome.ok) {
    if (mayPass(outcome.failure)) unfinished.set(bytes, reading);
    return outcome.failure;
  }
  const type = isShown ? typeOf(file, reading.head) : UNKNOWN;
  return type === null ? { kind: "otherType" } : reading.blob(type);
}

/** Its type by its first bytes; null if that does not match its shape. */
function typeOf(file: FileInfo, head: Uint8Array): string | null {
  const shape = shapeOf(file);
  return shape === "picture" ? pictureType(head) : playableType(head, shape !== "video");
}

/** Nobody wants it any more. */
class Stopped extends Error {}

async function load(entry: Entry): Promise<void> {
  const { file, shown, turn } = entry;
  const isWanted = (): boolean => entry.begun && entry.turn === turn;
  running += 1;
  try {
    const found = await blobOf(file, true, (done) => {
      if (!isWanted()) throw new Stopped();
      shown.value = { kind: "waiting", done };
    });
    if (!isWanted()) return;
    shown.value = found instanceof Blob ? { kind: "here", url: URL.createObjectURL(found) } : { kind: "failed", failure: found };
  } catch (error) {
    if (error instanceof Stopped) return;
    shown.value = { kind: "failed", failure: { kind: "noAnswer" } };
    throw error;
  } finally {
    running -= 1;
    next();
  }
}

function next(): void {
  while (running < WIDTH) {
    // The one that was wanted last: it is what is on the screen.
    const entry = queue.pop();
    if (!entry) return;
    if (entry.begun) void load(entry);
  }
}

function begin(entry: Entry): void {
  entry.begun = true;
  entry.turn += 1;
  entry.shown.value = { kind: "waiting", done: 0 };
  queue.push(entry);
  next();
}

const mayCome = ({ shown: { value } }: Entry): boolean => value.kind === "failed" && mayPass(value.failure);

/** Retries failed downloads of files that are being shown. */
function tryAgain(): void {
  for (const entry of entries.values()) if (entry.users > 0 && mayCome(entry)) begin(entry);
}
effect(() => {
  // Once per connection, not once per failed file.
  if (connection.value.kind === "live") untracked(tryAgain);
});

/** Drops a file from the cache. */
function drop(entry: Entry): void {
  const { file, shown } = entry;
  if (shown.value.kind === "here") URL.revokeObjectURL(shown.value.url);
  entries.delete(file.id);
  unfinished.delete(bytesOf(file));
  entry.begun = false;
  shown.value = { kind: "waiting", done: 0 };
}
let dropped: ReadonlySet<string> = new Set();
effect(() => {
  // Each once: after a backup was restored, the same file may be there again.
  const fresh = [...forgotten.value].filter((id) => !dropped.has(id));
  dropped = forgotten.value;
  for (const id of fresh) {
    const entry = entries.get(id);
    if (entry) untracked(() => drop(entry));
  }
});

function evict(): void {
  let room = KEPT;
  for (const entry of [...entries.values()].sort((one, other) => other.at - one.at)) {
    const { file, shown, users, begun } = entry;
    if (begun) room -= file.size;
    if (room < 0 && users === 0 && begun && shown.value.kind !== "waiting") drop(entry);
  }
}

/** The entry of a file, shared by all components that show it. */
export function entryOf(file: FileInfo): Entry {
  const entry = entries.get(file.id) ?? { file, shown: signal<Loaded>({ kind: "waiting", done: 0 }), begun: false, turn: 0, users: 0, at: 0 };
  entries.set(file.id, entry);
  return entry;
}

/** Marks it as being shown; returns a function that ends this. */
export function look(entry: Entry): () => void {
  entries.set(entry.file.id, entry);
  if (!entry.begun || mayCome(entry)) begin(entry);
  entry.users += 1;
  entry.at = performance.now();
  return () => {
    entry.users -= 1;
    evict();
  };
}

/** Retries a failed download. */
export function again(entry: Entry): void {
  if (entry.shown.value.kind === "failed") begin(entry);
}

/** Stops a download that only one component wants. */
function stop(entry: Entry): void {
  if (entry.shown.value.kind === "waiting" && entry.users === 1) drop(entry);
}

/** Fetches a file while it is wanted and the component is mounted. */
export function useFile(file: FileInfo, wanted: boolean): ReadonlySignal<Loaded> {
  const entry = useMemo(() => entryOf(file), [file.id]);
  useEffect(() => (wanted ? look(entry) : undefined), [file.id, wanted]);
  return entry.shown;
}

/** A file that is fetched when `press` is called, and again when it is called after a failure; while it is on its way, `press` stops that. */
export function useOnPress(file: FileInfo): { loaded: Loaded; loading: boolean; press: (event: { detail: number }) => void } {
  const [wanted, setWanted] = useState(false);
  const { value } = useFile(file, wanted);
  // One that was played before is still here: it is not played again by itself.
  const loaded: Loaded = wanted ? value : { kind: "waiting", done: 0 };
  const loading = wanted && loaded.kind === "waiting";
  const press = ({ detail }: { detail: number }): void => {
    // The second click of a double one.
    if (loading && detail > 1) return;
    if (loading) stop(entryOf(file));
    else if (wanted) again(entryOf(file));
    setWanted(!loading);
  };
  return { loaded, loading, press };
}
