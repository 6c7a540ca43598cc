// All emoji by group, with a search. Arrow keys walk the grid.

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { words } from "../i18n/words.ts";
import { type Emoji, emojiGroups, emojiStarting, loadEmoji, recentEmoji, rememberEmoji } from "./emoji-index.ts";

const COLUMNS = 8;
const MOST_FOUND = 64;

function Grid(props: { label: string; all: readonly Emoji[]; onTake: (emoji: string) => void }): JSX.Element {
  return (
    <section class="emoji-group" aria-label={props.label}>
      <div class="emoji-title" aria-hidden="true">{props.label}</div>
      <div class="emoji-grid">
        {props.all.map(({ emoji, name }) => (
          <button key={emoji} type="button" aria-label={name} title={name} onClick={() => props.onTake(emoji)}>
            {emoji}
          </button>
        ))}
      </div>
    </section>
  );
}

function walk(event: KeyboardEvent): void {
  const box = event.currentTarget as HTMLElement;
  const rtl = getComputedStyle(box).direction === "rtl" ? -1 : 1;
  const by = { ArrowRight: rtl, ArrowLeft: -rtl, ArrowDown: COLUMNS, ArrowUp: -COLUMNS }[event.key];
  if (by === undefined) return;
  const all = [...box.querySelectorAll<HTMLElement>(".emoji-grid button")];
  const now = all.indexOf(document.activeElement as HTMLElement);
  if (now < 0 && by < COLUMNS) return;
  event.preventDefault();
  if (now + by < 0) box.querySelector("input")?.focus();
  else all[Math.min(all.length - 1, now < 0 ? 0 : now + by)]?.focus();
}

/** The picker. */
export function EmojiPicker({ onTake }: { onTake: (emoji: string) => void }): JSX.Element {
  const w = words.value;
  const [text, setText] = useState("");
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    void loadEmoji();
    field.current?.focus();
  }, []);
  const take = (emoji: string): void => {
    rememberEmoji(emoji);
    onTake(emoji);
  };
  const groups = emojiGroups.value;
  const names = new Map(groups.flatMap((group) => group.all.map((one) => [one.emoji, one.name])));
  const recent = recentEmoji().map((emoji) => ({ emoji, name: names.get(emoji) ?? emoji }));
  const found = text ? emojiStarting(text, MOST_FOUND) : null;
  return (
    <div class="emoji-picker" onKeyDown={walk}>
      <input
        ref={field}
        type="text"
        aria-label={w.searchEmoji}
        placeholder={w.searchEmoji}
        autoComplete="off"
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
        onKeyDown={(event) => {
          const first = found?.[0];
          if (event.key === "Enter" && first) take(first.emoji);
        }}
      />
      <div class="emoji-scroll">
        {found ? (
          <Grid label={found.length > 0 ? w.emoji : w.nothingFound(text)} all={found} onTake={take} />
        ) : (
          <>
            <Grid label={w.recent} all={recent} onTake={take} />
            {groups.map((group) => (
              <Grid key={group.key} label={w.emojiGroups[group.key]} all={group.all} onTake={take} />
            ))}
          </>
        )}
      </div>
    </div>
  );
}
