// What of the box is being written down. It stands in the box until it lies on the device, and whoever types fast types behind
// it, or over it.

import type { UserId } from "../../core/index.ts";
import type { Composing } from "./draft.ts";

/** A text on its way out of the box. */
export interface PendingText {
  /** As it stood in the box. */
  raw: string;
}

/** A text that is being written down: what it becomes, and who was picked from the offers. */
export interface TypedText extends PendingText {
  text: string;
  as: Composing;
  picks: ReadonlyMap<string, UserId>;
}

/** A file that goes with it is not ready, and has said so. */
export class FilesNotReady extends Error {}

/** The texts that are on their way out of one box. */
export class PendingTexts<T extends PendingText> {
  /** All of them, in order. */
  readonly waiting: T[] = [];
  /** Those that still stand in the box, at its beginning. */
  private inBox: T[] = [];

  private get length(): number {
    return this.inBox.reduce((sum, { raw }) => sum + raw.length, 0);
  }

  /** What of the box's text is not on its way. */
  rest(box: string): string {
    return box.slice(this.length);
  }

  /** Has the text behind those before it go, too. */
  add(one: T): void {
    this.waiting.push(one);
    this.inBox.push(one);
  }

  /** Something is about to be put in place of what begins here: who writes over a text writes a new one. */
  replaced(from: number): void {
    if (from < this.length) this.inBox = [];
  }

  /** The box is another one. */
  changed(box: string): void {
    if (!box.startsWith(this.inBox.map(({ raw }) => raw).join(""))) this.inBox = [];
  }

  /** The first lies on the device; returns how much of the box's beginning goes. */
  gone(): number {
    const first = this.waiting.shift();
    if (first === undefined || this.inBox[0] !== first) return 0;
    this.inBox.shift();
    return first.raw.length;
  }

  /** None could be written down: they stay. Returns what has to be put back before the box's text. */
  stay(): string {
    const lost = this.waiting.filter((one) => !this.inBox.includes(one));
    this.waiting.length = 0;
    this.inBox = [];
    return lost.map(({ raw }) => `${raw}\n`).join("");
  }
}
