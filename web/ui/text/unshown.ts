// What is said in place of a message that has no text to show.

import type { Unshown } from "../../core/index.ts";
import { words } from "../i18n/words.ts";

/** The sentence; `name` is the writer's. */
export function unshown(why: Unshown, own: boolean, name: string): string {
  const w = words.value;
  if (why === "deleted") return own ? w.deletedByYou : w.deletedBy(name);
  return w[why];
}
