// Whether the details panel is open: stored on a wide screen, where it has its own column; elsewhere it covers the conversation and
// closes with it.

import { signal } from "@preact/signals";
import { set, settings } from "../settings.ts";

const over = signal(false);
const isWide = (): boolean => matchMedia("(width >= 80rem)").matches;

/** Whether the panel is open; a signal, so components that read it follow. */
export const detailsOpen = (): boolean => (isWide() ? settings.value.details : over.value);

/** Opens or closes them. */
export function openDetails(open: boolean): void {
  if (isWide()) set({ details: open });
  else over.value = open;
}

/** Another conversation is opened: closes the panel that covers the last one. */
export function closeOver(): void {
  over.value = false;
}
