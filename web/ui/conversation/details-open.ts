// Whether the details stand open: kept on a wide screen, where they have a column of their own; elsewhere they lie over
// the conversation, and are closed with it.

import { signal } from "@preact/signals";
import { set, settings } from "../settings.ts";

const over = signal(false);
const isWide = (): boolean => matchMedia("(width >= 80rem)").matches;

/** Whether they are open. A part that reads it is drawn anew when they are opened or closed. */
export const detailsOpen = (): boolean => (isWide() ? settings.value.details : over.value);

/** Opens or closes them. */
export function openDetails(open: boolean): void {
  if (isWide()) set({ details: open });
  else over.value = open;
}

/** Another conversation is opened: what lay over the last one is gone. */
export function closeOver(): void {
  over.value = false;
}
