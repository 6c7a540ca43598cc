// Whom a text can mention after `@`: the members of a group, or the other participant of a direct conversation. Loaded when the first
// `@` is typed, as a group may have thousands.

import { useMemo } from "preact/hooks";
import type { Conversation, Person } from "../../core/index.ts";
import { client, me, people } from "../state.ts";

/** The people who can be mentioned. */
export interface Mentionable {
  /** Those that are loaded already. */
  now: readonly Person[];
  load: () => Promise<readonly Person[]>;
}

const other = (c: Conversation): readonly Person[] => {
  const person = c.other === null ? undefined : people.value.get(c.other);
  return person ? [person] : [];
};

/** Whom a text in this conversation can mention; loaded again when the member count changes. */
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
