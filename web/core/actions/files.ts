// Files of messages: encrypted onto this device before anything is sent, and read from here or from the server.

import { base64, type Bytes, hex, random, sha256 } from "../crypto/bytes.ts";
import { DamagedFile, digestOf, encryptedLength, fileKey, FileDecryptor, padme, PLAIN, RECORD, recordsOf, sealRecord } from "../crypto/file.ts";
import type { ChosenFile } from "../model/draft.ts";
import { type FileInfo, type FileSource, shapeOf } from "../model/file.ts";
import { type ConversationId, type FileId, fileId } from "../model/ids.ts";
import type { FileMetadata, Outcome } from "../model/view.ts";
import { MAX_PICTURE_BYTES, evictPictures } from "../outbox/files.ts";
import type { Change } from "../store/backend.ts";
import { box, unbox } from "../store/box.ts";
import { change } from "../store/store.ts";
import type { Open } from "./context.ts";
import { fetchWithRetries } from "./fetch.ts";
import { attempt, failed } from "./outcome.ts";

/** Records of one request: 1 MiB. */
const BATCH = 4;

/** Encrypts a file onto this device, record by record; rejects if it cannot be read, or there is no room. */
export async function stage({ account }: Open, source: FileSource, about: FileMetadata, ended?: AbortSignal, id = fileId(crypto.randomUUID())): Promise<FileInfo> {
  const { store, clock } = account;
  const raw = random(32);
  const key = await fileKey(raw);
  const padded = padme(source.size);
  const records = recordsOf(padded);
  const hashes: Bytes[] = [];
  // The record of its choice stays.
  await store.writeOwn(change.file({ ...(await store.file(id)), id, state: "staged", at: clock.now(), bytes: encryptedLength(padded) }));
  try {
    for (let n = 0; n < records; n++) {
      if (ended?.aborted) throw new Error("the file was removed");
      const plain = new Uint8Array(Math.min(PLAIN, padded - n * PLAIN));
      const from = n * PLAIN;
      if (from < source.size) plain.set(await source.read(from, Math.min(from + PLAIN, source.size)));
      const sealed = await sealRecord(key, n, n === records - 1, plain);
      hashes.push(await sha256(sealed));
      await store.writeOwn(change.fileRecord(id, n, sealed));
    }
  } catch (error) {
    await store.writeOwn(...change.forgetFile(id));
    throw error;
  }
  return { id, size: source.size, records, key: base64(raw), digest: hex(await digestOf(hashes)), ...about };
}

/** Deletes a staged file that will not be sent. */
export const unstage = ({ account }: Open, id: FileId): Promise<void> => account.store.writeOwn(...change.forgetFile(id));

/** Remembers that a file goes with what is written next in a conversation: when it is chosen, and when it is staged. */
export async function keepChosen({ account }: Open, conversation: ConversationId, file: ChosenFile): Promise<void> {
  const { store, session, clock } = account;
  const { id, info } = file;
  const boxed = await box(session.box, JSON.stringify(file));
  const held = info ? await store.file(id) : { id, state: "staged" as const, at: clock.now(), bytes: 0 };
  if (held?.state === "staged") await store.writeOwn(change.file({ ...held, chosen: { conversation, box: boxed } }));
}

/** The files that were chosen in a conversation and not sent, in their order: also of a page that is gone. */
export async function chosenFiles({ account }: Open, conversation: ConversationId): Promise<ChosenFile[]> {
  const { store, session } = account;
  const here = (await store.files()).filter(({ chosen }) => chosen?.conversation === conversation);
  // Older clients wrote the id only as a part of the rest.
  const opened = here.map(async ({ id, chosen }) => (chosen ? [{ ...(JSON.parse(await unbox(session.box, chosen.box)) as ChosenFile), id }] : []));
  return (await Promise.all(opened)).flat().sort((one, other) => one.order - other.order);
}

/** The changes that turn chosen files into files of a message. */
export async function clearChosen({ account: { store } }: Open, files: readonly FileInfo[]): Promise<Change[]> {
  const held = await Promise.all(files.map(({ id }) => store.file(id)));
  return held.flatMap((file) => {
    if (!file?.chosen) return [];
    const { chosen: _, ...rest } = file;
    return [change.file(rest)];
  });
}

/** Reads a file, part by part, each checked before it is handed on; behind those whose `hashes` are handed in. */
export async function readFile(open: Open, file: FileInfo, take: (part: Bytes) => void | Promise<void>, hashes: Bytes[]): Promise<Outcome> {
  try {
    return await attempt(async () => {
      await readInto(open, file, take, hashes);
      return null;
    });
  } catch (error) {
    if (error instanceof DamagedFile) return failed({ kind: "fileDamaged" });
    throw error;
  }
}

async function readInto(open: Open, file: FileInfo, take: (part: Bytes) => void | Promise<void>, hashes: Bytes[]): Promise<void> {
  const { records, size, id } = file;
  const decryptor = await FileDecryptor.of(file, hashes);
  const keeps = decryptor.next === 0 && shapeOf(file) === "picture" && size <= MAX_PICTURE_BYTES;
  const held = await open.account.store.file(id);
  const fresh: Bytes[] = [];
  while (!decryptor.isDone) {
    const from = decryptor.next;
    for (const sealed of await sealedRecords(open, file, from, Math.min(from + BATCH, records) - 1, held !== undefined)) {
      if (keeps && !held) fresh.push(sealed);
      await take(await decryptor.open(sealed));
    }
  }
  await keep(open, file, fresh, held?.state);
}

/** Consecutive records, at least one: from this device, or from the server. */
async function sealedRecords({ account }: Open, file: FileInfo, from: number, to: number, isHere: boolean): Promise<Bytes[]> {
  if (isHere) {
    const found = await Promise.all(Array.from({ length: to - from + 1 }, (_, i) => account.store.fileRecord(file.id, from + i)));
    if (found.every((one): one is Bytes => one !== undefined)) return found;
  }
  const bytes = await fetchWithRetries(account.caller, file, [from, to]);
  const parts: Bytes[] = [];
  for (let at = 0; at < bytes.length; at += RECORD) parts.push(bytes.subarray(at, at + RECORD));
  return parts;
}

/** Caches a picture that was viewed, or marks it as recently viewed. */
async function keep({ account }: Open, { id }: FileInfo, fresh: readonly Bytes[], state: "staged" | "kept" | undefined): Promise<void> {
  const { store, clock } = account;
  const bytes = fresh.reduce((sum, one) => sum + one.length, 0);
  if (state === "kept") {
    const held = await store.file(id);
    if (held) await store.writeOwn(change.file({ ...held, at: clock.now() }));
  } else if (state === undefined && fresh.length > 0) {
    const changes = fresh.map((one, n) => change.fileRecord(id, n, one.slice()));
    await store.writeOwn(change.file({ id, state: "kept", at: clock.now(), bytes }), ...changes);
    await evictPictures(account);
  }
}
