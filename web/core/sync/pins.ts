// What a vault keeps beside the keys: pins of contacts' cards, and heads of conversations. With them a new device need not trust on
// first use, and notices an older transcript.

import { base64 } from "../crypto/bytes.ts";
import { type Card, cardHash, parseCard } from "../crypto/card.ts";
import { type Contents, MAX_RSAKEY, type VaultPin } from "../crypto/vault.ts";
import type { UserId } from "../model/ids.ts";
import type { Trust } from "../model/view.ts";
import type { ConversationRecord, PersonRecord } from "../store/records.ts";

type Pins = Contents["pins"];
type Heads = Contents["heads"];

/** Characters that a vault has for its box's text, of those that a server keeps: it is written in base64 twice. */
const MAX_BOX = Math.floor(((MAX_RSAKEY * 3) / 4 - 512) * 0.75) - 64;
/** Two thirds of what is left beside the keys are for pins, the rest is for heads. */
const PINS_SHARE = 2 / 3;

// For the same card, a comparison wins; and a device that has only seen it first does not remove the doubt of another one.
const rank: Record<Trust, number> = { seen: 0, changed: 1, verified: 2 };
const better = (one: Trust, other: Trust): Trust => (rank[one] >= rank[other] ? one : other);

/** A person's pin; null of somebody without a card. */
async function pinOf({ cards, trust, pin }: PersonRecord): Promise<VaultPin | null> {
  const newest = cards.at(-1);
  if (newest === undefined) return pin && pin[1] > 0 ? pin : null;
  return [await cardHash(newest), parseCard(newest).n, trust];
}

/** The pins of all other users. */
export async function pinsOf(people: readonly PersonRecord[], me: UserId): Promise<Pins> {
  const found: [string, VaultPin][] = [];
  for (const person of people) {
    const pin = person.id === me ? null : await pinOf(person);
    if (pin) found.push([person.id, pin]);
  }
  return Object.fromEntries(found);
}

/** The heads of conversations, those first in which something was said last; without those whose transcript does not fit. */
export const headsOf = (records: readonly ConversationRecord[]): Heads =>
  Object.fromEntries(
    [...records]
      .sort((one, other) => other.wire.lastaccess - one.wire.lastaccess)
      .flatMap(({ wire, head, broken }) => (head && broken === null ? [[wire.id, [head.seq, head.chain]] as const] : [])),
  );

/** Merges the pins of two devices: a later card counts, and of the same card a comparison, then a doubt. */
export function mergePins(here: Pins, there: Pins): Pins {
  const all: Record<string, VaultPin> = { ...there };
  for (const [user, pin] of Object.entries(here)) {
    const other = all[user];
    const isSame = other?.[0] === pin[0];
    if (!other || pin[1] > other[1] || (pin[1] === other[1] && !isSame)) all[user] = pin;
    else if (isSame) all[user] = [pin[0], pin[1], better(pin[2], other[2])];
  }
  return all;
}

/** Merges the heads of two devices. */
export function mergeHeads(here: Heads, there: Heads): Heads {
  const older = Object.entries(there).filter(([id, [seq]]) => (here[id]?.[0] ?? 0) < seq);
  return { ...here, ...Object.fromEntries(older) };
}

function firstThatFit<T>(entries: readonly (readonly [string, T])[], room: number): Record<string, T> {
  const found: [string, T][] = [];
  let left = room;
  for (const [name, value] of entries) {
    // A comma in place of the two braces.
    left -= JSON.stringify({ [name]: value }).length - 1;
    if (left < 0) break;
    found.push([name, value]);
  }
  return Object.fromEntries(found);
}

/** The pins and heads that fit into a vault beside the keys; contacts that were reviewed come first. */
export function fit(keys: Contents["keys"], pins: Pins, heads: Heads): { pins: Pins; heads: Heads } {
  const lengths = [keys.rsa, keys.seed, ...(keys.earlier ?? [])].map((key) => base64(key).length + 3);
  const room = MAX_BOX - lengths.reduce((sum, length) => sum + length) - 80;
  const isSeen = ([, [, , mark]]: [string, VaultPin]): number => Number(mark === "seen");
  const byMark = Object.entries(pins).sort((one, other) => isSeen(one) - isSeen(other) || (one[0] < other[0] ? -1 : 1));
  const fitting = firstThatFit(byMark, room * PINS_SHARE);
  return { pins: fitting, heads: firstThatFit(Object.entries(heads), room - JSON.stringify(fitting).length) };
}

/** Whether a pin is of this card, or, where there is none, of this RSA key. The link of an invitation may name either. */
const isOf = (pin: VaultPin, card: Card, hash: string): boolean => pin[0] === hash || (pin[1] === 0 && pin[0] === card.rsa);

/** Where the pinned card stands among these, oldest first; -1 if it is not there. */
export async function indexOfPin(pin: VaultPin, cards: readonly Card[]): Promise<number> {
  const hashes = await Promise.all(cards.map(({ text }) => cardHash(text)));
  return cards.findIndex((card, i) => isOf(pin, card, hashes[i] ?? ""));
}

/** Adopts what another device, or the link of an invitation, says about a person's newest card. */
export async function takePin(person: PersonRecord, pin: VaultPin): Promise<PersonRecord> {
  const newest = person.cards.at(-1);
  if (newest === undefined) {
    const isDoubted = person.trust === "changed" && pin[2] === "seen";
    return { ...person, pin, trust: isDoubted ? "changed" : pin[2] };
  }
  const card = parseCard(newest);
  // What this device has seen or accepted stays, and a doubt, too, unless somebody has compared this very card.
  if (isOf(pin, card, await cardHash(newest))) return { ...person, pin, trust: pin[2] === "verified" ? "verified" : person.trust };
  // The same number, and another card: the two devices were shown different ones.
  if (card.n === pin[1]) return { ...person, pin, trust: "changed" };
  return card.n > pin[1] ? person : { ...person, pin };
}
