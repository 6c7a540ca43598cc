// A file as a stream, for what is too large to be held whole: fetched and decrypted record by record, as fast as it is taken.

import { fetchWithRetries } from "../core/actions/fetch.ts";
import { DamagedFile, FileDecryptor } from "../core/crypto/file.ts";
import type { FileInfo } from "../core/model/file.ts";
import type { SaveProgress } from "../core/model/saving.ts";
import type { Failure } from "../core/model/view.ts";
import type { Caller } from "../core/wire/call.ts";
import { isRefusedAs } from "../core/wire/refusal.ts";

/** How often the same is asked for again: for some minutes, as a browser does not begin where a download has failed. */
const MAX_RETRIES = 30;

/** What to tell the person of an error. */
export const endOf = (error: unknown): Failure => ({
  kind: error instanceof DamagedFile ? "fileDamaged" : isRefusedAs(error, "file_not_found") ? "fileGone" : "noAnswer",
});

/**
 * Its bytes; `tell` hears how far it is. What is not the file's is an error of the stream, before its end; throws `DamagedFile` for
 * what no file can be.
 */
export async function streamOf(caller: Caller, file: FileInfo, tell: (told: SaveProgress) => void): Promise<ReadableStream<Uint8Array>> {
  const opening = await FileDecryptor.of(file);
  let done = 0;
  return new ReadableStream<Uint8Array>({
    pull: async (controller) => {
      const { next } = opening;
      try {
        const part = await opening.open(await fetchWithRetries(caller, file, [next, next], MAX_RETRIES));
        if (part.length > 0) controller.enqueue(part);
        done += part.length;
      } catch (error) {
        tell({ ended: endOf(error) });
        throw error;
      }
      tell(opening.isDone ? { ended: null } : { done });
      if (opening.isDone) controller.close();
    },
    // Whoever has the browser end it knows why.
    cancel: () => tell({ ended: null }),
  });
}
