// People as they are shown.

import type { UserId } from "../model/ids.ts";
import type { ChosenPresence, Person, Presence } from "../model/view.ts";
import type { PersonRecord } from "../store/records.ts";

const presences = new Set<string>(["available", "away", "busy", "offline"]);

/** A state of presence; one that is not known counts as offline. */
export const presenceOf = (text: string): Presence => (presences.has(text) ? (text as Presence) : "offline");

/** What the current user chose; available where nothing is known. */
export const chosenOf = (text: string | undefined): ChosenPresence =>
  text === "away" || text === "busy" || text === "invisible" ? text : "available";

/** Somebody. */
export const showPerson = (of: PersonRecord): Person => ({
  id: of.id,
  name: of.name || of.email || of.id.slice(0, 8),
  email: of.email,
  presence: presenceOf(of.availability),
  trust: of.trust,
  blocked: of.blocked,
  friend: of.friend,
  left: of.left ?? false,
  alike: of.alike ?? false,
});

/** What people are called. */
export class Names {
  constructor(
    private readonly people: ReadonlyMap<UserId, PersonRecord>,
    private readonly me: { user: UserId; name: string },
  ) {}

  /** A name, or the beginning of the id of somebody who is not known. */
  of = (user: UserId): string => {
    if (user === this.me.user) return this.me.name;
    const person = this.people.get(user);
    return person?.name || person?.email || user.slice(0, 8);
  };
}
