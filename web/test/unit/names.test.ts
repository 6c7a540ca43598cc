// Names of groups: they are encrypted, so nobody but their readers can check them.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { unwrapWithAny } from "../../core/crypto/keys.ts";
import { openName } from "../../core/crypto/message.ts";
import type { Client } from "../../core/index.ts";
import { shownName } from "../../core/model/name.ts";
import { memoryBackend } from "../../core/store/memory.ts";
import { Store } from "../../core/store/store.ts";
import { Person } from "../world/person.ts";
import { Version4 } from "../world/version-4.ts";

const server = new Version4();
const ports = { http: server.http, openSocket: server.openSocket, onFault: () => undefined };
const everyone: Client[] = [];
after(() => Promise.all(everyone.map((client) => client.close())));

const annsBackend = memoryBackend();

async function joins(name: string, backend = memoryBackend()): Promise<Person> {
  const person = await Person.joins(name, { ...ports, backend });
  everyone.push(person.client);
  return person;
}

const [ann, ben] = await Promise.all([joins("Ann", annsBackend), joins("Ben")]);
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

test("new keys leave a group's name as it was written", async () => {
  const written = `Gar\u202eden ${"\u{1f331}".repeat(120)}`;
  const made = await ann.client.createGroup(written, [ben.id]);
  const own = await ann.client.saved();
  assert.ok(made.ok && own.ok);
  const { keys } = (await new Store(annsBackend).session()) ?? assert.fail();
  for (const [id, name] of [[made.value, written], [own.value, ""]] as const) {
    assert.ok((await ann.client.renewKeys(id)).ok);
    const { epochs, displaynames } = server.conversations.get(id) ?? assert.fail();
    const { epoch, secrets } = epochs.at(-1) ?? assert.fail();
    const under = { epoch, secret: await unwrapWithAny(secrets[ann.id] ?? "", keys) };
    const { body } = await openName(under, () => [], id, displaynames[ann.id] ?? "");
    assert.deepEqual([epoch, (JSON.parse(body) as { name: string }).name], [2, name]);
  }
});

test("a group without a name that all others have left does not become somebody's saved messages", async () => {
  const own = await ben.client.saved();
  assert.ok(own.ok);
  await ben.sees("saved messages", ({ conversations }) => conversations.some((c) => c.id === own.value && c.kind === "saved"));
  for (const name of ["", "\u200b"]) {
    const made = await ann.client.createGroup(name, [ben.id]);
    assert.ok(made.ok);
    await ben.sees("the group", ({ conversations }) => conversations.some((c) => c.id === made.value && c.memberCount === 2));
    assert.ok((await ann.client.leave(made.value)).ok);
    const left = await ben.sees("that Ann left", ({ conversations }) => conversations.find((c) => c.id === made.value && c.memberCount === 1));
    assert.deepEqual([left.kind, left.name], ["group", ben.name]);
    // Nor after the next epoch, which ends hers.
    await ben.client.open(made.value);
    await ben.types(made.value, "Alone");
    await ben.reads("Alone");
    assert.ok((await ben.client.renewKeys(made.value)).ok);
    assert.equal(ben.client.state.conversations.find((c) => c.id === made.value)?.kind, "group");
    assert.deepEqual(await ben.client.saved(), own);
  }
});
