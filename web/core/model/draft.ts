// A draft as it is stored on the device: a text, and the message that it replies to or edits.

import type { FileInfo } from "./file.ts";
import { type FileId, type MessageId, messageId, type UserId, userId } from "./ids.ts";

/** A message that a draft is about. */
export interface DraftTarget {
  kind: "reply" | "edit";
  id: MessageId;
  user: UserId;
  name: string;
  /** What it says. */
  text: string;
  /** `@Name` → user. */
  mentions: ReadonlyMap<string, UserId>;
  /** Of an edit: what it is to say; the draft's own text is what was begun before. */
  edited: string;
}

/** A draft. */
export interface KeptDraft {
  text: string;
  target: DraftTarget | null;
}

/** A file that was chosen to go with what is written next, and lies on this device ready to be sent. */
export interface ChosenFile {
  id: FileId;
  /** Null until it is ready: if its page goes before, it never will be. */
  info: FileInfo | null;
  /** Those with smaller ones were chosen before. */
  order: number;
  /** A smaller small picture, where many files share one message. */
  tiny: string;
  /** As it is, with the place and the camera that a picture may name. */
  original: boolean;
  /** What it was called, and of which type it was, before it was made ready. */
  name: string;
  type: string;
}

// A plain text is a draft without a target, as older clients wrote it; nobody types this character.
const MARK = "\u0000";

/** Writes a draft; empty if there is nothing to keep. */
export function writeDraft({ text, target }: KeptDraft): string {
  return target ? MARK + JSON.stringify({ text, target: { ...target, mentions: [...target.mentions] } }) : text;
}

/** Reads it. */
export function readDraft(stored: string): KeptDraft {
  if (!stored.startsWith(MARK)) return { text: stored, target: null };
  const { text, target } = JSON.parse(stored.slice(MARK.length)) as { text: string; target: Omit<DraftTarget, "mentions"> & { mentions: [string, string][] } };
  const mentions = new Map(target.mentions.map(([name, user]) => [name, userId(user)] as const));
  return { text, target: { ...target, id: messageId(target.id), user: userId(target.user), mentions } };
}
