// All emoji by group, with a search. Tab goes from the search to the emoji and out again; the arrows walk among them.

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { words } from "../i18n/words.ts";
import { type Emoji, emojiGroups, emojiStarting, loadEmoji, recentEmoji, rememberEmoji } from "./emoji-index.ts";

const MAX_FOUND = 64;

function Grid(props: { label: string; all: readonly Emoji[]; first: boolean; onTake: (emoji: string) => void }): JSX.Element {
  return (
    <section class="emoji-group" aria-label={props.label}>
      <div class="emoji-title" aria-hidden="true">{props.label}</div>
      <div class="emoji-grid">
        {props.all.map(({ emoji, name }, i) => (
          <button key={emoji} type="button" tabIndex={props.first && i === 0 ? 0 : -1} aria-label={name} title={name} onClick={() => props.onTake(emoji)}>
            {emoji}
          </button>
        ))}
      </div>
    </section>
  );
}

/** Of the row after or before that of `all[now]`, the one that stands nearest to it; groups end with rows that are not full. */
function inNextRow(all: readonly HTMLElement[], now: number, by: 1 | -1): HTMLElement | undefined {
  const from = all[now]?.getBoundingClientRect();
  let [best, row] = [undefined as HTMLElement | undefined, Number.NaN];
  let nearest = Number.POSITIVE_INFINITY;
  for (let i = now + by; from && i >= 0 && i < all.length; i += by) {
    const box = all[i]?.getBoundingClientRect();
    if (!box || Math.abs(box.top - from.top) < 1) continue;
    if (Number.isNaN(row)) row = box.top;
    if (Math.abs(box.top - row) > 1) break;
    if (Math.abs(box.left - from.left) >= nearest) continue;
    nearest = Math.abs(box.left - from.left);
    best = all[i];
  }
  return best;
}

function walk(event: KeyboardEvent): void {
  const box = event.currentTarget as HTMLElement;
  const all = [...box.querySelectorAll<HTMLElement>(".emoji-grid button")];
  const now = all.indexOf(document.activeElement as HTMLElement);
  const forward = getComputedStyle(box).direction === "rtl" ? "ArrowLeft" : "ArrowRight";
  let to: HTMLElement | undefined;
  if (now < 0) {
    if (event.key !== "ArrowDown") return;
    to = all[0];
  } else if (event.key === "ArrowDown") to = inNextRow(all, now, 1);
  else if (event.key === "ArrowUp") to = inNextRow(all, now, -1) ?? box.querySelector("input") ?? undefined;
  else if (event.key === "ArrowLeft" || event.key === "ArrowRight") to = all[now + (event.key === forward ? 1 : -1)];
  else return;
  event.preventDefault();
  to?.focus();
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
  const found = text ? emojiStarting(text, MAX_FOUND) : null;
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
          <Grid label={found.length > 0 ? w.emoji : w.nothingFound(text)} all={found} first onTake={take} />
        ) : (
          <>
            <Grid label={w.recent} all={recent} first onTake={take} />
            {groups.map((group) => (
              <Grid key={group.key} label={w.emojiGroups[group.key]} all={group.all} first={false} onTake={take} />
            ))}
          </>
        )}
      </div>
    </div>
  );
}
