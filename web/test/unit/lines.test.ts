// The lines of a log that are no messages: who joined and left, who is an admin, whose keys are new.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import type { Client, Entry, Line } from "../../core/index.ts";
import { withKeyEvents } from "../../core/model/key-history.ts";
import { userId } from "../../core/model/ids.ts";
import { changesOf } from "../../core/show/lines.ts";
import { newPerson } from "../../core/sync/people.ts";
import { articlesOf, Person } from "../world/person.ts";
import { Version4 } from "../world/version-4.ts";

const server = new Version4();
const ports = { http: server.http, openSocket: server.openSocket, onFault: () => undefined };
const everyone: Client[] = [];
after(() => Promise.all(everyone.map((client) => client.close())));
const joins = async (name: string): Promise<Person> => {
  const person = await Person.joins(name, ports);
  everyone.push(person.client);
  return person;
};
const [ann, ben, cleo] = await Promise.all([joins("Ann"), joins("Ben"), joins("Cleo")]);
await ann.befriends(ben);
const withCleo = await ann.befriends(cleo);
await ben.befriends(cleo);

const linesIn = (entries: readonly Entry[]): Line["what"][] => entries.flatMap((one) => (one.kind === "line" ? [one.what] : []));
const seesLine = (person: Person, is: (what: Line["what"]) => boolean) =>
  person.sees("the line", ({ log }) => linesIn(log?.entries ?? []).some(is));

test("a group's log says who came and went, after what was said before", async () => {
  const made = await ann.client.createGroup("Garden", [ben.id]);
  assert.ok(made.ok);
  const id = made.value;
  await ben.sees("the group", ({ conversations }) => conversations.some((c) => c.id === id));
  await Promise.all([ann.client.open(id), ben.client.open(id)]);
  await ann.types(id, "one");
  await ann.sees("one stored", ({ log }) => articlesOf(log?.entries ?? []).some(({ text, state }) => text === "one" && state !== "sending"));
  assert.ok((await ann.client.addMembers(id, [cleo.id], false)).ok);
  await ann.types(id, "two");
  await seesLine(ben, (what) => what.kind === "added" && what.by === "Ann" && what.who.join() === "Cleo");
  await ben.sees("two", ({ log }) => articlesOf(log?.entries ?? []).some(({ text }) => text === "two"));
  assert.deepEqual(
    ben.client.state.log?.entries.map((entry) => (entry.kind === "line" ? entry.what.kind : entry.text)),
    ["one", "added", "two"],
  );
  assert.ok((await ann.client.removeMember(id, cleo.id)).ok);
  await seesLine(ben, (what) => what.kind === "removed" && what.who.join() === "Cleo");
  assert.ok((await ann.client.renewKeys(id)).ok);
  await seesLine(ben, (what) => what.kind === "renewed");
  assert.deepEqual(linesIn(ben.client.state.log?.entries ?? []).map(({ kind }) => kind), ["added", "removed", "renewed"]);
});

test("new and former admins are shown; an admin who left is mentioned once", () => {
  const says = (admins: string[], before: string[], more: { added?: string[]; removed?: string[] } = {}) =>
    changesOf({ by: "a", admins, added: [], removed: [], ...more }, { by: "a", admins: before, added: [], removed: [] }, (user) => user);
  assert.deepEqual(says(["a", "b"], ["a"]), [{ kind: "admin", who: "b" }]);
  assert.deepEqual(says(["a"], ["a", "b"]), [{ kind: "member", who: "b" }]);
  assert.deepEqual(says(["a"], ["a", "b"], { removed: ["b"] }), [{ kind: "removed", who: ["b"] }]);
  assert.deepEqual(says(["a", "c"], ["a"], { added: ["c"] }), [{ kind: "added", by: "a", who: ["c"] }]);
  assert.deepEqual(says(["a"], ["a"]), [{ kind: "renewed" }]);
});

test("keys that others vouch for make a line, new ones a line and a barrier, compared ones a line", () => {
  const before = { ...newPerson(userId("0".repeat(32))), publicKey: "a", cards: ["first"] };
  assert.equal(withKeyEvents(before, { ...before, name: "Ann" }, 5).history, undefined);
  assert.equal(withKeyEvents(undefined, before, 5).history, undefined);
  const renewed = withKeyEvents(before, { ...before, cards: ["first", "second"] }, 5);
  assert.deepEqual(renewed.history, [{ kind: "newKeys", at: 5 }]);
  const changed = withKeyEvents(renewed, { ...renewed, trust: "changed" }, 6);
  assert.equal(withKeyEvents(changed, { ...changed, cards: ["first", "second", "third"], trust: "seen" }, 7).history?.length, 2);
  const compared = withKeyEvents(changed, { ...changed, trust: "verified" }, 7);
  assert.deepEqual(compared.history, [{ kind: "newKeys", at: 5 }, { kind: "newKeys", at: 6 }, { kind: "verified", at: 7 }]);
});

test("comparing numbers stands in the log of the two, and is there after a start", async () => {
  await ann.client.open(withCleo);
  await ann.client.verify(cleo.id);
  await seesLine(ann, (what) => what.kind === "verified" && what.user === cleo.id);
});
