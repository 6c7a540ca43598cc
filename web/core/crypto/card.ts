// A card (docs/e2ee.md, Card): which keys a user has on a server. Others pin its hash.

import { base64, type Bytes, concat, fromBase64, fromHex, hex, sha256, utf8 } from "./bytes.ts";
import { canonical, type JsonObject, NotCanonical, readCanonical } from "./canonical.ts";
import { isSignKey, label, rsaHash, rsaSign, rsaVerifies, sign, verifies } from "./keys.ts";
import { md5 } from "./md5.ts";

const MAX_CARD = 1024;

/** A card, with the text that was signed. */
export interface Card {
  text: string;
  user: string;
  email: string;
  server: string;
  /** The Ed25519 key. */
  sign: Bytes;
  /** The hash of the RSA key, in hex. */
  rsa: string;
  n: number;
  /** The hash of the card before it; empty for the first. */
  prev: string;
}

/** A card's signatures, base64; `prev` is empty where there is none. */
export interface CardSignatures {
  sign: string;
  rsa: string;
  prev: string;
}

/** What is published, and what others get. */
export interface SignedCard {
  card: string;
  signatures: CardSignatures;
}

/** Why a card is not valid. */
export class InvalidCard extends Error {
  constructor(why: string) {
    super(`a card is not valid: ${why}`);
    this.name = "InvalidCard";
  }
}

/** The hash that others pin. */
export const cardHash = async (text: string): Promise<string> => hex(await sha256(utf8(text)));

const signedText = (text: string): Bytes => concat(label("card"), utf8(text));

function textField(fields: JsonObject, name: string): string {
  const value = fields[name];
  if (typeof value !== "string") throw new InvalidCard(`${name} is missing`);
  return value;
}

/** Reads a card's text; throws `InvalidCard`. */
export function parseCard(text: string): Card {
  let fields: JsonObject;
  try {
    fields = readCanonical(text, MAX_CARD);
  } catch (error) {
    if (error instanceof NotCanonical) throw new InvalidCard(error.message);
    throw error;
  }
  const names = Object.keys(fields).sort().join(" ");
  if (names !== "email n prev rsa server sign user v") throw new InvalidCard("its fields are others");
  const { v, n } = fields;
  if (v !== 1) throw new InvalidCard("its version is not known");
  if (typeof n !== "number" || n < 1) throw new InvalidCard("its number");
  const [user, email, server] = [textField(fields, "user"), textField(fields, "email"), textField(fields, "server")];
  const [signKey, rsa, prev] = [textField(fields, "sign"), textField(fields, "rsa"), textField(fields, "prev")];
  if (md5(email) !== user) throw new InvalidCard("the user is not that of the address");
  if ((n === 1) !== (prev === "")) throw new InvalidCard("the first has no predecessor, every other one has");
  fromHex(rsa, 32);
  fromHex(server, 16);
  if (prev !== "") fromHex(prev, 32);
  const key = fromBase64(signKey);
  if (!isSignKey(key)) throw new InvalidCard("its signing key");
  return { text, user, email, server, sign: key, rsa, n, prev };
}

/** Makes and signs a card. `before`: number and hash of the card that it follows, with its signing key; null for the first. */
export async function makeCard(of: {
  email: string;
  server: string;
  publicKey: string;
  signKey: Bytes;
  rsaSigner: CryptoKey;
  signer: CryptoKey;
  before: { n: number; hash: string; signer: CryptoKey | null } | null;
}): Promise<SignedCard> {
  const text = canonical({
    v: 1,
    user: md5(of.email),
    email: of.email,
    server: of.server,
    sign: base64(of.signKey),
    rsa: hex(await rsaHash(of.publicKey)),
    n: (of.before?.n ?? 0) + 1,
    prev: of.before?.hash ?? "",
  });
  const signed = signedText(text);
  const byBefore = of.before?.signer ? base64(await sign(of.before.signer, signed)) : "";
  const signatures = {
    sign: base64(await sign(of.signer, signed)),
    rsa: await rsaSign(of.rsaSigner, signed),
    prev: byBefore,
  };
  return { card: text, signatures };
}

