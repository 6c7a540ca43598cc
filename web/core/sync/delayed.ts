// What is done a little later, once for each name: so that much of the same becomes one.

import type { Clock } from "../ports.ts";

/** Timers by name. */
export class Delayed<Name> {
  private readonly timers = new Map<Name, () => void>();

  constructor(private readonly clock: Clock) {}

  /** Does it after so many ms, counted from now. */
  restart(name: Name, ms: number, task: () => void): void {
    this.timers.get(name)?.();
    const run = (): void => {
      this.timers.delete(name);
      task();
    };
    this.timers.set(name, this.clock.after(ms, run));
  }

  /** Does it after so many ms, unless it is to be done already. */
  once(name: Name, ms: number, task: () => void): void {
    if (!this.timers.has(name)) this.restart(name, ms, task);
  }

  /** Nothing is done any more. */
  stop(): void {
    for (const cancel of this.timers.values()) cancel();
    this.timers.clear();
  }
}
