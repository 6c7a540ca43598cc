// Files that were chosen and not sent yet, of all conversations. picked.ts prepares them.

import { signal } from "@preact/signals";
import type { ConversationId, FileId, FileInfo } from "../../core/index.ts";
import { loadPicked } from "../lazy.ts";
import { client } from "../state.ts";

/** One of them. */
export interface Picked {
  /** Of this page only. */
  key: number;
  /** Its id on this device. */
  id: FileId;
  /** Those with smaller ones were chosen before, by this page or an earlier one. */
  order: number;
  /** Its original name and type. */
  name: string;
  type: string;
  /** The file itself; null if it was chosen in an earlier page, so that it cannot be prepared again. */
  source: File | null;
  /** The picture to be shown of it; null if it has none. */
  url: string | null;
  /** Until it is prepared, by what it claims to be. */
  isPicture: boolean;
  /** Whether it is sent unchanged, including the location and camera in a picture's metadata. */
  original: boolean;
  /** `lost`: its page was closed before it was prepared. */
  state: "preparing" | "ready" | "failed" | "tooLarge" | "noRoom" | "lost";
  /** How large it will be. */
  size: number;
  info: FileInfo | null;
  /** A smaller small picture, where many files share one message. */
  tiny: string;
  ending: AbortController;
  /** Resolves when it is prepared, or has failed. */
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
