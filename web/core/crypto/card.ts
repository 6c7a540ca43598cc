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

/** Makes and signs a card. `before`: the card that it follows, with its signing key; null for the first. */
export async function makeCard(of: {
  email: string;
  server: string;
  publicKey: string;
  signKey: Bytes;
  rsaSigner: CryptoKey;
  signer: CryptoKey;
  before: { card: Card; signer: CryptoKey | null } | null;
}): Promise<SignedCard> {
  const text = canonical({
    v: 1,
    user: md5(of.email),
    email: of.email,
    server: of.server,
    sign: base64(of.signKey),
    rsa: hex(await rsaHash(of.publicKey)),
    n: (of.before?.card.n ?? 0) + 1,
    prev: of.before ? await cardHash(of.before.card.text) : "",
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

/** Checks a card by its own keys; throws `InvalidCard`. `publicKey` is the RSA key that the server names for the user. */
export async function verifyCard(signed: SignedCard, user: string, server: string, publicKey: string): Promise<Card> {
  const card = parseCard(signed.card);
  if (card.user !== user) throw new InvalidCard("it is another user's");
  if (card.server !== server) throw new InvalidCard("it is for another server");
  if (card.rsa !== hex(await rsaHash(publicKey))) throw new InvalidCard("it names another RSA key");
  const text = signedText(card.text);
  if (card.n === 1 && signed.signatures.prev !== "") throw new InvalidCard("a first card has no predecessor");
  if (!(await verifies(card.sign, fromBase64(signed.signatures.sign), text))) throw new InvalidCard("the signature is wrong");
  if (!(await rsaVerifies(publicKey, signed.signatures.rsa, text))) throw new InvalidCard("the RSA signature is wrong");
  return card;
}

/** What a card is to the one that was pinned. */
export type Succession = "same" | "renewed" | "newIdentity";

/** Compares a checked card with the pinned one; throws `InvalidCard` if it is older, or its predecessor's signature is wrong. */
export async function succession(pinned: Card, signed: SignedCard): Promise<Succession> {
  const card = parseCard(signed.card);
  if (card.text === pinned.text) return "same";
  if (card.n <= pinned.n) throw new InvalidCard("a newer one is known");
  // Cards between the two are not here: nobody vouches for what cannot be followed.
  if (card.n !== pinned.n + 1 || card.prev !== (await cardHash(pinned.text))) return "newIdentity";
  if (signed.signatures.prev === "") return "newIdentity";
  if (!(await verifies(pinned.sign, fromBase64(signed.signatures.prev), signedText(card.text)))) {
    throw new InvalidCard("the predecessor's signature is wrong");
  }
  return "renewed";
}
