// Downloads records of a file, and retries a few times when the server is busy or does not answer, so that a large download need
// not start over.

import { type Bytes, randomUnit } from "../crypto/bytes.ts";
import type { FileInfo } from "../model/file.ts";
import { delayMs } from "../sync/connection.ts";
import { sleep } from "../sync/sleep.ts";
import type { Caller } from "../wire/call.ts";
import { fetchRecords, type Span } from "../wire/files.ts";
import { isPassing, Refused } from "../wire/refusal.ts";

/** Retries of one request. */
const MAX_RETRIES = 3;
/** A longer `Retry-After` is not waited for: the request fails. */
const MAX_WAIT_MS = 10_000;

/** Fetches records in a row: the first, and as many more as the pace allows. Throws as `fetchRecords` does, after `retries` retries. */
export async function fetchWithRetries(caller: Caller, { id }: FileInfo, [from, to]: Span, retries = MAX_RETRIES): Promise<Bytes> {
  for (let tries = 0; ; tries++) {
    try {
      return await caller.fetching.inTurn((count) => fetchRecords(caller, id, [from, Math.min(from + count - 1, to)]));
    } catch (error) {
      const asked = error instanceof Refused ? (error.retryAfter ?? 0) * 1000 : 0;
      const wait = Math.max(Math.min(delayMs(tries, randomUnit()), MAX_WAIT_MS), asked);
      if (!isPassing(error) || tries === retries || wait > MAX_WAIT_MS) throw error;
      await sleep(caller.clock, wait);
    }
  }
}
