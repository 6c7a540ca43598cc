// The state that the screens show, and who hears of its changes.

import type { Changes, State } from "../api.ts";

const nobody: State = {
  session: { kind: "starting" },
  conversations: [],
  people: new Map(),
  presence: "available",
  requests: [],
  log: null,
  writing: new Map(),
  connection: { kind: "connecting" },
  waiting: 0,
  firstSync: null,
  clockOff: 0,
  newDevices: [],
  alarm: [],
  uploads: new Map(),
  forgotten: new Set(),
};

/** The state, and who listens to it. */
export class Shown {
  state: State = nobody;
  private readonly listeners = new Set<(changes: Changes) => void>();
  private pending: Changes = {};
  private isDue = false;

  /** Changes what is shown; listeners hear of it once for all that changes at the same time. */
  set(changes: Changes): void {
    this.state = { ...this.state, ...changes };
    this.pending = { ...this.pending, ...changes };
    if (this.isDue) return;
    this.isDue = true;
    queueMicrotask(() => {
      const told = this.pending;
      this.pending = {};
      this.isDue = false;
      for (const listener of [...this.listeners]) listener(told);
    });
  }

  /** Calls back after each change. */
  subscribe(listener: (changes: Changes) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Nobody is logged in any more. */
  reset(session: State["session"]): void {
    this.set({ ...nobody, session });
  }
}
