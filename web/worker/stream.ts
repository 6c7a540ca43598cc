// A file as a stream, for what is too large to be held whole: fetched and decrypted record by record, as fast as it is taken.

import { fetchPatiently } from "../core/actions/fetch.ts";
import { Opening } from "../core/crypto/file.ts";
import type { FileInfo } from "../core/model/file.ts";
import type { Caller } from "../core/wire/call.ts";

/** Its bytes. What is not the file's is an error of the stream, before its end; throws `DamagedFile` for what no file can be. */
export async function streamOf(caller: Caller, file: FileInfo): Promise<ReadableStream<Uint8Array>> {
  const opening = await Opening.of(file);
  return new ReadableStream<Uint8Array>({
    pull: async (controller) => {
      const { next } = opening;
      const part = await opening.open(await fetchPatiently(caller, file, [next, next]));
      if (part.length > 0) controller.enqueue(part);
      if (opening.isDone) controller.close();
    },
  });
}
