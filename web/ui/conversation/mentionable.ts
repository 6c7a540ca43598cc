// Whom a text can name after `@`: the members of a group, and the other one of a direct conversation. Asked for when the
// first `@` is typed, as a group may have thousands.

import { useMemo } from "preact/hooks";
import type { Conversation, Person } from "../../core/index.ts";
import { client, me, people } from "../state.ts";

/** Those who can be named, as far as they are known. */
export interface Mentionable {
  /** Those who are here already. */
  now: readonly Person[];
  load: () => Promise<readonly Person[]>;
}

const other = (c: Conversation): readonly Person[] => {
  const person = c.other === null ? undefined : people.value.get(c.other);
  return person ? [person] : [];
};

/** Whom a text in this conversation can name; asked for anew when their number changes. */
export function useMentionable(c: Conversation): Mentionable {
  return useMemo(() => {
    let asked: Promise<readonly Person[]> | null = null;
    const found: Mentionable = {
      now: other(c),
      load: () => {
        asked ??= (async () => {
          if (c.kind === "group") found.now = (await client().members(c.id)).filter(({ id }) => id !== me.value.id);
          return found.now;
        })();
        return asked;
      },
    };
    return found;
  }, [c.id, c.memberCount]);
}
