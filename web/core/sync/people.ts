// The known people. Their keys are pinned when first seen; different ones are not accepted before the user has reviewed
// them.

import type { UserId } from "../model/ids.ts";
import type { PersonRecord } from "../store/records.ts";
import type { WireConversation } from "../wire/conversation.ts";
import type { Friends } from "../wire/people.ts";

/** The server's data about people. */
export interface ServerView {
  list: readonly WireConversation[];
  people: Friends;
  blocked: readonly UserId[];
  me: UserId;
  /** The user's own RSA key, base64. */
  ownKey: string;
}

/** A person of whom only the id is known. */
export const newPerson = (id: UserId): PersonRecord => ({
  id,
  name: "",
  email: "",
  publicKey: "",
  offeredKey: "",
  availability: "offline",
  friend: false,
  blocked: false,
  cards: [],
  pin: null,
  trust: "seen",
});

/** Takes the key that the server names: the first is pinned, a different one is only noted as offered. */
export function offerKey(person: PersonRecord, publicKey: string): PersonRecord {
  if (person.publicKey === "") return { ...person, publicKey };
  // For a person with cards, the cards decide (cards.ts): a renewed key is signed by the previous one.
  if (person.cards.length > 0) return { ...person, offeredKey: publicKey === person.publicKey ? "" : publicKey };
  if (publicKey === person.publicKey) return { ...person, offeredKey: "", trust: person.trust === "changed" ? "seen" : person.trust };
  return { ...person, offeredKey: publicKey, trust: "changed" };
}

/** Merges what the server says into what is known; returns the records to be written. */
export function mergePeople(known: ReadonlyMap<UserId, PersonRecord>, snapshot: ServerView): PersonRecord[] {
  const friends = new Map(snapshot.people.availabilities.map((friend) => [friend.friendid, friend]));
  const left = new Map(snapshot.people.left.map(({ friendid, friendname }) => [friendid, friendname]));
  const blocked = new Set(snapshot.blocked);
  const names = new Map<UserId, string>();
  for (const { participants } of snapshot.list) for (const { userid, username } of participants) names.set(userid, username);
  const ids = new Set<UserId>([snapshot.me, ...known.keys(), ...friends.keys(), ...left.keys(), ...blocked, ...names.keys()]);
  return [...ids].map((id) => {
    const before = known.get(id) ?? newPerson(id);
    const friend = friends.get(id);
    const person: PersonRecord = {
      ...before,
      name: friend?.friendname ?? left.get(id) ?? names.get(id) ?? before.name,
      // The server does not announce changes of blocked users, so the listed value would soon be stale.
      availability: blocked.has(id) ? "offline" : (friend?.availability ?? "offline"),
      friend: friend !== undefined,
      ended: !friend && (before.friend || before.ended === true),
      left: !friend && left.has(id),
      alike: friend?.alike ?? false,
      blocked: blocked.has(id),
    };
    if (id === snapshot.me) return { ...person, publicKey: snapshot.ownKey, availability: snapshot.people.chosen };
    return friend ? offerKey(person, friend.publickey) : person;
  });
}
