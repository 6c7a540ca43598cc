import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { base64, fromBase64, fromHex, InvalidEncoding, sameSecret } from "../../core/crypto/bytes.ts";
import { canonical, type Json, NotCanonical, readCanonical } from "../../core/crypto/canonical.ts";
import { beginning, follow } from "../../core/crypto/chain.ts";
import { append, EMPTY, rootOf } from "../../core/crypto/log.ts";
import { md5 } from "../../core/crypto/md5.ts";
import { safetyNumber } from "../../core/crypto/number.ts";

test("MD5 is that of RFC 1321", () => {
  assert.equal(md5("admin@ozeki.hu"), "d574638619cbff603bf857164c47e850");
  for (const text of ["", "a", "message digest", "ä".repeat(40), "x".repeat(55), "x".repeat(56), "x".repeat(1000)]) {
    assert.equal(md5(text), createHash("md5").update(text).digest("hex"));
  }
});

test("a value has one canonical text, and every other text is refused", () => {
  const value = JSON.parse('{"\\ud83d\\ude02":1,"\\ufb33":2,"b":[true,null,-7,"\\u20ac$\\u000f\\nA\'B\\"\\\\/"],"a":{}}') as Json;
  assert.equal(canonical(value), '{"a":{},"b":[true,null,-7,"€$\\u000f\\nA\'B\\"\\\\/"],"😂":1,"\ufb33":2}');
  for (const text of ["{ }", "{}\n", '{"b":1,"a":2}', '{"a":1,"a":1}', '{"a":1.0}', '{"a":1e3}', '{"a":-0}', "[]", "1", ""]) {
    assert.throws(() => readCanonical(text, 1000), NotCanonical, text);
  }
  for (const text of ['{"a":9007199254740992}', '{"a":"\\u0041"}', '{"a":"\\/"}', '{"a":"\\ud800"}', '{"a":1}x']) {
    assert.throws(() => readCanonical(text, 1000), NotCanonical, text);
  }
  assert.deepEqual(readCanonical('{"a":9007199254740991}', 1000), { a: 9_007_199_254_740_991 });
  assert.throws(() => readCanonical('{"a":1}', 6), NotCanonical);
});

test("Base64 and hexadecimal digits have one form", () => {
  assert.equal(base64(fromBase64("SGVsbG8=")), "SGVsbG8=");
  for (const text of ["SGVsbG8", "SGVsbG9=", "SGVs bG8=", "SGVsbG8=\n", "-_=="]) assert.throws(() => fromBase64(text), InvalidEncoding);
  for (const text of ["0", "0g", "AB"]) assert.throws(() => fromHex(text), InvalidEncoding);
  assert.ok(sameSecret(fromHex("00ff"), fromHex("00ff")));
  assert.ok(!sameSecret(fromHex("00ff"), fromHex("00fe")));
});

test("the chain of docs/transcript.md is followed, and a change is found", async () => {
  const start = await beginning("8ca16186c36a4e0a1ef2096e6c60b613", "PqjfKSn7V8");
  assert.equal(start, "13f417dd43046d3b687ecb03d1299804f492a705b13ebefc9709c75a877f1d99");
  const links = [
    { seq: 1, id: "fc2515cb-e483-4f64-936b-98f680565c96", data: "SGVsbG8=", chain: "9101205197b29d1ff5534fe32fd4d243acc03793e17580e2a88a9cdbce0bbb65" },
    { seq: 3, id: "e64fa984-9b2c-4d32-a965-a1faca1d5b83", data: "V29ybGQ=", chain: "edee98d33061954eea41c29600c614d98873d246463d741f435163f1594c8bd2" },
  ];
  assert.equal(await follow(start, links), null);
  assert.equal(await follow(start, links.slice(1)), links[1]);
  const [first, second] = links;
  assert.ok(first && second);
  assert.equal((await follow(start, [{ ...first, seq: 2 }, second]))?.id, first.id);
});

test("the log's tree has the root of RFC 9162 at each size", async () => {
  const entries = Array.from({ length: 40 }, (_, i) => Uint8Array.from({ length: 72 }, () => i));
  const hash = (...parts: Uint8Array[]): Buffer => createHash("sha256").update(Buffer.concat(parts)).digest();
  const expected = (leaves: Buffer[]): Buffer => {
    const [only] = leaves;
    if (!only) return hash();
    if (leaves.length === 1) return only;
    const half = 2 ** Math.floor(Math.log2(leaves.length - 1));
    return hash(Uint8Array.of(1), expected(leaves.slice(0, half)), expected(leaves.slice(half)));
  };
  let tree = EMPTY;
  const leaves: Buffer[] = [];
  for (const entry of entries) {
    assert.equal(await rootOf(tree), expected(leaves).toString("hex"));
    tree = await append(tree, entry);
    leaves.push(hash(Uint8Array.of(0), entry));
  }
});

test("a safety number is the same on both sides, and another with another key", async () => {
  const ann = { user: "0".repeat(32), sign: fromHex("01".repeat(32)) };
  const ben = { user: "f".repeat(32), sign: fromHex("02".repeat(32)) };
  const number = await safetyNumber(ann, ben);
  assert.deepEqual(number, await safetyNumber(ben, ann));
  assert.equal(number.length, 12);
  assert.ok(number.every((group) => /^\d{5}$/.test(group)));
  assert.notDeepEqual(number, await safetyNumber(ann, { ...ben, sign: fromHex("03".repeat(32)) }));
});
