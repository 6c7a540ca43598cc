// Sent texts that are not stored yet. They stay in the text field until they are, and a fast typist may type behind or over them.

import type { UserId } from "../../core/index.ts";
import type { Composing } from "./draft.ts";

/** A sent text that is not stored yet. */
export interface PendingText {
  /** As it is in the text field. */
  raw: string;
}

/** A pending text with what it becomes, and the users who were picked from the suggestions. */
export interface TypedText extends PendingText {
  text: string;
  as: Composing;
  picks: ReadonlyMap<string, UserId>;
}

/** A file of the message is not ready, which the strip shows. */
export class FilesNotReady extends Error {}

/** The pending texts of one text field. */
export class PendingTexts<T extends PendingText> {
  /** All of them, in order. */
  readonly waiting: T[] = [];
  /** Those that are still in the text field, at its beginning. */
  private inBox: T[] = [];

  private get length(): number {
    return this.inBox.reduce((sum, { raw }) => sum + raw.length, 0);
  }

  /** The part of the field's text that is not pending. */
  rest(box: string): string {
    return box.slice(this.length);
  }

  /** Adds the text behind the pending ones. */
  add(one: T): void {
    this.waiting.push(one);
    this.inBox.push(one);
  }

  /** The user is about to replace text from here on: pending texts behind it are no longer in the field. */
  replaced(from: number): void {
    if (from < this.length) this.inBox = [];
  }

  /** The text field now belongs to another conversation. */
  changed(box: string): void {
    if (!box.startsWith(this.inBox.map(({ raw }) => raw).join(""))) this.inBox = [];
  }

  /** The first one is stored; returns how many characters to remove at the field's beginning. */
  gone(): number {
    const first = this.waiting.shift();
    if (first === undefined || this.inBox[0] !== first) return 0;
    this.inBox.shift();
    return first.raw.length;
  }

  /** Storing failed: returns the texts to be put back before the field's text. */
  stay(): string {
    const lost = this.waiting.filter((one) => !this.inBox.includes(one));
    this.waiting.length = 0;
    this.inBox = [];
    return lost.map(({ raw }) => `${raw}\n`).join("");
  }
}
