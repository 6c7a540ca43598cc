// The bytes of files as addresses that elements can show. What nobody looks at any more is let go when there is too much.
// Nothing ever navigates to such an address: it would be a page of ours.

import { effect, type ReadonlySignal, type Signal, signal, untracked } from "@preact/signals";
import { useEffect, useMemo, useState } from "preact/hooks";
import { type Failure, type FileInfo, shapeOf } from "../../core/index.ts";
import { client, connection, forgotten } from "../state.ts";
import { HEAD, pictureType, playedType, UNKNOWN } from "./types.ts";

/** How far a file is. */
export type Loaded = { kind: "waiting"; done: number } | { kind: "here"; url: string } | { kind: "failed"; failure: Failure };

/** How many are fetched at the same time. */
const WIDTH = 3;
/** What is kept for another look: bytes. */
const KEPT = 96 << 20;
/** Parts are put together when there is so much of them, as a browser keeps what it has as a blob outside of the page's memory. */
const PART = 8 << 20;

/** A file that is shown somewhere, or was. */
export interface Entry {
  file: FileInfo;
  shown: Signal<Loaded>;
  /** Somebody has wanted it. */
  begun: boolean;
  users: number;
  at: number;
}

const entries = new Map<string, Entry>();
let running = 0;
const queue: Entry[] = [];

/** Whether another try may help. */
const mayPass = ({ kind }: Failure): boolean => kind === "noAnswer" || kind === "tooMany";

/** What is here of a file. */
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

/** What the next try goes on with, by what a file's bytes are. */
const unfinished = new Map<string, Reading>();
const bytesOf = ({ key, digest }: FileInfo): string => key + digest;

/** Reads a file whole, for an element of its shape or to be saved; `onPart` hears how much is here. */
export async function blobOf(file: FileInfo, isShown: boolean, onPart: (done: number) => void): Promise<Blob | Failure> {
  const bytes = bytesOf(file);
  const reading = unfinished.get(bytes) ?? new Reading();
  // Nobody else goes on with the same.
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

/** As what it is shown, by its first bytes; null if these are not of its shape. */
function typeOf(file: FileInfo, head: Uint8Array): string | null {
  const shape = shapeOf(file);
  return shape === "picture" ? pictureType(head) : playedType(head, shape !== "video");
}

async function load(entry: Entry): Promise<void> {
  const { file, shown } = entry;
  running += 1;
  try {
    const found = await blobOf(file, true, (done) => {
      shown.value = { kind: "waiting", done };
    });
    // It was forgotten meanwhile.
    if (!entry.begun) return;
    shown.value = found instanceof Blob ? { kind: "here", url: URL.createObjectURL(found) } : { kind: "failed", failure: found };
  } catch (error) {
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
  entry.shown.value = { kind: "waiting", done: 0 };
  queue.push(entry);
  next();
}

const mayCome = ({ shown: { value } }: Entry): boolean => value.kind === "failed" && mayPass(value.failure);

/** Tries again what had no answer, as far as somebody looks at it. */
function tryAgain(): void {
  for (const entry of entries.values()) if (entry.users > 0 && mayCome(entry)) begin(entry);
}
effect(() => {
  // Once with each connection, not with each file that fails.
  if (connection.value.kind === "live") untracked(tryAgain);
});

/** Forgets what is held of a file. */
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

/** A file's entry, also one that nobody wants yet: whoever draws it a second time looks at the same. */
export function entryOf(file: FileInfo): Entry {
  const entry = entries.get(file.id) ?? { file, shown: signal<Loaded>({ kind: "waiting", done: 0 }), begun: false, users: 0, at: 0 };
  entries.set(file.id, entry);
  return entry;
}

/** Somebody looks at it from now on; answers what says that they do not any more. */
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

/** Fetches it once more, if it failed: somebody asks for it. */
export function again(entry: Entry): void {
  if (entry.shown.value.kind === "failed") begin(entry);
}

/** Fetches a file while it is wanted, for as long as the part is drawn. */
export function useFile(file: FileInfo, wanted: boolean): ReadonlySignal<Loaded> {
  const entry = useMemo(() => entryOf(file), [file.id]);
  useEffect(() => (wanted ? look(entry) : undefined), [file.id, wanted]);
  return entry.shown;
}

/** A file that is fetched when `press` is called, and again when it is called after a failure. */
export function useOnPress(file: FileInfo): { loaded: Loaded; wanted: boolean; press: () => void } {
  const [wanted, setWanted] = useState(false);
  const loaded = useFile(file, wanted).value;
  const press = (): void => {
    if (wanted) again(entryOf(file));
    else setWanted(true);
  };
  return { loaded, wanted, press };
}
