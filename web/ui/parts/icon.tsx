// One icon in the colour of the text around it. It has no name: what it stands beside has.

import type { JSX } from "preact";
import { type IconName, paths } from "./icon-paths.ts";

/** These point along the line of reading, so they turn with it. */
const mirrored: ReadonlySet<IconName> = new Set(["back", "forward", "reply", "logout"]);

const known: Partial<Record<IconName, string>> = { ...paths };

/** Adds the icons of parts that have just been loaded. */
export function addIcons(more: Partial<Record<IconName, string>>): void {
  Object.assign(known, more);
}

/** An icon of `size` pixels. */
export function Icon({ name, size = 20 }: { name: IconName; size?: number }): JSX.Element {
  return (
    <svg
      class={name === "details" ? "icon at-end" : mirrored.has(name) ? "icon mirrored" : "icon"}
      viewBox="0 0 256 256"
      width={size}
      height={size}
      aria-hidden="true"
      focusable="false"
    >
      <path d={known[name]} />
    </svg>
  );
}

/** The mark of Parlance: a pilcrow, where a new voice begins. */
export function Mark({ size }: { size: number }): JSX.Element {
  return (
    <svg class="icon" viewBox="0 0 32 32" width={size} height={size} aria-hidden="true" focusable="false">
      <path d="M11 4h15a1.5 1.5 0 0 1 0 3h-1.6v20a1.8 1.8 0 0 1-3.6 0V7h-2.6v20a1.8 1.8 0 0 1-3.6 0v-8.3H11A7.35 7.35 0 0 1 11 4z" />
    </svg>
  );
}
