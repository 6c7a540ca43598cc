// The composer's suggestions: people after `@`, emoji after `:`.

import type { JSX } from "preact";
import { Avatar } from "../parts/avatar.tsx";
import type { Person, UserId } from "../../core/index.ts";
import type { Mentionable } from "./mentionable.ts";
import { isWord } from "../../core/model/markdown.ts";
import { words } from "../i18n/words.ts";
import { emojiStarting, loadEmoji } from "../picker/emoji-index.ts";

/** A suggestion; `text` replaces what was typed. */
export type Suggestion = { text: string; label: string; person: Person | null };

const MAX_SUGGESTIONS = 6;

/** The user whom each `@Name` in a text refers to; among several of the same name, the one who was picked. */
export function mentionsIn(
  text: string,
  people: readonly Pick<Person, "id" | "name">[],
  picked: ReadonlyMap<string, UserId>,
): Map<string, UserId> {
  const longestFirst = people.filter((p) => p.name !== "").sort((a, b) => b.name.length - a.name.length);
  const found = new Map<string, UserId>();
  for (let at = text.indexOf("@"); at >= 0; at = text.indexOf("@", at + 1)) {
    if (isWord(text[at - 1])) continue;
    const named = longestFirst.find((p) => text.startsWith(p.name, at + 1) && !isWord(text[at + 1 + p.name.length]));
    if (named) found.set(named.name, picked.get(named.name) ?? named.id);
  }
  return found;
}

/** The suggestions for the word before the caret, and where that begins; null if there are none. */
export function suggestionsAt(
  text: string,
  caret: number,
  people: readonly Person[],
): { all: readonly Suggestion[]; at: number } | null {
  const [, typed] = /(?:^|\s)([@:][^\s@:]{1,30})$/.exec(text.slice(0, caret)) ?? [];
  if (typed === undefined) return null;
  const wanted = typed.slice(1).toLocaleLowerCase();
  const all: Suggestion[] = typed.startsWith("@")
    ? people
        .filter((p) => p.name.toLocaleLowerCase().split(/\s+/).some((word) => word.startsWith(wanted)))
        .slice(0, MAX_SUGGESTIONS)
        .map((person) => ({ text: `@${person.name} `, label: person.name, person }))
    : emojiStarting(wanted, MAX_SUGGESTIONS).map(({ emoji, name }) => ({ text: `${emoji} `, label: `${emoji} ${name}`, person: null }));
  // A name that is typed in full needs no suggestion, so that Enter sends the message.
  const isTyped = all.length === 1 && all[0]?.text.trim() === typed;
  return all.length > 0 && !isTyped ? { all, at: caret - typed.length } : null;
}

/** Loads what suggestions for this text are made of. */
export async function loadSuggestions(text: string, people: Pick<Mentionable, "load">) {
  if (text.includes("@")) await people.load();
  if (text.includes(":")) await loadEmoji();
}

/** A text with a part replaced, and the new caret position. */
export function insert(text: string, from: number, to: number, by: string): { text: string; caret: number } {
  return { text: text.slice(0, from) + by + text.slice(to), caret: from + by.length };
}

/** The list of suggestions. The focus stays in the text field. */
export function Suggestions(props: {
  id: string;
  all: readonly Suggestion[];
  chosen: number;
  onTake: (suggestion: Suggestion) => void;
}): JSX.Element {
  return (
    <div id={props.id} class="suggestions" role="listbox" aria-label={props.all[0]?.person ? words.value.members : words.value.emoji}>
      {props.all.map((one, i) => (
        <div
          key={one.label}
          id={`${props.id}-${i}`}
          role="option"
          class="suggestion"
          aria-selected={i === props.chosen}
          onPointerDown={(event) => {
            event.preventDefault();
            props.onTake(one);
          }}
        >
          {one.person && <Avatar of={{ kind: "person", id: one.person.id, name: one.person.name }} size={20} />}
          <bdi>{one.label}</bdi>
        </div>
      ))}
    </div>
  );
}
