// Names of groups: they are encrypted, so nobody but their readers can check them.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import type { Client } from "../../core/index.ts";
import { shownName } from "../../core/model/name.ts";
import { Person } from "../world/person.ts";
import { Version4 } from "../world/version-4.ts";

const server = new Version4();
const ports = { http: server.http, openSocket: server.openSocket, onFault: () => undefined };
const everyone: Client[] = [];
after(() => Promise.all(everyone.map((client) => client.close())));

async function joins(name: string): Promise<Person> {
  const person = await Person.joins(name, ports);
  everyone.push(person.client);
  return person;
}

const [ann, ben] = await Promise.all([joins("Ann"), joins("Ben")]);
await ann.befriends(ben);

async function shownToBen(name: string): Promise<string> {
  const made = await ann.client.createGroup(name, [ben.id]);
  assert.ok(made.ok);
  await ann.client.open(made.value);
  await ann.types(made.value, "Hello");
  // Before its newest message is read, a group is called by its members.
  return ben.sees("the message", ({ conversations }) => conversations.find((c) => c.id === made.value && c.preview !== null)?.name);
}

test("a group's name has neither control nor format characters, and one line", async () => {
  assert.equal(await shownToBen("Gar\u202eden\u2028\u0007\u00ad"), "Garden");
  assert.equal([...(await shownToBen("\u{1f331}".repeat(1000)))].length, 100);
});

test("a group whose name shows nothing is called by its members", async () => {
  assert.equal(await shownToBen("\u200b\u2066 \u00a0"), ann.name);
  assert.equal(await shownToBen("\u200d\u3164"), ann.name);
});

test("what a name needs stays", () => {
  for (const name of ["Garden", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "\u{1f469}\u200d\u{1f469}\u200d\u{1f466}", "A  b"]) {
    assert.equal(shownName(name), name);
  }
  assert.equal(shownName("\ud83c"), "\ufffd");
});
