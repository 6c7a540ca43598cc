// The dialog that is open; at most one, so that Escape always goes one step back.

import { signal } from "@preact/signals";
import type { Article, ConversationId, Invitation, Outcome } from "../core/index.ts";

/** A confirmation of something that cannot be undone; without `run`, only a message. */
export interface Question {
  title: string;
  text: string;
  /** The labels of the two buttons, as verbs. */
  yes?: string;
  no: string;
  run?: () => Promise<Outcome<unknown> | null>;
}

/** A dialog that any screen can open. */
export type Overlay =
  | { kind: "newConversation" | "newGroup" | "invite" | "palette" | "shortcuts" }
  | { kind: "members" | "color" | "keep" | "rename"; id: ConversationId }
  | { kind: "invited"; invitation: Invitation }
  | { kind: "picture"; file: string }
  | { kind: "info"; id: ConversationId; article: Article }
  | { kind: "question"; question: Question };

/** The open one. */
export const overlay = signal<Overlay | null>(null);

/** Opens a dialog, or closes the open one. */
export function show(next: Overlay | null): void {
  overlay.value = next;
}

/** Asks before something that cannot be undone. */
export const ask = (question: Question): void => show({ kind: "question", question });
