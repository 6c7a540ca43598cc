// What was chosen to be sent and has not been sent: of each conversation, also while another one is looked at. picked.ts makes it
// ready.

import { signal } from "@preact/signals";
import type { ConversationId, FileId, FileInfo } from "../../core/index.ts";
import { loadPicked } from "../lazy.ts";
import { client } from "../state.ts";

/** One of them. */
export interface Picked {
  /** Of this page only. */
  key: number;
  /** What it lies under on this device. */
  id: FileId;
  /** Those with smaller ones were chosen before, by this page or an earlier one. */
  order: number;
  /** What it was called, and of which type it was, when it was chosen. */
  name: string;
  type: string;
  /** The file itself; null of one that an earlier page has chosen, which cannot be made ready anew. */
  source: File | null;
  /** The picture to be shown of it; null if it has none. */
  url: string | null;
  isPicture: boolean;
  /** As it is, with the place and the camera that a picture may name. */
  original: boolean;
  /** `lost`: its page went before it was ready. */
  state: "preparing" | "ready" | "failed" | "tooLarge" | "noRoom" | "lost";
  /** How large it will be. */
  size: number;
  info: FileInfo | null;
  /** A smaller small picture, where many files share one message. */
  tiny: string;
  ending: AbortController;
  /** Resolves when it is ready, or has failed. */
  done: Promise<void>;
}

/** All of them, by conversation. */
export const picked = signal<ReadonlyMap<ConversationId, readonly Picked[]>>(new Map());

/** What is chosen in a conversation. */
export const pickedIn = (id: ConversationId): readonly Picked[] => picked.value.get(id) ?? [];

/** Adds files. */
export const pick = async (id: ConversationId, files: readonly File[]): Promise<void> => (await loadPicked()).pick(id, files);

/** Shows what was chosen in a conversation before this page was loaded. */
export async function restorePicked(id: ConversationId): Promise<void> {
  const files = await client().chosenFiles(id);
  if (files.length > 0) await (await loadPicked()).restore(id);
}
