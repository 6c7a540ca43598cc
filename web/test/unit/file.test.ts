// The format of files: the two cases of docs/e2ee.md, and everything that somebody could change about one.

import assert from "node:assert/strict";
import { test } from "node:test";
import { type Bytes, hex, sha256 } from "../../core/crypto/bytes.ts";
import { DamagedFile, digestOf, encryptedLength, fileKey, openRecord, padme, PLAIN, recordsOf, sealRecord, unpadded } from "../../core/crypto/file.ts";

const key = await fileKey(Uint8Array.from({ length: 32 }, (_, i) => i));

async function seal(padded: Bytes): Promise<Bytes[]> {
  const count = recordsOf(padded.length);
  return Promise.all(Array.from({ length: count }, (_, i) => sealRecord(key, i, i === count - 1, padded.slice(i * PLAIN, (i + 1) * PLAIN))));
}
const digest = async (records: readonly Bytes[]): Promise<string> => hex(await digestOf(await Promise.all(records.map((one) => sha256(one)))));
const open = (records: readonly Bytes[]): Promise<Bytes[]> => Promise.all(records.map((one, i) => openRecord(key, i, i === records.length - 1, one)));

test("an empty file is one record, and 300,000 zeros are two", async () => {
  const empty = await seal(new Uint8Array(0));
  assert.deepEqual([empty.length, empty[0]?.length, await digest(empty)], [1, 16, "f60c659a78345e320e50fdef36521b8267bccb3165835219b1a1ff7cf869d98d"]);
  const zeros = await seal(new Uint8Array(300_000));
  const length = zeros.reduce((sum, one) => sum + one.length, 0);
  assert.deepEqual([zeros.length, length, await digest(zeros)], [2, 300_032, "39beb7fbdadcb67805db1d3bc8dcb23327f3d7412a547f81176df101239431f3"]);
  assert.equal(encryptedLength(300_000), 300_032);
});

test("a length is padded as Padmé has it, in steps that grow with it", () => {
  for (const [length, padded] of [[0, 0], [1, 1], [2, 2], [9, 10], [100, 104], [1000, 1024], [300_000, 303_104]] as const) assert.equal(padme(length), padded, String(length));
  for (let length = 1024; length < 5_000_000; length = Math.floor(length * 1.037) + 1) {
    assert.ok(padme(length) >= length && padme(length) <= length * 1.0625, String(length));
    assert.equal(padme(padme(length)), padme(length));
  }
  // Beyond what bits of JavaScript reach.
  assert.equal(padme(5 * 2 ** 40 + 1), 5 * 2 ** 40 + 2 ** 36);
});

test("what somebody has changed does not open", async () => {
  const records = await seal(new Uint8Array(PLAIN * 2 + 10).map((_, i) => i));
  const [first, second, last] = records as [Bytes, Bytes, Bytes];
  await open(records);
  const flipped = last.slice();
  flipped[0] = (flipped[0] ?? 0) ^ 1;
  const isInner = await sealRecord(key, 1, true, new Uint8Array(PLAIN));
  for (const [name, changed] of Object.entries({
    "the last record is missing": [first, second],
    "two are swapped": [second, first, last],
    "one stands twice": [first, first, last],
    "one is repeated at the end": [first, second, last, last],
    "an inner one is called the last": [first, isInner, last],
    "a bit is another one": [first, second, flipped],
    "nothing is left": [new Uint8Array(0), second, last],
  })) await assert.rejects(open(changed), DamagedFile, name);
  const other = await fileKey(new Uint8Array(32));
  await assert.rejects(openRecord(other, 0, false, first), DamagedFile);
  assert.notEqual(await digest(records), await digest([second, first, last]));
});

test("what stands in the padding is refused, and it is no part of the file", () => {
  const record = new Uint8Array(20).fill(7, 0, 12);
  assert.equal(unpadded(record, 0, true, 12).length, 12);
  assert.throws(() => unpadded(record, 0, true, 11), DamagedFile);
  assert.throws(() => unpadded(record, 0, true, 21), DamagedFile);
  assert.equal(unpadded(record, 0, false, 21).length, 20);
  assert.equal(unpadded(new Uint8Array(20), 3, true, 12).length, 0);
});
