import assert from "node:assert/strict";
import { test } from "node:test";
import { type Bytes, fromHex, hex, sha256, utf8 } from "../../core/crypto/bytes.ts";
import { importSeed, publicOfSeed } from "../../core/crypto/keys.ts";
import { epochOf, kidOf, open, openName, paddedLength, type Place, seal, sealName, Unreadable } from "../../core/crypto/message.ts";

const bytes = (from: number): Bytes => Uint8Array.from({ length: 32 }, (_, i) => from + i);
const seed = bytes(0);
const under = { epoch: 1, secret: bytes(0x20) };
const place: Place = {
  conversation: "8ca16186c36a4e0a1ef2096e6c60b613",
  instance: "PqjfKSn7V8",
  message: "fc2515cb-e483-4f64-936b-98f680565c96",
  user: "d574638619cbff603bf857164c47e850",
  station: "0123456789abcdef0123456789abcdef",
  type: "Message",
};
const body =
  '{"at":"2026-11-24 12:00:00","head":[0,"13f417dd43046d3b687ecb03d1299804f492a705b13ebefc9709c75a877f1d99"],"kind":"text","n":1,"text":"Hello","v":1}';

const sealed = async (): Promise<string> => seal(under, await importSeed(seed), place, body, new Uint8Array(12));

test("the message of docs/e2ee.md is made byte for byte", async () => {
  const data = await sealed();
  assert.equal(hex(await kidOf(under.secret)), "e93dc44f16e753f1");
  assert.equal(data.length, 400);
  assert.equal(hex(await sha256(utf8(data))), "39b1b5e9c626bdc93a07907dc7a8a1fb6c69b97f740d8727b37bd43af59b1e37");
  assert.equal(epochOf(data), 1);
});

test("it opens with its sender's key, and says so", async () => {
  const data = await sealed();
  const key = await publicOfSeed(seed);
  assert.deepEqual(await open(under, [key], place, data), { body, signed: true });
  assert.deepEqual(await open(under, [await publicOfSeed(bytes(7))], place, data), { body, signed: false });
  assert.deepEqual(await open(under, [], place, data), { body, signed: false });
});

test("a key with which everyone's signature is right proves nothing", async () => {
  const data = await sealed();
  for (const weak of ["00".repeat(32), `01${"00".repeat(31)}`, `ec${"ff".repeat(30)}7f`, `ee${"ff".repeat(30)}7f`]) {
    assert.equal((await open(under, [fromHex(weak)], place, data)).signed, false);
  }
});

test("it opens nowhere else", async () => {
  const data = await sealed();
  const elsewhere: Partial<Place>[] = [
    { conversation: "9ca16186c36a4e0a1ef2096e6c60b613" },
    { instance: "PqjfKSn7V9" },
    { message: "fc2515cb-e483-4f64-936b-98f680565c97" },
    { user: "e574638619cbff603bf857164c47e850" },
    { station: "1123456789abcdef0123456789abcdef" },
    { type: "Update" },
  ];
  for (const change of elsewhere) {
    await assert.rejects(open(under, [], { ...place, ...change }, data), (error: Unreadable) => error.why === "altered");
  }
  await assert.rejects(open({ epoch: 2, secret: under.secret }, [], place, data), (e: Unreadable) => e.why === "noSecret");
  await assert.rejects(open({ epoch: 1, secret: bytes(1) }, [], place, data), (e: Unreadable) => e.why === "noSecret");
  await assert.rejects(open(under, [], place, "SGVsbG8="), (e: Unreadable) => e.why === "notThisForm");
  const at = 200;
  const changed = data.slice(0, at) + (data[at] === "A" ? "B" : "A") + data.slice(at + 1);
  await assert.rejects(open(under, [], place, changed), (e: Unreadable) => e.why === "altered");
});

test("lengths are hidden", () => {
  assert.deepEqual([1, 256, 257, 4096, 4097, 8193].map(paddedLength), [256, 256, 512, 4096, 8192, 12_288]);
});

test("a name opens in its conversation only, and is not a message", async () => {
  const text = '{"by":"d574638619cbff603bf857164c47e850","name":"Book club","v":1}';
  const key = await publicOfSeed(seed);
  const data = await sealName(under, await importSeed(seed), place.conversation, text, new Uint8Array(12));
  assert.deepEqual(await openName(under, () => [key], place.conversation, data), { body: text, signed: true });
  await assert.rejects(openName(under, () => [key], "9ca16186c36a4e0a1ef2096e6c60b613", data), Unreadable);
  await assert.rejects(open(under, [key], place, data), (e: Unreadable) => e.why === "notThisForm");
});
