// A hint beside a person's name, where the name alone is ambiguous.

import type { JSX } from "preact";
import type { Person } from "../../core/index.ts";
import { words } from "../i18n/words.ts";

/** How much of an id tells two people apart at a glance; the details show all of it. */
const SHOWN = 8;

type Of = Pick<Person, "id" | "left" | "alike"> | undefined;

/** "Account deleted"; or, for a name that looks like another one, the beginning of the id; else empty. */
export const nameHint = (of: Of): string => (of?.left ? words.value.accountDeleted : of?.alike ? of.id.slice(0, SHOWN) : "");

/** The hint; `unspoken` hides it from screen readers, where it is part of another text. */
export function NameHint({ of, unspoken = false }: { of: Of; unspoken?: boolean }): JSX.Element | null {
  const text = nameHint(of);
  if (text === "") return null;
  return (
    <small class="name-hint" title={of?.alike ? words.value.alike : ""} aria-hidden={unspoken}>
      {text}
    </small>
  );
}

/** The whole id of somebody whose name looks like another one, and why it is shown. */
export const IdOf = ({ user }: { user: string }): JSX.Element => (
  <span class="id-of">
    {words.value.alike} <code>{user}</code>
  </span>
);
