// Adapts how many file records are transferred at once to the measured throughput. Kept per account, so that a retry does not start
// with what was too much.

import { RECORD } from "../crypto/file.ts";
import type { Clock } from "../ports.ts";
import { Refused, Unreachable } from "./refusal.ts";

/** Records in one request, at most. */
const MAX_RECORDS = 4;
/** After a request that takes less time, requests grow, in size and number; after a slow one there is one at a time. */
const QUICK_MS = 2000;
const SLOW_MS = 8000;

/** Requests with records, in one direction. */
export class Pace {
  private busy = 0;
  private readonly waiting: (() => void)[] = [];

  /** `count`: records in a request; `width`: requests at a time, `most` once one was quick. */
  constructor(
    private readonly clock: Clock,
    private count: number,
    private width: number,
    private readonly most: number,
  ) {}

  /** Runs a request when its turn has come: `task` gets the number of records that it may transfer, and returns their bytes. */
  async inTurn<T extends { length: number }>(task: (count: number) => Promise<T>): Promise<T> {
    while (this.busy >= this.width) await new Promise<void>((go) => this.waiting.push(go));
    this.busy += 1;
    const begun = this.clock.now();
    try {
      const { count } = this;
      const bytes = await task(count);
      this.learn(bytes.length, this.clock.now() - begun);
      return bytes;
    } catch (error) {
      if (error instanceof Unreachable || (error instanceof Refused && error.status === 408)) this.count = this.width = 1;
      throw error;
    } finally {
      this.busy -= 1;
      for (const go of this.waiting.splice(0)) go();
    }
  }

  private learn(bytes: number, took: number): void {
    // Scaled to a whole record, as a small file is quick on any connection.
    if (took * Math.max(1, RECORD / bytes) < QUICK_MS) {
      this.count = Math.min(MAX_RECORDS, this.count * 2);
      this.width = this.most;
      return;
    }
    if (took > QUICK_MS) this.count = 1;
    if (took > SLOW_MS) this.width = 1;
  }
}
