// What the composer offers while one types: people after `@`, emoji after `:`.

import type { JSX } from "preact";
import { Avatar } from "../parts/avatar.tsx";
import type { Person, UserId } from "../../core/index.ts";
import { emojiStarting } from "../picker/emoji-index.ts";

/** One offer; `text` replaces what was typed. */
export type Suggestion = { text: string; label: string; person: Person | null };

const MOST = 6;

/** Whom `@Name` means in a text that is about to be sent. */
export function mentionsIn(text: string, people: readonly Person[]): Map<string, UserId> {
  return new Map(people.filter((p) => p.name !== "" && text.includes(`@${p.name}`)).map((p) => [p.name, p.id]));
}

/** The offers for what stands before the caret, and where it begins; null if there are none. */
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
        .slice(0, MOST)
        .map((person) => ({ text: `@${person.name} `, label: person.name, person }))
    : emojiStarting(wanted, MOST).map(({ emoji, name }) => ({ text: `${emoji} `, label: `${emoji} ${name}`, person: null }));
  return all.length > 0 ? { all, at: caret - typed.length } : null;
}

/** A text with a part replaced, and where the caret stands then. */
export function insert(text: string, from: number, to: number, by: string): { text: string; caret: number } {
  return { text: text.slice(0, from) + by + text.slice(to), caret: from + by.length };
}

/** The list of offers. The focus stays in the text. */
export function Suggestions(props: {
  id: string;
  all: readonly Suggestion[];
  chosen: number;
  onTake: (suggestion: Suggestion) => void;
}): JSX.Element {
  return (
    <div id={props.id} class="suggestions" role="listbox">
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
