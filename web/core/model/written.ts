// What is written, and what can be said of it afterwards.

import type { FileInfo } from "./file.ts";

/** What the information about a message says. */
export interface MessageInfo {
  at: number;
  position: string;
  signed: boolean;
  delivered: readonly string[];
  seen: readonly string[];
  versions: readonly { at: number; text: string }[];
}

/** A text that is about to be sent. */
export interface Draft {
  text: string;
  /** What it replies to. */
  reply: { id: string; user: string; text: string } | null;
  /** `@Name` → user, of those whom the text names. */
  mentions: ReadonlyMap<string, string>;
  /** What is attached: each was staged before. */
  files?: readonly FileInfo[];
}
