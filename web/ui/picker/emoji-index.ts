// The emoji by name, loaded once when first wanted. What was used lately is kept on this device.

import { signal } from "@preact/signals";

/** One emoji. */
export interface Emoji {
  emoji: string;
  name: string;
}
/** A group of Unicode's. */
export interface EmojiGroup {
  key: "smileys" | "people" | "nature" | "food" | "travel" | "activities" | "objects" | "symbols" | "flags";
  all: readonly Emoji[];
}

/** All groups; empty until `loadEmoji` has ended. */
export const emojiGroups = signal<readonly EmojiGroup[]>([]);

let loading: Promise<void> | null = null;

/** Loads them; once. */
export async function loadEmoji(): Promise<void> {
  loading ??= import("./emoji-data.ts").then(({ groups }) => {
    emojiGroups.value = groups.map(({ key, list }) => ({
      key,
      all: list.split("|").map((one) => {
        const space = one.indexOf(" ");
        return { emoji: one.slice(0, space), name: one.slice(space + 1) };
      }),
    }));
  });
  await loading;
}

/** The form that Unicode's names have of a verb: "smiling" for "smile". */
const participle = (word: string): string => `${word.replace(/e$/, "")}ing`;

/** Emoji in whose name a word begins with `text`, or with what somebody does who does that; at most `most`. */
export function emojiStarting(text: string, most: number): Emoji[] {
  void loadEmoji();
  const wanted = text.toLocaleLowerCase().replaceAll("_", " ");
  const doing = participle(wanted);
  const begin: Emoji[] = [];
  const inside: Emoji[] = [];
  for (const group of emojiGroups.value) {
    for (const one of group.all) {
      if (one.name === wanted) begin.unshift(one);
      else if (one.name.startsWith(wanted) || one.name.startsWith(doing)) begin.push(one);
      else if (one.name.includes(` ${wanted}`) || one.name.includes(` ${doing}`)) inside.push(one);
    }
  }
  return [...begin, ...inside].slice(0, most);
}

const KEY = "parlance.emoji";
const MAX_RECENT = 16;

/** What was used lately, newest first. */
export function recentEmoji(): string[] {
  const kept = localStorage.getItem(KEY);
  return kept ? kept.split(" ") : ["👍", "❤️", "😂", "🎉", "😮", "🙏", "👏", "✅"];
}

/** Stores that an emoji was used. */
export function rememberEmoji(emoji: string): void {
  const all = [emoji, ...recentEmoji().filter((one) => one !== emoji)].slice(0, MAX_RECENT);
  localStorage.setItem(KEY, all.join(" "));
}
