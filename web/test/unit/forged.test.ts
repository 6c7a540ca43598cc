// Messages that somebody who no longer takes part writes together with the server, by another client than this one.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { random } from "../../core/crypto/bytes.ts";
import { canonical, type JsonObject } from "../../core/crypto/canonical.ts";
import { beginning, nextLink } from "../../core/crypto/chain.ts";
import { announcementHash } from "../../core/crypto/epoch.ts";
import { unwrapWithAny } from "../../core/crypto/keys.ts";
import { seal } from "../../core/crypto/message.ts";
import type { Backend } from "../../core/store/backend.ts";
import { memoryBackend } from "../../core/store/memory.ts";
import { Store } from "../../core/store/store.ts";
import { articlesOf, Person } from "../world/person.ts";
import { Version4 } from "../world/version-4.ts";

const server = new Version4();
const backends = new Map<Person, Backend>();
after(() => Promise.all([...backends.keys()].map(({ client }) => client.close())));

async function joins(name: string): Promise<Person> {
  const backend = memoryBackend();
  const person = await Person.joins(name, { http: server.http, openSocket: server.openSocket, onFault: () => undefined, backend });
  backends.set(person, backend);
  return person;
}

const [ann, ben, cleo] = await Promise.all([joins("Ann"), joins("Ben"), joins("Cleo")]);
await ann.befriends(ben);
await ann.befriends(cleo);
await ben.befriends(cleo);

async function groupOf(...others: Person[]): Promise<string> {
  const made = await ann.client.createGroup("Garden", others.map(({ id }) => id));
  assert.ok(made.ok);
  for (const one of others) await one.sees("the group", ({ conversations }) => conversations.some(({ id }) => id === made.value));
  for (const one of [ann, ...others]) await one.client.open(made.value);
  return made.value;
}

const conversationOf = (id: string) => server.conversations.get(id) ?? assert.fail();

/** The server stores what somebody seals under the secret of an epoch, which `from` has. */
async function slipsIn(id: string, writer: Person, epoch: number, from: Person, type: "Message" | "Update", fields: JsonObject): Promise<void> {
  const sessionOf = async (person: Person) => (await new Store(backends.get(person) ?? assert.fail()).session()) ?? assert.fail();
  const conversation = conversationOf(id);
  const announced = conversation.epochs.find((one) => one.epoch === epoch) ?? assert.fail();
  const secret = await unwrapWithAny(announced.secrets[from.id] ?? "", (await sessionOf(from)).keys);
  const { user, station, keys } = await sessionOf(writer);
  const message = crypto.randomUUID();
  const place = { conversation: id, instance: conversation.instance, message, user, station, type };
  const body = canonical({ v: 1, at: "2026-11-24 12:00:00", ep: await announcementHash(announced.announcement), ...fields });
  const Data = await seal({ epoch, secret }, keys.sign ?? assert.fail(), place, body, random(12));
  const last = conversation.messages.at(-1);
  const Seq = (last?.Seq ?? 0) + 1;
  const Chain = await nextLink(last?.Chain ?? (await beginning(id, conversation.instance)), { seq: Seq, id: message, data: Data });
  const times = { Created: "2026-11-24 12:00:00", ValidUntil: "2126-11-24 12:00:00" };
  conversation.messages.push({ ID: message, Type: type, ...times, Data, User: user, Station: station, Seq, Chain });
}

const troublesOf = (person: Person) => articlesOf(person.client.state.log?.entries ?? []).map(({ text, trouble }) => [text, trouble]);

test("a signed message without a number, or without what its writer had seen, counts for nothing", async () => {
  const id = await groupOf(ben);
  await ben.types(id, "Stays");
  const { id: target } = await ann.reads("Stays");
  assert.ok((await ann.client.renewKeys(id)).ok);
  await ann.types(id, "In the second epoch");
  await ben.reads("In the second epoch");
  const { instance } = conversationOf(id);
  const head = [0, await beginning(id, instance)];
  for (const fields of [{}, { n: 7 }, { head }]) {
    await slipsIn(id, ann, 1, ann, "Update", { kind: "delete", of: [target], ...fields });
    await slipsIn(id, ann, 1, ann, "Message", { kind: "text", text: "Forged", ...fields });
  }
  await ann.types(id, "After it");
  await ben.reads("After it");
  const readable = troublesOf(ben).filter(([text]) => text !== "");
  assert.deepEqual(readable.map(([text]) => text), ["Stays", "In the second epoch", "After it"]);
  assert.equal(troublesOf(ben).filter(([, trouble]) => trouble === "neverReadable").length, 3);
});

test("in the present epoch only those in its roster write", async () => {
  const id = await groupOf(ben, cleo);
  await cleo.types(id, "While I was here");
  await ben.reads("While I was here");
  assert.ok((await ann.client.removeMember(id, cleo.id)).ok);
  await ann.types(id, "Without Cleo");
  await ben.reads("Without Cleo");
  const head = [0, await beginning(id, conversationOf(id).instance)];
  await slipsIn(id, cleo, 2, ann, "Message", { kind: "text", text: "Still here", head, n: 2 });
  server.announceTo(ben.id);
  assert.equal((await ben.reads("Still here")).trouble, "forked");
  assert.deepEqual(troublesOf(ben).filter(([, trouble]) => trouble === null).map(([text]) => text), ["While I was here", "Without Cleo"]);
});

test("what somebody wrote before they left is theirs, before the next epoch and after it", async () => {
  const id = await groupOf(ben, cleo);
  await cleo.types(id, "Goodbye");
  await ben.reads("Goodbye");
  assert.ok((await cleo.client.leave(id)).ok);
  await ben.sees("two members", ({ conversations }) => conversations.some((c) => c.id === id && c.memberCount === 2));
  assert.equal(conversationOf(id).epochs.length, 1);
  const there = await ben.onAnotherDevice({ http: server.http, openSocket: server.openSocket, onFault: () => undefined });
  after(() => there.client.close());
  await there.sees("the group", ({ conversations }) => conversations.some((c) => c.id === id));
  await there.client.open(id);
  for (const one of [ben, there]) assert.equal((await one.reads("Goodbye")).trouble, null);
  await ben.types(id, "Only us now");
  await there.reads("Only us now");
  assert.equal(conversationOf(id).epochs.length, 2);
  for (const one of [ben, there]) assert.equal((await one.reads("Goodbye")).trouble, null);
});
