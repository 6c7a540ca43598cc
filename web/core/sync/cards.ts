// Cards: which keys people have, pinned when they are first seen. A card that nobody vouches for stops sending until
// somebody has looked.

import { acceptCards, cardHash, type Card, InvalidCard, parseCard, type SignedCard } from "../crypto/card.ts";
import type { Known } from "../crypto/epoch.ts";
import { fromHex, hex } from "../crypto/bytes.ts";
import { rsaHash } from "../crypto/keys.ts";
import { noted } from "../model/key-history.ts";
import type { UserId } from "../model/ids.ts";
import { change, type PersonRecord, type SessionRecord } from "../store/store.ts";
import { cards as fetchCards } from "../wire/people.ts";
import type { Account } from "./account.ts";

/** Users that one call asks for. */
const MAX_USERS = 1000;

/** What a person is after the server has offered cards of theirs. */
export async function offerCards(person: PersonRecord, offered: readonly SignedCard[], server: string): Promise<PersonRecord> {
  const changed = (): PersonRecord => ({ ...person, trust: "changed" });
  if (offered.length === 0) return person.offeredKey && person.cards.length > 0 ? changed() : person;
  const pinned = person.cards.map(parseCard);
  const publicKey = person.offeredKey || person.publicKey;
  try {
    const { cards, is } = await acceptCards(pinned, offered, { user: person.id, server, publicKey: publicKey || null });
    const next = { ...person, cards: cards.map(({ text }) => text), email: cards.at(-1)?.email ?? person.email };
    if (is === "newIdentity") return { ...next, trust: "changed" };
    // Who had the old keys vouches for the new ones: a verified mark stays.
    return { ...next, publicKey, offeredKey: "" };
  } catch (error) {
    if (error instanceof InvalidCard) return changed();
    throw error;
  }
}

/** Asks for everybody's cards, and takes what is new. Servers of the published form have none. */
export async function compareCards(account: Account): Promise<void> {
  const { store, caller, session } = account;
  if (session.server === "") return;
  const people = await store.people();
  for (let from = 0; from < people.length; from += MAX_USERS) {
    const page = people.slice(from, from + MAX_USERS);
    const after = page.filter(({ cards }) => cards.length > 0).map(({ id, cards }) => [id, newestOf(cards)?.n ?? 0]);
    const found = await fetchCards(caller, page.map(({ id }) => id), Object.fromEntries(after));
    await account.serial.run(async () => {
      for (const { id } of page) {
        const person = await store.person(id);
        const offered = found.get(id) ?? [];
        if (!person || (offered.length === 0 && person.offeredKey === "")) continue;
        const next = await offerCards(person, offered, session.server);
        await store.write(change.person(noted(person, next, account.clock.now())));
      }
    });
  }
}

const newestOf = (cards: readonly string[]): Card | null => {
  const last = cards.at(-1);
  return last === undefined ? null : parseCard(last);
};

/** What stands for somebody in a roster: their newest card, or their RSA key, in hex; null if neither is known. */
export async function memberKey(person: PersonRecord): Promise<string | null> {
  const newest = person.cards.at(-1);
  if (newest !== undefined) return cardHash(newest);
  return person.publicKey === "" ? null : hex(await rsaHash(person.publicKey));
}

/** What is known of these people, to check epochs with. One's own key counts, whatever the server says of it. */
export async function knownOf(people: readonly PersonRecord[], session: SessionRecord): Promise<Known> {
  const keys = new Map<string, string>();
  const signs = new Map<string, ReturnType<Known["signKeys"]>>();
  for (const person of people) {
    const key = await memberKey(person);
    if (key !== null) keys.set(person.id, key);
    signs.set(person.id, person.cards.map((card) => parseCard(card).sign));
  }
  if (session.signKey) signs.set(session.user, [...(signs.get(session.user) ?? []), fromHex(session.signKey, 32)]);
  return { signKeys: (user) => signs.get(user) ?? [], memberKey: (user) => keys.get(user) ?? null };
}

/** The records of these users, without those who are not known. */
export async function peopleOf({ store }: Pick<Account, "store">, users: readonly UserId[]): Promise<PersonRecord[]> {
  const found = await Promise.all(users.map((user) => store.person(user)));
  return found.filter((person) => person !== undefined);
}
