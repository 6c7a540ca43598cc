// Runs tasks one after the other, so that what was read is still true when it is written; or several at a time, with a limit.

import type { Exclusive } from "../ports.ts";

/** Runs tasks one after the other, in the order in which they were asked for; in one tab. */
export class Serial implements Exclusive {
  private tail: Promise<unknown> = Promise.resolve();

  /** Runs a task after all earlier ones; one that fails does not stop the next. */
  run<T>(task: () => Promise<T>): Promise<T> {
    const mine = this.tail.then(task, task);
    this.tail = mine.catch(() => undefined);
    return mine;
  }
}

/** Runs a task for each item, at most `width` at the same time; rejects with the first failure once all have ended. */
export async function forEach<T>(items: readonly T[], width: number, task: (item: T) => Promise<void>): Promise<void> {
  const rest = [...items];
  const failures: unknown[] = [];
  const work = async (): Promise<void> => {
    for (let item = rest.shift(); item !== undefined && failures.length === 0; item = rest.shift()) {
      try {
        await task(item);
      } catch (error) {
        failures.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, work));
  if (failures.length > 0) throw failures[0];
}
