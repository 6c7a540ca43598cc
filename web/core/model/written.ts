// Messages that are written, and the details of stored ones.

import type { Content } from "./body.ts";
import type { FileInfo } from "./file.ts";
import type { MessageId } from "./ids.ts";

/** Somebody whom a message has reached; `at` is null if they have reported a later message only. */
export interface Reached {
  name: string;
  at: number | null;
}

/** What the information about a message says. */
export interface MessageInfo {
  at: number;
  /** Its number in the conversation, and the chain's hash at it. */
  seq: number;
  chain: string;
  /** Whether it continues what is before it; null where nothing before it is on this device. */
  fits: boolean | null;
  signed: boolean;
  delivered: readonly Reached[];
  seen: readonly Reached[];
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

/** A message before it is sealed. */
export interface Unsealed {
  id: MessageId;
  content: Content;
  /** Of an update: when its target disappears. */
  until: number | null;
  /** The number that this station gives it. */
  n: number;
}
