// Cards: which keys people have, pinned when first seen. A card that the previous key has not signed blocks sending until the user
// has reviewed it.

import { acceptCards, cardHash, type Card, InvalidCard, type Offer, type Owner, parseCard, type SignedCard } from "../crypto/card.ts";
import type { Known } from "../crypto/epoch.ts";
import { fromHex, hex } from "../crypto/bytes.ts";
import { rsaHash } from "../crypto/keys.ts";
import { type Followed, tagOf, UNKNOWN } from "../crypto/log.ts";
import { withKeyEvents } from "../model/key-history.ts";
import type { UserId } from "../model/ids.ts";
import type { PersonRecord, SessionRecord } from "../store/records.ts";
import { change } from "../store/store.ts";
import { cards as fetchCards } from "../wire/people.ts";
import { isSame } from "../model/equal.ts";
import type { Account } from "./account.ts";
import { isOwn, publishOwnCard } from "./own-card.ts";
import { offerKey, newPerson } from "./people.ts";
import { indexOfPin } from "./pins.ts";

/** Users that one call asks for. */
const MAX_USERS = 1000;

/** Cards of which the one that is known by its hash comes first: what follows it has to be vouched for. */
async function acceptPinned(person: PersonRecord, offered: readonly SignedCard[], owner: Owner): Promise<Offer> {
  const { pin } = person;
  if (person.cards.length > 0 || !pin) return acceptCards(person.cards.map(parseCard), offered, owner);
  const cards = offered.map(({ card }) => parseCard(card));
  const place = await indexOfPin(pin, cards);
  if (place < 0) throw new InvalidCard("the one that is pinned is not among them");
  const isNewest = place === offered.length - 1;
  // The RSA key is the newest card's: of the older ones it is not known. So anybody could claim a pinned key in a card of their own,
  // and vouch with that for the next one.
  if (!isNewest && cards[place]?.rsa === pin[0]) throw new InvalidCard("the key that is pinned is not the newest one");
  const first = await acceptCards([], offered.slice(0, place + 1), isNewest ? owner : { ...owner, publicKey: null });
  return isNewest ? { ...first, is: "same" } : acceptCards(first.cards, offered.slice(place + 1), owner);
}

/** What a person is after the server has offered cards of theirs, those after the ones that are here. */
export async function offerCards(person: PersonRecord, offered: readonly SignedCard[], server: string): Promise<PersonRecord> {
  const changed = (): PersonRecord => ({ ...person, trust: "changed" });
  const publicKey = person.offeredKey || person.publicKey;
  if (offered.length === 0) {
    const isOther = person.offeredKey !== "" && person.cards.length > 0;
    return isOther || (await lacksPinned(person)) ? changed() : person;
  }
  try {
    const { cards, is } = await acceptPinned(person, offered, { user: person.id, server, publicKey: publicKey || null });
    const next = { ...person, cards: cards.map(({ text }) => text), email: cards.at(-1)?.email ?? person.email };
    if (is === "newIdentity" || (await lacksPinned(next))) return { ...next, trust: "changed" };
    // The old keys have signed the new ones, so a verified mark stays.
    return { ...next, publicKey, offeredKey: "" };
  } catch (error) {
    if (error instanceof InvalidCard) return changed();
    throw error;
  }
}

// Another device has seen a later card, or the link of an invitation names another key: the server keeps it back.
async function lacksPinned({ pin, cards, publicKey }: PersonRecord): Promise<boolean> {
  if (!pin) return false;
  // The server discloses nothing of this person, so it withholds nothing either.
  if (cards.length === 0) return publicKey !== "" && (pin[1] > 0 || hex(await rsaHash(publicKey)) !== pin[0]);
  return (newestOf(cards)?.n ?? 0) < pin[1] || (pin[1] === 0 && (await indexOfPin(pin, cards.map(parseCard))) < 0);
}

/** The server shows a card in the user's name that somebody else made. */
export class NotOwnCard extends Error {
  constructor() {
    super("somebody else published a card in this user's name");
    this.name = "NotOwnCard";
  }
}

