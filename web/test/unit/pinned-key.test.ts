// A contact of whom only an RSA key is known, as the link of an invitation may name it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { hex, random } from "../../core/crypto/bytes.ts";
import { cardHash, makeCard, type SignedCard } from "../../core/crypto/card.ts";
import { importKeys, makeKeys, publicOfSeed, rsaHash } from "../../core/crypto/keys.ts";
import { md5 } from "../../core/crypto/md5.ts";
import { userId } from "../../core/model/ids.ts";
import { offerCards } from "../../core/sync/cards.ts";
import { newPerson } from "../../core/sync/people.ts";

const [server, email] = ["1".repeat(32), "ben@example.org"];

/** Cards that follow each other, with one signing key. Each names an RSA key, and is signed by one. */
async function chain(named: readonly { publicKey: string; signer: Awaited<ReturnType<typeof importKeys>> }[], seed: Uint8Array<ArrayBuffer>): Promise<SignedCard[]> {
  const made: SignedCard[] = [];
  for (const { publicKey, signer } of named) {
    const before = made.at(-1);
    const sign = (await importKeys({ rsa: (await makeKeys(2048, false)).raw.rsa, seed })).sign;
    if (!sign) throw new Error("no signing key");
    const previous = before ? { n: made.length, hash: await cardHash(before.card), signer: sign } : null;
    made.push(await makeCard({ email, server, publicKey, signKey: await publicOfSeed(seed), rsaSigner: signer.rsaSign, signer: sign, before: previous }));
  }
  return made;
}

test("a pinned RSA key vouches for the newest card alone: in an older one anybody could have claimed it", async () => {
  const [bens, thiefs] = await Promise.all([makeKeys(2048, false), makeKeys(2048, false)]);
  const [ben, thief] = await Promise.all([importKeys(bens.raw), importKeys(thiefs.raw)]);
  const person = (publicKey: string) => ({ ...newPerson(userId(md5(email))), publicKey });
  const pin = [hex(await rsaHash(bens.publicKey)), 0, "verified"] as const;
  const own = await chain([{ publicKey: bens.publicKey, signer: ben }], random(32));
  const known = await offerCards({ ...person(bens.publicKey), pin: [...pin], trust: "verified" }, own, server);
  assert.deepEqual([known.trust, known.cards.length], ["verified", 1]);
  // The thief, who is the server, signs a card with Ben's RSA key in it, and lets the next one have their own.
  const forged = await chain([{ publicKey: bens.publicKey, signer: thief }, { publicKey: thiefs.publicKey, signer: thief }], random(32));
  const offered = await offerCards({ ...person(thiefs.publicKey), pin: [...pin], trust: "verified" }, forged, server);
  assert.deepEqual([offered.trust, offered.cards.length], ["changed", 0]);
});
