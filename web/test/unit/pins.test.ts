import assert from "node:assert/strict";
import { test } from "node:test";
import { deviceNameOf } from "../../browser/device.ts";
import { base64, random } from "../../core/crypto/bytes.ts";
import { aesKey } from "../../core/crypto/keys.ts";
import { sealBox, MAX_RSAKEY, type VaultPin, writeVault } from "../../core/crypto/vault.ts";
import { cardHash, parseCard } from "../../core/crypto/card.ts";
import { md5 } from "../../core/crypto/md5.ts";
import { publicOfSeed } from "../../core/crypto/keys.ts";
import { userId } from "../../core/model/ids.ts";
import { newPerson } from "../../core/sync/people.ts";
import { fit, mergeHeads, mergePins, takePin } from "../../core/sync/pins.ts";

const pin = (card: string, n: number, mark: VaultPin[2]): VaultPin => [card, n, mark];
const id = (n: number): string => n.toString(16).padStart(32, "0");

test("of two devices' pins the later card counts, and of the same card the mark for which somebody looked", () => {
  const here = { a: pin("1", 1, "seen"), b: pin("2", 2, "changed"), c: pin("1", 1, "seen") };
  const there = { a: pin("1", 1, "verified"), b: pin("1", 1, "verified"), c: pin("9", 1, "seen"), d: pin("1", 1, "seen") };
  const merged = { a: pin("1", 1, "verified"), b: pin("2", 2, "changed"), c: pin("1", 1, "seen"), d: pin("1", 1, "seen") };
  assert.deepEqual(mergePins(here, there), merged);
  // Written and read once more, nothing changes: two devices do not write against each other for ever.
  assert.deepEqual(mergePins(here, merged), merged);
});

test("a device that saw a new identity first removes no other one's doubt, and one that has compared it does", async () => {
  const [here, there] = [{ a: pin("2", 2, "changed") }, { a: pin("2", 2, "seen") }];
  assert.deepEqual(mergePins(here, there), here);
  assert.deepEqual(mergePins(there, here), here);
  const email = "ben@example.org";
  const sign = base64(await publicOfSeed(random(32)));
  const text = JSON.stringify({ email, n: 1, prev: "", rsa: "0".repeat(64), server: id(1), sign, user: md5(email), v: 1 });
  const hash = await cardHash(parseCard(text).text);
  const ben = newPerson(userId(md5(email)));
  for (const cards of [[text], []]) {
    const takes = async (trust: VaultPin[2], mark: VaultPin[2]): Promise<string> =>
      (await takePin({ ...ben, cards, trust }, pin(hash, 1, mark))).trust;
    assert.equal(await takes("changed", "seen"), "changed");
    assert.equal(await takes("changed", "verified"), "verified");
    assert.equal(await takes("seen", "verified"), "verified");
  }
  // Accepted here, and not there yet.
  assert.equal((await takePin({ ...ben, cards: [text] }, pin(hash, 1, "changed"))).trust, "seen");
});

test("of two devices' heads the later one counts", () => {
  assert.deepEqual(mergeHeads({ a: [3, "x"] }, { a: [2, "y"], b: [1, "z"] }), { a: [3, "x"], b: [1, "z"] });
  assert.deepEqual(mergeHeads({ a: [1, "x"] }, { a: [2, "y"] }), { a: [2, "y"] });
});

test("a vault with many contacts is no larger than a server takes, and who was looked at stays in it", async () => {
  const hash = "f".repeat(64);
  const all = Array.from({ length: 2000 }, (_, i) => [id(i), pin(hash, 10_000, i === 1999 ? "verified" : "seen")] as const);
  const heads = Object.fromEntries(all.map(([one]) => [one, [1_000_000, hash] as const]));
  for (const bytes of [1220, 1800, 4800]) {
    const keys = { rsa: random(bytes), seed: random(32) };
    const next = fit(keys, Object.fromEntries(all), heads);
    const slot = "A".repeat(80);
    const box = await sealBox(await aesKey(random(32)), { keys, ...next }, { server: id(1), user: id(2) }, 2_147_483_647);
    const rsakey = writeVault({ version: 2_147_483_647, slots: { password: slot, recovery: slot }, box });
    assert.ok(rsakey.length <= MAX_RSAKEY, `${rsakey.length}`);
    assert.ok(rsakey.length > MAX_RSAKEY - 1024, `${rsakey.length} leaves room`);
    assert.equal(next.pins[id(1999)]?.[2], "verified");
  }
});

test("browsers are named by what they are, not by whom they descend from", () => {
  const webkit = "AppleWebKit/537.36 (KHTML, like Gecko)";
  assert.equal(deviceNameOf("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"), "Firefox, Linux");
  assert.equal(deviceNameOf(`Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${webkit} Chrome/156.0.0.0 Safari/537.36 Edg/156.0.0.0`), "Edge, Windows");
  assert.equal(deviceNameOf(`Mozilla/5.0 (Linux; Android 10; K) ${webkit} Chrome/156.0.0.0 Mobile Safari/537.36`), "Chrome, Android");
  assert.equal(deviceNameOf("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile/15E148 Safari/604.1"), "Safari, iPhone");
  assert.equal(deviceNameOf("something else"), "");
});
