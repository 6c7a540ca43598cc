// The user's own card: published once; it follows the last card of an earlier account with the same address.

import { fromBase64, fromHex, hex } from "../crypto/bytes.ts";
import { cardHash, makeCard, parseCard, type SignedCard } from "../crypto/card.ts";
import type { UserKeys } from "../crypto/keys.ts";
import { ENTRY_LENGTH, tagOf } from "../crypto/log.ts";
import type { UserId } from "../model/ids.ts";
import type { Caller } from "../wire/call.ts";
import { cards, keyLog, publishCard } from "../wire/people.ts";

/** The signer of a card. */
export interface Signing {
  user: UserId;
  email: string;
  server: string;
  keys: UserKeys;
  publicKey: string;
  /** In hex. */
  signKey: string;
}

/** The card that the next one follows; null if there is none. */
export type Before = { n: number; hash: string } | null;

// `signer` is the previous signing key. It is null if the previous keys were somebody else's, or are lost.
async function sign({ email, server, keys, publicKey, signKey }: Signing, before: Before, signer: CryptoKey | null = null): Promise<SignedCard> {
  if (!keys.sign) throw new Error("this account does not sign");
  const after = before && { ...before, signer };
  return makeCard({ email, server, publicKey, signKey: fromHex(signKey, 32), rsaSigner: keys.rsaSign, signer: keys.sign, before: after });
}

/** The first card of an account; `before` is that of an earlier account, or of lost keys. */
export const firstCard = (of: Signing, before: Before = null): Promise<SignedCard> => sign(of, before);

/** The newest card of the user's address in the key log, the only place that has cards of deleted accounts. */
async function lastLogged(caller: Caller, { server, user }: Signing): Promise<Before> {
  const tag = await tagOf(server, user);
  let last: Before = null;
  for (let after = 0; ; ) {
    const page = await keyLog(caller, after);
    const bytes = fromBase64(page.entries);
    for (let at = 0; at + ENTRY_LENGTH <= bytes.length; at += ENTRY_LENGTH) {
      const entry = bytes.slice(at, at + ENTRY_LENGTH);
      const n = Number(new DataView(entry.buffer).getBigUint64(32));
      if (hex(entry.slice(0, 32)) === tag) last = { n, hash: hex(entry.slice(40)) };
    }
    after += bytes.length / ENTRY_LENGTH;
    if (!page.hasmore || bytes.length === 0) return last;
  }
}

/** Whether a card has this signing key. */
export const isOwn = (card: string, signKey: string): boolean => hex(parseCard(card).sign) === signKey;

/** The user's next card; null if their present key is published already. */
export async function signNextCard(caller: Caller, of: Signing): Promise<SignedCard | null> {
  const newest = (await cards(caller, [of.user], {})).cards.get(of.user)?.at(-1);
  if (newest && isOwn(newest.card, of.signKey)) return null;
  return sign(of, newest ? { n: parseCard(newest.card).n, hash: await cardHash(newest.card) } : await lastLogged(caller, of));
}

/** The card of new keys, signed by the previous ones; null if the newest published card is not of the previous ones. */
export async function signRenewedCard(caller: Caller, before: Pick<Signing, "user" | "keys" | "signKey">, of: Signing): Promise<SignedCard | null> {
  const newest = (await cards(caller, [of.user], {})).cards.get(of.user)?.at(-1);
  if (!newest || !isOwn(newest.card, before.signKey)) return null;
  return sign(of, { n: parseCard(newest.card).n, hash: await cardHash(newest.card) }, before.keys.sign);
}

/** Publishes the user's card, unless it is published already. */
export async function publishOwnCard(caller: Caller, of: Signing): Promise<void> {
  const card = await signNextCard(caller, of);
  if (card) await publishCard(caller, card);
}
