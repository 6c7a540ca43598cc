// What is known of people. Their keys are pinned when they are first seen; others later on are not taken before someone
// has looked.

import type { UserId } from "../model/ids.ts";
import type { PersonRecord } from "../store/records.ts";
import type { WireConversation } from "../wire/conversation.ts";
import type { Friends } from "../wire/people.ts";

/** What the server says of people. */
export interface Told {
  list: readonly WireConversation[];
  people: Friends;
  blocked: readonly UserId[];
  me: UserId;
  /** One's own RSA key, base64. */
  ownKey: string;
}

/** Somebody of whom nothing is known but the id. */
export const stranger = (id: UserId): PersonRecord => ({
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

/** Takes a key as the server names it: the first is pinned, another one is only offered. */
export function offerKey(person: PersonRecord, publicKey: string): PersonRecord {
  if (person.publicKey === "") return { ...person, publicKey };
  // Of somebody with cards these decide (cards.ts): a renewed key is signed by the one before.
  if (person.cards.length > 0) return { ...person, offeredKey: publicKey === person.publicKey ? "" : publicKey };
  if (publicKey === person.publicKey) return { ...person, offeredKey: "", trust: person.trust === "changed" ? "seen" : person.trust };
  return { ...person, offeredKey: publicKey, trust: "changed" };
}

/** Puts together what is known and what is told; returns those who are to be written. */
export function mergePeople(known: ReadonlyMap<UserId, PersonRecord>, told: Told): PersonRecord[] {
  const friends = new Map(told.people.availabilities.map((friend) => [friend.friendid, friend]));
  const left = new Map(told.people.left.map(({ friendid, friendname }) => [friendid, friendname]));
  const blocked = new Set(told.blocked);
  const names = new Map<UserId, string>();
  for (const { participants } of told.list) for (const { userid, username } of participants) names.set(userid, username);
  const ids = new Set<UserId>([told.me, ...known.keys(), ...friends.keys(), ...left.keys(), ...blocked, ...names.keys()]);
  return [...ids].map((id) => {
    const before = known.get(id) ?? stranger(id);
    const friend = friends.get(id);
    const person: PersonRecord = {
      ...before,
      name: friend?.friendname ?? left.get(id) ?? names.get(id) ?? before.name,
      // Their changes wake nobody who has blocked them, so that what the list says would soon be old.
      availability: blocked.has(id) ? "offline" : (friend?.availability ?? "offline"),
      friend: friend !== undefined,
      ended: !friend && (before.friend || before.ended === true),
      left: !friend && left.has(id),
      alike: friend?.alike ?? false,
      blocked: blocked.has(id),
    };
    if (id === told.me) return { ...person, publicKey: told.ownKey, availability: told.people.chosen };
    return friend ? offerKey(person, friend.publickey) : person;
  });
}