async function verifySign(card: Card, { signatures }: SignedCard): Promise<void> {
  if (card.n === 1 && signatures.prev !== "") throw new InvalidCard("a first card has no predecessor");
  const signature = fromBase64(signatures.sign);
  if (!(await verifies(card.sign, signature, signedText(card.text)))) throw new InvalidCard("the signature is wrong");
}

/** How offered cards relate to the pinned ones. */
export type Succession = "new" | "same" | "renewed" | "newIdentity";

/** The result of checking offered cards. */
export interface Offer {
  /** All that are accepted, oldest first. */
  cards: Card[];
  is: Succession;
}

/**
 * The user whose cards they should be. `publicKey` is the RSA key that the server names for the user; null of somebody whose key is
 * not disclosed, as for members of a group who are no friends: their messages can be verified, but nothing can be wrapped for them.
 */
export interface Owner {
  user: string;
  server: string;
  publicKey: string | null;
}

/**
 * Takes the cards that a server offers of a user, oldest first, after those that are pinned; throws `InvalidCard`.
 * A new identity is an answer, not an error: nothing may be sent to that user until somebody has looked.
 */
export async function acceptCards(pinned: readonly Card[], offered: readonly SignedCard[], of: Owner): Promise<Offer> {
  const read = offered.map((signed) => ({ signed, card: parseCard(signed.card) }));
  const newest = read.at(-1);
  if (!newest) throw new InvalidCard("there is none");
  for (const { signed, card } of read) {
    if (card.user !== of.user || card.server !== of.server) throw new InvalidCard("it is another user's, or of another server");
    await verifySign(card, signed);
  }
  if (of.publicKey !== null) await verifyRsa(newest.card, newest.signed, of.publicKey);
  const cards = [...pinned];
  let [isRenewed, isOther] = [false, false];
  for (const { signed, card } of read) {
    const last = cards.at(-1);
    if (!last) cards.push(card);
    else if (card.n <= last.n) {
      if (!cards.some(({ text }) => text === card.text)) throw new InvalidCard("another one of this number is known");
    } else {
      if (await succeeds(last, card, signed)) isRenewed = true;
      else isOther = true;
      cards.push(card);
    }
  }
  if (cards.at(-1)?.text !== newest.card.text) throw new InvalidCard("a newer one is known");
  // Trust on first use: the predecessors of the first card are not checked.
  if (pinned.length === 0) return { cards, is: "new" };
  return { cards, is: isOther ? "newIdentity" : isRenewed ? "renewed" : "same" };
}

// The RSA keys of older cards are gone; the newest one is what secrets are wrapped for.
async function verifyRsa(card: Card, { signatures }: SignedCard, publicKey: string): Promise<void> {
  if (!(await namesKey(card, publicKey))) throw new InvalidCard("it names another RSA key");
  if (!(await rsaVerifies(publicKey, signatures.rsa, signedText(card.text)))) throw new InvalidCard("the RSA signature is wrong");
}

/** Whether a card is of this RSA key. */
export const namesKey = async (card: Card, publicKey: string): Promise<boolean> => card.rsa === hex(await rsaHash(publicKey));

/** Whether a card's predecessor signed it; throws if it does not follow, or somebody else signed in its place. */
async function succeeds(before: Card, card: Card, { signatures }: SignedCard): Promise<boolean> {
  if (card.n !== before.n + 1) throw new InvalidCard("one was left out");
  if (card.prev !== (await cardHash(before.text))) throw new InvalidCard("it follows another one");
  if (signatures.prev === "") return false;
  const signature = fromBase64(signatures.prev);
  if (!(await verifies(before.sign, signature, signedText(card.text)))) throw new InvalidCard("the predecessor's signature is wrong");
  return true;
}
