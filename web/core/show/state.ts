// The state that the screens show, and its subscribers.

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

/** The state and its subscribers. */
export class StateStore {
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
      const changes = this.pending;
      this.pending = {};
      this.isDue = false;
      for (const listener of [...this.listeners]) listener(changes);
    });
  }

  /** Calls back after each change. */
  subscribe(listener: (changes: Changes) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Resets the state after a logout. */
  reset(session: State["session"]): void {
    this.set({ ...nobody, session });
  }
}
