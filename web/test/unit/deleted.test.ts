// What is left of a message that was deleted: nothing that it said, on the server or in the list.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import type { Conversation } from "../../core/index.ts";
import { articlesOf, Person } from "../world/person.ts";
import { Version4 } from "../world/version-4.ts";

const server = new Version4();
const ports = { http: server.http, openSocket: server.openSocket, onFault: () => undefined };
const [ann, ben] = await Promise.all([Person.joins("Ann", ports), Person.joins("Ben", ports)]);
after(() => Promise.all([ann.client.close(), ben.client.close()]));
const id = await ann.befriends(ben);
await Promise.all([ann.client.open(id), ben.client.open(id)]);

/** What the list shows of the last message, once it has no text any more. */
const withoutText = (person: Person): Promise<Conversation> =>
  person.sees("a last message without text", ({ conversations }) => conversations.find((one) => one.id === id && one.preview?.text === ""));
const isEmpty = (person: Person): Promise<true> => person.sees("an empty outbox", ({ waiting }) => waiting === 0 || undefined);

test("the list says that the last message was deleted, and by whom, without a delivery state", async () => {
  await ann.types(id, "A slip");
  const slip = await ann.reads("A slip");
  await ben.reads("A slip");
  assert.ok((await ann.client.erase(id, slip.id)).ok);
  for (const [person, own] of [[ann, true], [ben, false]] as const) {
    const { preview, lastState } = await withoutText(person);
    assert.deepEqual([preview, lastState], [{ name: "Ann", own, text: "", files: null, instead: "deleted" }, null]);
  }
});

test("with a message its edits are erased on the server, those that wait, too", async () => {
  const nobody = { reply: null, mentions: new Map<string, never>() };
  await ann.types(id, "First words");
  const { id: message } = await ben.reads("First words");
  await ann.types(id, "Something else");
  for (const text of ["Second words", "Third words"]) {
    await ann.client.edit(id, message, { text, ...nobody });
    await ben.reads(text);
  }
  await isEmpty(ann);
  await ann.client.edit(id, message, { text: "Last words", ...nobody });
  assert.ok((await ann.client.erase(id, message)).ok);
  await ben.sees("that it is deleted", ({ log }) => articlesOf(log?.entries ?? []).some((one) => one.id === message && one.deleted) || undefined);
  await isEmpty(ann);
  const stored = server.conversations.get(id)?.messages ?? [];
  const at = stored.findIndex(({ ID }) => ID === message);
  // The message, another one, three edits, and the deletion.
  assert.deepEqual(stored.slice(at).map(({ Data }) => Data === ""), [true, false, true, true, true, false]);
  for (const person of [ann, ben]) assert.deepEqual((await person.client.info(id, message))?.versions, []);
});
