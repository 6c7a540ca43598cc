// What arrives in quick succession is processed together: of many messages, each alone would cost almost as much as all of them.

import type { Clock } from "../ports.ts";
import type { Serial } from "./serial.ts";

/** After a batch the next one is gathered for this many times as long as the batch took, up to the maximum. */
const REST = 4;
const MAX_REST_MS = 250;

/** Processes items in batches, in order. One that comes alone is processed at once. */
export class Gathered<Item> {
  private waiting: Item[] = [];
  private endRest = (): void => undefined;

  constructor(
    private readonly clock: Clock,
    private readonly work: Serial,
    private readonly process: (items: readonly Item[]) => Promise<unknown>,
  ) {}

  /** Adds an item to the next batch. */
  add(item: Item): void {
    this.waiting.push(item);
    void this.work.run(() => this.next());
  }

  /** Ends the rest, and drops what has come meanwhile. */
  stop(): void {
    this.waiting = [];
    this.endRest();
  }

  private async next(): Promise<void> {
    const items = this.waiting.splice(0);
    if (items.length === 0) return;
    const begun = this.clock.now();
    await this.process(items);
    // Another tab of this browser may be visible, and waits for what this one processes.
    if (this.clock.isLate?.()) return;
    const ms = Math.min(REST * (this.clock.now() - begun), MAX_REST_MS);
    await new Promise<void>((resolve) => {
      const cancel = this.clock.after(ms, resolve);
      this.endRest = () => {
        cancel();
        resolve();
      };
    });
  }
}
