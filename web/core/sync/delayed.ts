// Tasks that run a little later, once for each name, so that repetitions become one.

import type { Clock } from "../ports.ts";

/** Timers by name. */
export class Delayed<Name> {
  private readonly timers = new Map<Name, () => void>();

  constructor(private readonly clock: Clock) {}

  /** Runs the task after `ms` milliseconds, counted from now. */
  restart(name: Name, ms: number, task: () => void): void {
    this.timers.get(name)?.();
    const run = (): void => {
      this.timers.delete(name);
      task();
    };
    this.timers.set(name, this.clock.after(ms, run));
  }

  /** Runs the task after `ms` milliseconds, unless one of this name is waiting already. */
  once(name: Name, ms: number, task: () => void): void {
    if (!this.timers.has(name)) this.restart(name, ms, task);
  }

  /** Cancels all tasks. */
  stop(): void {
    for (const cancel of this.timers.values()) cancel();
    this.timers.clear();
  }
}
