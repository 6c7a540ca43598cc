import assert from "node:assert/strict";
import { test } from "node:test";
import { userId } from "../../core/model/ids.ts";
import { mergePeople, type Told } from "../../core/sync/people.ts";

const [ann, ben] = [userId("a".repeat(32)), userId("b".repeat(32))];

test("a friend whom one has blocked is shown as offline, as one hears nothing of them any more", () => {
  const friend = { friendid: ben, friendname: "Ben", publickey: "QQ==", availability: "available", alike: false };
  const told: Told = { blocked: [], list: [], people: { availabilities: [friend], requests: [], left: [], chosen: "invisible" }, me: ann, ownKey: "QQ==" };
  const bens = (blocked: (typeof ben)[]) => {
    const person = mergePeople(new Map(), { ...told, blocked }).find(({ id }) => id === ben);
    return [person?.availability, person?.friend, person?.blocked];
  };
  assert.deepEqual(bens([]), ["available", true, false]);
  assert.deepEqual(bens([ben]), ["offline", true, true]);
  assert.equal(mergePeople(new Map(), told).find(({ id }) => id === ann)?.availability, "invisible");
});
