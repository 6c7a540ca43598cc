// Wraps secrets for others: a new one for a new conversation, or the present one for somebody who joins.

import type { Bytes } from "../crypto/bytes.ts";
import { namesKey, parseCard } from "../crypto/card.ts";
import { wrapSecret } from "../crypto/keys.ts";
import type { UserId } from "../model/ids.ts";
import type { PersonRecord } from "../store/records.ts";
import type { Account } from "./account.ts";

/** Nothing can be encrypted for these users: their key is not known, or has changed and was not reviewed. */
export class NoKey extends Error {
  constructor(readonly users: readonly UserId[]) {
    super("there is no key to encrypt for somebody");
    this.name = "NoKey";
  }
}

// The server names the RSA key, so it is used only if the newest card, which the user signs, names the same.
async function canWrapFor(person: PersonRecord | undefined): Promise<boolean> {
  if (!person?.publicKey || person.trust === "changed") return false;
  const newest = person.cards.at(-1);
  return newest === undefined || namesKey(parseCard(newest), person.publicKey);
}

/** A secret, wrapped for each of these users and for the own one; throws `NoKey`. */
export async function wrapFor(account: Account, secret: Bytes, users: readonly UserId[]): Promise<Record<string, string>> {
  const { store, session } = account;
  const people = await Promise.all(users.map((user) => store.person(user)));
  const isUsable = await Promise.all(people.map(canWrapFor));
  const missing = users.filter((_, i) => !isUsable[i]);
  if (missing.length > 0) throw new NoKey(missing);
  const keys: [string, string][] = [[session.user, session.publicKey]];
  for (const person of people) if (person) keys.push([person.id, person.publicKey]);
  const wrapped = keys.map(async ([user, key]) => [user, await wrapSecret(secret, key)] as const);
  return Object.fromEntries(await Promise.all(wrapped));
}
