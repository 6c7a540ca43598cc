// Notices that a socket is dead although nothing has closed it: it is silent, and a ping is not answered.

import type { Clock } from "../ports.ts";

/** Silence after which the socket is pinged, and how long the answer may take. */
const SILENCE_MS = 40_000;
const ANSWER_MS = 10_000;
/** The same after a hint that the socket may be dead. */
const HINTED_ANSWER_MS = 4000;

/** The silence of one socket at a time. */
export class Silence {
  private cancel = (): void => undefined;
  private isHinted = false;

  constructor(
    private readonly clock: Clock,
    private readonly ping: () => void,
    private readonly onDead: () => void,
  ) {}

  /** A socket was made, or something was received. */
  heard(): void {
    this.stop();
    this.cancel = this.clock.after(SILENCE_MS, () => this.ask(ANSWER_MS));
  }

  /** The socket may be dead. The first of several hints counts: a later one does not give it more time. */
  hint(): void {
    if (this.isHinted) return;
    this.stop();
    this.isHinted = true;
    this.ask(HINTED_ANSWER_MS);
  }

  /** The socket is gone. */
  stop(): void {
    this.cancel();
    this.isHinted = false;
  }

  private ask(answerMs: number): void {
    this.cancel = this.clock.after(answerMs, this.onDead);
    this.ping();
  }
}
