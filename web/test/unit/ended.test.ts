// Friendships that have ended: the conversation says so as soon as the server does, and not only when a message is refused.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import type { Barrier } from "../../core/model/view.ts";
import { memoryBackend } from "../../core/store/memory.ts";
import { Person } from "../world/person.ts";
import { Version4 } from "../world/version-4.ts";

const server = new Version4();
const ports = { http: server.http, openSocket: server.openSocket, onFault: () => undefined };
const [ann, ben, cleo] = await Promise.all(["Ann", "Ben", "Cleo"].map((name) => Person.joins(name, ports)));
assert.ok(ann && ben && cleo);
after(() => Promise.all([ann, ben, cleo].map(({ client }) => client.close())));

const isAt = (person: Person, id: string, kind: Barrier["kind"] | undefined): Promise<Barrier | true> =>
  person.sees(`the barrier ${kind}`, ({ conversations }) => {
    const one = conversations.find((c) => c.id === id);
    return one !== undefined && one.barrier?.kind === kind && (one.barrier ?? true);
  });

test("a friendship that the other one ends closes the conversation for both, until they are friends again", async () => {
  const id = await ann.befriends(ben);
  for (const one of [ann, ben]) await isAt(one, id, undefined);
  server.unfriend(ben.id, ann.id);
  assert.deepEqual(await isAt(ann, id, "ended"), { kind: "ended", user: ben.id, name: "Ben" });
  await isAt(ben, id, "ended");
  // What comes later does not open it.
  server.announceTo(ann.id);
  await ben.client.setKeep(id, "week");
  await isAt(ann, id, "ended");
  await ann.befriends(ben);
  for (const one of [ann, ben]) await isAt(one, id, undefined);
});

test("a contact's deleted account is shown with its former name, on a new device, too", async () => {
  const id = await ann.befriends(cleo);
  const { name } = cleo;
  await cleo.client.close();
  server.deleteAccount(cleo.id);
  assert.deepEqual(await isAt(ann, id, "left"), { kind: "left", name });
  const there = await ann.onAnotherDevice({ ...ports, backend: memoryBackend() });
  after(() => there.client.close());
  assert.deepEqual(await isAt(there, id, "left"), { kind: "left", name });
});
