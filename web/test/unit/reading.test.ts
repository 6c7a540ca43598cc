import assert from "node:assert/strict";
import { test } from "node:test";
import { checkOrder } from "../../core/model/reading.ts";
import { userId } from "../../core/model/ids.ts";
import type { Trouble } from "../../core/model/view.ts";

const [ann, ben] = [userId("a".repeat(32)), userId("b".repeat(32))];
const text = { kind: "text" as const, text: "", reply: null, mentions: [] };
const row = (user: typeof ann, n: number | null, trouble: Trouble | null = null) => ({ user, station: "1", n, trouble, content: text });
const troubles = (rows: ReturnType<typeof row>[], hasGaps = false): (Trouble | null)[] => checkOrder(rows, hasGaps).map((one) => one.trouble);

test("each station counts by itself, from wherever a reader begins", () => {
  assert.deepEqual(troubles([row(ann, 7), row(ben, 1), row(ann, 8), row(ben, 2)]), [null, null, null, null]);
});

test("a skipped number is reported once, unless content was deleted", () => {
  assert.deepEqual(troubles([row(ann, 1), row(ann, 3), row(ann, 4)]), [null, "forked", null]);
  assert.deepEqual(troubles([row(ann, 1), row(ann, 3)], true), [null, null]);
});

test("a number that was used before is refused", () => {
  const [, again] = checkOrder([row(ann, 2), row(ann, 2)], false);
  assert.deepEqual([again?.trouble, again?.content], ["neverReadable", null]);
});

test("what cannot be read says nothing of the numbers around it", () => {
  assert.deepEqual(troubles([row(ann, 1), row(ann, null, "waitingForKey"), row(ann, 3)]), [null, "waitingForKey", null]);
  assert.deepEqual(troubles([row(ann, 1), row(ann, 9, "notProven"), row(ann, 2)]), [null, "notProven", null]);
});

test("a message of an epoch that had ended is marked, and its writer is no admin any more", () => {
  const of = (epoch: number | null, n: number) => ({ ...row(ann, n), epoch, byAdmin: true });
  const shown = checkOrder([of(1, 1), of(2, 2), of(null, 3), of(1, 4), of(2, 5)], false);
  assert.deepEqual(shown.map(({ trouble, byAdmin }) => [trouble, byAdmin]), [[null, true], [null, true], [null, true], ["forked", false], [null, true]]);
});
