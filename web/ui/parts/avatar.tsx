// A picture of letters: a circle for a person, a rounded square for a group. The name stands beside it,
// so assistive technology does not hear it twice.

import type { JSX } from "preact";
import { colors, css, memoized, personColors } from "./colors.ts";
import { Icon } from "./icon.tsx";

/** What a person's dot shows; null draws none. */
export type Dot = "available" | "away" | "busy" | null;

/** Who or what an avatar stands for. */
export type AvatarOf =
  | { kind: "person"; id: string; name: string }
  | { kind: "group"; name: string; color: string }
  | { kind: "saved" };

const segments = new Intl.Segmenter(undefined, { granularity: "grapheme" });
const first = (word: string): string => segments.segment(word)[Symbol.iterator]().next().value?.segment ?? "";

// Remembered, as what segments a word takes memory of which the collector does not know.
const firstOf = memoized((word) => first(word).toLocaleUpperCase());

/** The first letters of the first and the last word; of a group, of the first word only. */
export function initials(name: string, kind: "person" | "group"): string {
  const words = name.trim().split(/\s+/);
  return firstOf(words[0] ?? "") + (words.length > 1 && kind === "person" ? firstOf(words.at(-1) ?? "") : "");
}

function shades(of: AvatarOf): Record<string, string> {
  if (of.kind === "saved") return {};
  const found = of.kind === "person" ? personColors(of.id) : colors(of.color);
  return found ? { "--avatar-ground": css(found.ground), "--avatar-letter": css(found.letter) } : {};
}

/** An avatar; without a size it takes the list's. */
export function Avatar({ of, size, dot = null }: { of: AvatarOf; size?: number; dot?: Dot }): JSX.Element {
  const style = { ...shades(of), ...(size ? { "--avatar": `${size}px` } : {}) };
  return (
    <span
      class={`avatar ${of.kind}`}
      style={style}
      data-letters={of.kind === "saved" ? undefined : initials(of.name, of.kind)}
      aria-hidden="true"
    >
      {of.kind === "saved" && <Icon name="saved" size={18} />}
      {dot && <span class={`dot ${dot}`} />}
    </span>
  );
}
