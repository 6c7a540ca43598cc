// Safety numbers and invitations (docs/e2ee.md, Pins, numbers, invitations): how two people make sure of their keys.

import { type Bytes, concat, fromHex, hex, idBytes, sameSecret, sha512 } from "./bytes.ts";
import { hmac, label } from "./keys.ts";

const ROUNDS = 5200;

/** Six groups of five digits. */
async function half(signKey: Bytes, user: string): Promise<string[]> {
  let hash = concat(signKey, idBytes(user));
  for (let i = 0; i < ROUNDS; i++) hash = await sha512(hash, signKey);
  return Array.from({ length: 6 }, (_, group) => {
    const value = hash.slice(5 * group, 5 * group + 5).reduce((sum, byte) => sum * 256 + byte, 0);
    return String(value % 100_000).padStart(5, "0");
  });
}

/** Somebody with their signing key. */
export interface Keyed {
  user: string;
  sign: Bytes;
}

/** Twelve groups of five digits, the same on both sides. */
export async function safetyNumber(one: Keyed, other: Keyed): Promise<string[]> {
  const both = [one, other].sort((a, b) => (a.user < b.user ? -1 : 1));
  return (await Promise.all(both.map(({ user, sign }) => half(sign, user)))).flat();
}

/** The content of the code to scan: keys and transcript. */
export const scanCode = (of: { user: string; card: string; conversation: string; seq: number; chain: string }): string =>
  `parlance:1:${of.user}:${of.card}:${of.conversation}:${of.seq}:${of.chain}`;

/** What such a code says; null if it is none, to the letter. */
export function readScanCode(text: string): { user: string; card: string; conversation: string; seq: number; chain: string } | null {
  const found = /^parlance:1:([0-9a-f]{32}):([0-9a-f]{64}):([0-9a-f]{32}):(0|[1-9]\d{0,15}):([0-9a-f]{64})$/.exec(text);
  if (!found) return null;
  const [, user = "", card = "", conversation = "", seq = "", chain = ""] = found;
  return { user, card, conversation, seq: Number(seq), chain };
}

/** What a newcomer sends to prove that they had the inviter's link: hashes of cards in hex. */
export async function invitationProof(secret: string, own: string, inviter: string): Promise<string> {
  const text = concat(label("invite"), fromHex(own, 32), fromHex(inviter, 32));
  return hex(await hmac(fromHex(secret), text));
}

/** Whether such a proof is valid. */
export async function provesInvitation(secret: string, newcomer: string, own: string, proof: string): Promise<boolean> {
  if (!/^[0-9a-f]{64}$/.test(proof)) return false;
  return sameSecret(fromHex(await invitationProof(secret, newcomer, own)), fromHex(proof));
}
