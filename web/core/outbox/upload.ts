// Uploads the files of a message before the message: the records that the server lacks, in batches whose size and number adapt to
// the connection. Files are stored encrypted, so each retry sends the same bytes, also after a reload. Runs in the leading tab only.

import { type Bytes, concat } from "../crypto/bytes.ts";
import { encryptedLength, padme, RECORD } from "../crypto/file.ts";
import type { FileInfo } from "../model/file.ts";
import type { Outgoing } from "../store/records.ts";
import type { Account } from "../sync/account.ts";
import { forEach } from "../sync/serial.ts";
import type { Where } from "../wire/conversation.ts";
import { isPassing } from "../wire/refusal.ts";
import { complete, create, put, type Span } from "../wire/files.ts";
import { waits } from "./settle.ts";

/** Files that are uploaded at the same time, and workers for each; `Pace` limits the number of requests. */
const WIDTH = 2;

/** The message was discarded meanwhile. */
export class Cancelled extends Error {
  constructor() {
    super("the message was discarded");
    this.name = "Cancelled";
  }
}

/** A file is not on this device any more: somebody has deleted the browser's data, or a part of it. */
export class FileGone extends Error {
  constructor() {
    super("a file is not here any more");
    this.name = "FileGone";
  }
}

const lengthOf = ({ size }: FileInfo): number => encryptedLength(padme(size));

/** The records that are not among those that the server has. */
function missing(records: number, have: readonly Span[]): number[] {
  const is = new Set(have.flatMap(([from, to]) => Array.from({ length: Math.min(to, records) - from + 1 }, (_, i) => from + i)));
  return Array.from({ length: records }, (_, i) => i).filter((record) => !is.has(record));
}

/** The progress of one message's files. */
class Upload {
  private done = 0;
  private readonly all: number;

  constructor(
    private readonly account: Account,
    private readonly outgoing: Outgoing,
    private readonly files: readonly FileInfo[],
    private readonly ended: AbortSignal,
  ) {
    this.all = files.reduce((sum, file) => sum + lengthOf(file), 0);
  }

  report(isStalled = false): void {
    this.account.progress(this.outgoing.id, { done: this.done, all: this.all, stalled: isStalled });
  }

  async run(where: Where): Promise<void> {
    await forEach(this.files, WIDTH, (file) => this.one(where, file));
  }

  private check(): void {
    if (this.ended.aborted) throw new Cancelled();
  }

  private async one(where: Where, file: FileInfo): Promise<void> {
    const { caller } = this.account;
    this.check();
    const left = missing(file.records, await create(caller, where, file.id, lengthOf(file)));
    const sent = lengthOf(file) - left.reduce((sum, record) => sum + this.bytesOf(file, record), 0);
    this.done += sent;
    this.report();
    await forEach(Array.from({ length: WIDTH }, (_, i) => i), WIDTH, () => this.work(file, left));
    this.check();
    await complete(caller, file.id, file.digest);
  }

  private bytesOf(file: FileInfo, record: number): number {
    return record === file.records - 1 ? lengthOf(file) - record * RECORD : RECORD;
  }

  private async work(file: FileInfo, left: number[]): Promise<void> {
    while (left.length > 0) {
      try {
        await this.account.caller.sending.inTurn((count) => this.put(file, left, count));
      } catch (error) {
        // Ends the other worker, too.
        left.length = 0;
        throw error;
      }
    }
  }

  /** Sends up to `count` of the next records; returns their bytes. */
  private async put(file: FileInfo, left: number[], count: number): Promise<Bytes> {
    this.check();
    const { store, caller } = this.account;
    const [first = 0] = left;
    const batch: number[] = [];
    while (batch.length < count && left[0] === first + batch.length) batch.push(left.shift() ?? 0);
    // The other worker may have taken the last one meanwhile.
    const parts = await Promise.all(batch.map((record) => store.fileRecord(file.id, record)));
    const bytes = concat(...parts.map((part) => {
      if (!part) throw new FileGone();
      return part;
    }));
    if (batch.length > 0) await put(caller, file.id, first, bytes);
    this.done += bytes.length;
    this.report();
    return bytes;
  }
}

/** Uploads the files of a message; throws `Cancelled` if the message is discarded, and `Refused`. */
export async function upload(account: Account, outgoing: Outgoing, files: readonly FileInfo[]): Promise<void> {
  const record = await account.store.conversation(outgoing.conversation);
  // The sealer holds the message, with the reason.
  if (!record || record.gone) return;
  const ending = new AbortController();
  const sending = new Upload(account, outgoing, files, ending.signal);
  account.uploading.set(outgoing.id, ending);
  try {
    // From here on `discard` aborts this controller.
    if (!(await waits(account, outgoing))) throw new Cancelled();
    await sending.run({ conversationid: outgoing.conversation, instance: record.instance });
    account.progress(outgoing.id, null);
  } catch (error) {
    if (!ending.signal.aborted && isPassing(error)) sending.report(true);
    else account.progress(outgoing.id, null);
    throw ending.signal.aborted ? new Cancelled() : error;
  } finally {
    account.uploading.delete(outgoing.id);
  }
}
