// A file as a stream, for what is too large to be held whole: fetched and decrypted record by record, as fast as it is taken.

import { fetchWithRetries } from "../core/actions/fetch.ts";
import { DamagedFile, FileDecryptor } from "../core/crypto/file.ts";
import type { FileInfo } from "../core/model/file.ts";
import type { SaveProgress } from "../core/model/saving.ts";
import type { Failure } from "../core/model/view.ts";
import type { Caller } from "../core/wire/call.ts";
import { isRefusedAs } from "../core/wire/refusal.ts";

/** Retries of a request: for some minutes, as browsers do not resume a failed download. */
const MAX_RETRIES = 30;

/** The failure to show for an error. */
export const endOf = (error: unknown): Failure => ({
  kind: error instanceof DamagedFile ? "fileDamaged" : isRefusedAs(error, "file_not_found") ? "fileGone" : "noAnswer",
});

/**
 * Its bytes; `onProgress` is called with the progress. Damaged records are an error of the stream, before its end; throws `DamagedFile` for
 * what no file can be.
 */
export async function streamOf(caller: Caller, file: FileInfo, onProgress: (progress: SaveProgress) => void): Promise<ReadableStream<Uint8Array>> {
  const decryptor = await FileDecryptor.of(file);
  let done = 0;
  return new ReadableStream<Uint8Array>({
    pull: async (controller) => {
      const { next } = decryptor;
      try {
        const part = await decryptor.open(await fetchWithRetries(caller, file, [next, next], MAX_RETRIES));
        if (part.length > 0) controller.enqueue(part);
        done += part.length;
      } catch (error) {
        onProgress({ ended: endOf(error) });
        throw error;
      }
      onProgress(decryptor.isDone ? { ended: null } : { done });
      if (decryptor.isDone) controller.close();
    },
    // The user has cancelled it in the browser.
    cancel: () => onProgress({ ended: null }),
  });
}
