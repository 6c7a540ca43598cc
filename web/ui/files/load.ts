// The bytes of files as addresses that elements can show. What nobody looks at any more is let go when there is too much.
// Nothing ever navigates to such an address: it would be a page of ours.

import { effect, type ReadonlySignal, type Signal, signal, untracked } from "@preact/signals";
import { useEffect, useMemo, useState } from "preact/hooks";
import { type Failure, type FileInfo, shapeOf } from "../../core/index.ts";
import { client, connection } from "../state.ts";
import { pictureType, playedType } from "./types.ts";

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

/** Reads a file whole; `onPart` hears how much is here. */
export async function blobOf(file: FileInfo, type: string | null, onPart?: (done: number) => void): Promise<Blob | Failure> {
  const whole: Blob[] = [];
  let parts: Uint8Array<ArrayBuffer>[] = [];
  let [done, held] = [0, 0];
  const join = (): void => {
    if (parts.length > 0) whole.push(new Blob(parts));
    [parts, held] = [[], 0];
  };
  let isPicture = true;
  const outcome = await client().readFile(file, (part) => {
    if (done === 0 && type === "image") isPicture = (type = pictureType(part)) !== null;
    parts.push(part);
    done += part.length;
    held += part.length;
    if (held > PART) join();
    onPart?.(done);
  });
  if (!outcome.ok) return outcome.failure;
  if (!isPicture) return { kind: "fileDamaged" };
  join();
  return new Blob(whole, { type: type ?? "application/octet-stream" });
}

async function load({ file, shown }: Entry): Promise<void> {
  running += 1;
  try {
    const type = shapeOf(file) === "picture" ? "image" : playedType(file.mime);
    const found = await blobOf(file, type, (done) => {
      shown.value = { kind: "waiting", done };
    });
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
    void load(entry);
  }
}

function begin(entry: Entry): void {
  entry.begun = true;
  entry.shown.value = { kind: "waiting", done: 0 };
  queue.push(entry);
  next();
}

/** Whether another try may help. */
const mayCome = ({ shown }: Entry): boolean => {
  const { value } = shown;
  return value.kind === "failed" && (value.failure.kind === "noAnswer" || value.failure.kind === "tooMany");
};

/** Tries again what had no answer, as far as somebody looks at it. */
function tryAgain(): void {
  for (const entry of entries.values()) if (entry.users > 0 && mayCome(entry)) begin(entry);
}
effect(() => {
  // Once with each connection, not with each file that fails.
  if (connection.value.kind === "live") untracked(tryAgain);
});

function letGo(): void {
  let room = KEPT;
  for (const [id, entry] of [...entries].sort(([, one], [, other]) => other.at - one.at)) {
    const { file, shown, users, begun } = entry;
    if (begun) room -= file.size;
    const { value } = shown;
    if (room >= 0 || users > 0 || !begun || value.kind === "waiting") continue;
    if (value.kind === "here") URL.revokeObjectURL(value.url);
    entries.delete(id);
    entry.begun = false;
    entry.shown.value = { kind: "waiting", done: 0 };
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
    letGo();
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