/** Fetches and verifies everybody's new cards. Servers of the published form have none. */
export async function compareCards(account: Account): Promise<void> {
  const { store, caller, session } = account;
  if (session.server === "") return;
  const people = await store.people();
  let isOther = false;
  for (let from = 0; from < people.length; from += MAX_USERS) {
    const page = people.slice(from, from + MAX_USERS);
    const after = page.filter(({ cards }) => cards.length > 0).map(({ id, cards }) => [id, newestOf(cards)?.n ?? 0]);
    const found = await fetchCards(caller, page.map(({ id }) => id), Object.fromEntries(after));
    await account.serial.run(async () => {
      for (const { id } of page) {
        const person = await store.person(id);
        if (!person) continue;
        const offered = found.cards.get(id) ?? [];
        const newest = offered.at(-1);
        // For the user, only cards of their own key are accepted.
        if (id === session.user && newest && session.signKey && !isOwn(newest.card, session.signKey)) throw new NotOwnCard();
        const publicKey = found.publicKeys.get(id);
        const updated = publicKey && id !== session.user ? offerKey(person, publicKey) : person;
        const next = await offerCards(updated, offered, session.server);
        if (isSame(next, person)) continue;
        await store.write(change.person(withKeyEvents(person, next, account.clock.now())));
        isOther = true;
      }
    });
  }
  if (isOther) account.notify({ list: true });
  await publishIfMissing(account);
}

// Registration was interrupted before the card was published.
async function publishIfMissing({ store, caller, session }: Account): Promise<void> {
  const me = await store.person(session.user);
  if (session.signKey && me && me.cards.length === 0) await publishOwnCard(caller, session);
}

const newestOf = (cards: readonly string[]): Card | null => {
  const last = cards.at(-1);
  return last === undefined ? null : parseCard(last);
};

/** The hash that represents somebody in a roster: of their newest card, or else of their RSA key; null if neither is known. */
export async function memberKey(person: PersonRecord): Promise<string | null> {
  const newest = person.cards.at(-1);
  if (newest !== undefined) return cardHash(newest);
  return person.publicKey === "" ? null : hex(await rsaHash(person.publicKey));
}

/** The hashes that have represented somebody in rosters, newest first: before the first card it was the RSA key. */
async function memberKeys({ cards, publicKey }: PersonRecord): Promise<string[]> {
  const [first] = cards;
  const hashes = await Promise.all([...cards].reverse().map(cardHash));
  if (first === undefined) return publicKey === "" ? [] : [hex(await rsaHash(publicKey))];
  const { n, rsa } = parseCard(first);
  return n === 1 ? [...hashes, rsa] : hashes;
}

/** The user's own `memberKey`; null while their card is not here yet. */
export async function ownKey({ store, session }: Pick<Account, "store" | "session">): Promise<string | null> {
  const me = await store.person(session.user);
  return me && (session.signKey === "" || me.cards.length > 0) ? memberKey(me) : null;
}

/** What is known of these people, to verify epochs with. The user's own key is included whatever the server says. */
async function knownOf(people: readonly PersonRecord[], session: SessionRecord): Promise<Known> {
  const keys = new Map<string, string[]>();
  const signs = new Map<string, ReturnType<Known["signKeys"]>>();
  for (const person of people) {
    keys.set(person.id, await memberKeys(person));
    signs.set(person.id, person.cards.map((card) => parseCard(card).sign));
  }
  if (session.signKey) signs.set(session.user, [...(signs.get(session.user) ?? []), fromHex(session.signKey, 32)]);
  return { signKeys: (user) => signs.get(user) ?? [], memberKeys: (user) => keys.get(user) ?? [] };
}

/**
 * What is known of everybody in the epochs of a conversation, including those who have left it. No list names them, so their cards
 * are accepted if the key log has them. For a deleted account, the log alone has the newest card.
 */
export async function knownOfAll(account: Account, users: readonly UserId[]): Promise<Known> {
  const { caller, session, store } = account;
  const people = await peopleOf(account, users);
  const there = new Set(people.map(({ id }) => id));
  const gone = users.filter((user) => !there.has(user));
  const logged = new Map<string, string>();
  const log = (await store.meta<Followed>("log")) ?? UNKNOWN;
  for (let from = 0; from < gone.length; from += MAX_USERS) {
    const page = gone.slice(from, from + MAX_USERS);
    const found = await fetchCards(caller, page, {});
    for (const id of page) {
      const newest = log.newest.get(await tagOf(session.server, id))?.card;
      const updated = { ...newPerson(id), publicKey: found.publicKeys.get(id) ?? "" };
      const person = await offerCards(updated, found.cards.get(id) ?? [], session.server);
      const last = person.cards.at(-1);
      if (last === undefined ? newest === undefined : (await cardHash(last)) === newest) people.push(person);
      else if (last === undefined && newest !== undefined) logged.set(id, newest);
    }
  }
  const known = await knownOf(people, session);
  const memberKeys = (user: string): readonly string[] => {
    const card = logged.get(user);
    return card === undefined ? known.memberKeys(user) : [card];
  };
  return { ...known, memberKeys };
}

/** The records of these users, without those who are not known. */
export async function peopleOf({ store }: Pick<Account, "store">, users: readonly UserId[]): Promise<PersonRecord[]> {
  const found = await Promise.all(users.map((user) => store.person(user)));
  return found.filter((person) => person !== undefined);
}
