// srv=chatserver&api=chatfileserver: files, in encrypted records.

import { type Bytes, hex, sha256 } from "../crypto/bytes.ts";
import { RECORD } from "../crypto/file.ts";
import type { FileId } from "../model/ids.ts";
import type { Upload } from "./answers.ts";
import { type Caller, done } from "./call.ts";
import type { Where } from "./conversation.ts";
import { answer, type Decode, integer, list, Malformed } from "./decode.ts";

/** Numbers of records, from one to another, both included. */
export type Span = readonly [from: number, to: number];

const span: Decode<Span, Span> = (value, path) => {
  const [from, to, more] = list(integer)(value, path);
  if (from === undefined || to === undefined || more !== undefined || from > to) throw new Malformed(path, "a range");
  return [from, to];
};
const status = answer<Upload>()({ have: list(span) });

/** Announces a file, or asks how far it has come: which of its records are there. */
export const create = async (caller: Caller, where: Where, fileid: FileId, size: number): Promise<Span[]> =>
  (await caller.call("chatfileserver", "create", { ...where, fileid, size }, status)).have;

/** Sends records that follow each other, from this one on. Idempotent. */
export async function put(caller: Caller, fileid: FileId, record: number, bytes: Bytes): Promise<void> {
  const fields = { fileid, record, sha256: hex(await sha256(bytes)), length: bytes.length };
  await caller.callWith(bytes, "chatfileserver", "put", fields, done);
}

/** Completes the upload: from now on the file does not change. */
export const complete = (caller: Caller, fileid: FileId, digest: string): Promise<null> =>
  caller.call("chatfileserver", "complete", { fileid, digest }, done);

/** Deletes a file that no message has. */
export const remove = (caller: Caller, fileid: FileId): Promise<null> => caller.call("chatfileserver", "delete", { fileid }, done);

/** Fetches records, from one to another, or to the end of the file. */
export const fetchRecords = (caller: Caller, fileid: FileId, [from, to]: Span): Promise<Bytes> =>
  caller.fetch("chatfileserver", `file/${fileid}`, "get", { fileid }, [from * RECORD, (to + 1) * RECORD - 1]);
