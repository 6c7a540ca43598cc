// A server whose database was restored from an older backup: it is distinguished from a forged key log as far as possible, and accepted
// when the user says so.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import type { Client } from "../../core/index.ts";
import { readVault } from "../../core/crypto/vault.ts";
import type { Http } from "../../core/ports.ts";
import { memoryBackend } from "../../core/store/memory.ts";
import { articlesOf, password, Person } from "../world/person.ts";
import { Version4 } from "../world/version-4.ts";

const everyone: Client[] = [];
after(() => Promise.all(everyone.map((client) => client.close())));
const portsOf = (server: Version4) => ({ http: server.http, openSocket: server.openSocket, onFault: () => undefined });
const joins = async (server: Version4, name: string): Promise<Person> => {
  const person = await Person.joins(name, portsOf(server));
  everyone.push(person.client);
  return person;
};

/** Two who write to each other, and what was lost since the backup: a vault, somebody's card, an epoch and a message. */
async function restored() {
  const server = new Version4();
  const [ann, ben] = await Promise.all([joins(server, "Ann"), joins(server, "Ben")]);
  const id = await ann.befriends(ben);
  await Promise.all([ann.client.open(id), ben.client.open(id)]);
  await ann.types(id, "Kept");
  await ben.reads("Kept");
  const backup = server.backup();
  await joins(server, "Cleo");
  await ann.client.verify(ben.id);
  assert.ok((await ann.client.renewKeys(id)).ok);
  await ann.types(id, "Lost");
  await ben.reads("Lost");
  return { server, ann, ben, id, restore: () => server.restore(backup) };
}

const alarmOf = (person: Person, wanted: string) => person.sees(`the alarm ${wanted}`, ({ alarm }) => (alarm.includes(wanted as never) ? alarm : undefined));

test("a restored log raises its own alarm, is accepted by hand only, and then everything goes on", async () => {
  const { server, ann, ben, id, restore } = await restored();
  restore();
  for (const person of [ann, ben]) {
    server.announceTo(person.id);
    await alarmOf(person, "log");
    assert.deepEqual(await person.client.acceptRestored(), { ok: true, value: null });
    await person.sees("no alarm", ({ alarm }) => alarm.length === 0 || undefined);
  }
  for (const person of [ann, ben]) {
    await person.client.open(id);
    await person.reads("Kept");
    await person.sees("only what was kept", () => person.texts().join() === "Kept" || undefined);
  }
  await ann.types(id, "And on");
  assert.equal((await ben.reads("And on")).trouble, null);
  await ben.types(id, "As before");
  assert.equal((await ann.reads("As before")).trouble, null);
  const info = await ann.client.info(id, (await ann.reads("As before")).id);
  assert.deepEqual([info?.seq, info?.fits, info?.signed], [3, true, true]);
});

test("what was written while nobody had accepted is sent afterwards", async () => {
  const { server, ann, ben, id, restore } = await restored();
  restore();
  server.announceTo(ann.id);
  await alarmOf(ann, "log");
  await ann.types(id, "Waits");
  await ann.sees("that it is held", ({ log }) => articlesOf(log?.entries ?? []).some(({ held }) => held !== null));
  for (const person of [ann, ben]) assert.ok((await person.client.acceptRestored()).ok);
  await ben.client.open(id);
  for (const { held, id: message } of articlesOf(ann.client.state.log?.entries ?? [])) if (held) await ann.client.retry(id, message);
  assert.equal((await ben.reads("Waits")).trouble, null);
});

test("a contact whose newest keys were lost has to be looked at", async () => {
  const { server, ann, ben, id, restore } = await restored();
  assert.ok((await ben.client.newKeys(password)).ok);
  await ann.sees("Ben's new keys", () => server.entries.length > 3 || undefined);
  server.announceTo(ann.id);
  await ann.sees("his new card", ({ log }) => log?.entries.some((one) => one.kind === "line" && one.what.kind === "newKeys"));
  restore();
  server.announceTo(ann.id);
  await alarmOf(ann, "log");
  assert.ok((await ann.client.acceptRestored()).ok);
  assert.equal(ann.client.state.people.get(ben.id)?.trust, "changed");
  const shown = await ann.sees("a barrier", ({ conversations }) => conversations.find((one) => one.id === id && one.barrier !== null));
  assert.equal(shown.barrier?.kind, "keysChanged");
});

test("a log that no backup explains is reported as forged, and cannot be accepted", async () => {
  const { server, ann, restore } = await restored();
  restore();
  // Somebody else's key signs it.
  server.signsWithAnotherKey();
  server.announceTo(ann.id);
  assert.ok(!(await alarmOf(ann, "keys")).includes("log"));
  assert.deepEqual(await ann.client.acceptRestored(), { ok: false, failure: { kind: "unsafe", by: "log" } });
  assert.ok(ann.client.state.alarm.includes("keys"));
});

test("a login with an older vault than this device has seen is possible by accepting a restored backup", async () => {
  const server = new Version4();
  const ann = await joins(server, "Ann");
  const backup = server.backup();
  const device = { ...memoryBackend(), close: () => undefined };
  const here = await ann.onAnotherDevice({ ...portsOf(server), backend: device });
  everyone.push(here.client);
  assert.ok((await here.client.newSheet(password)).ok);
  await here.client.logOut();
  const newer = readVault(server.accounts.get(ann.id)?.rsakey ?? "").version;
  server.restore(backup);
  assert.ok(readVault(server.accounts.get(ann.id)?.rsakey ?? "").version < newer);
  assert.deepEqual(await here.client.logIn(ann.email, password), { ok: false, failure: { kind: "unsafe", by: "vault" } });
  assert.deepEqual(await here.client.logIn(ann.email, password, true), { ok: true, value: null });
  // From then on what it has now is the newest that it has seen.
  await here.client.logOut();
  assert.ok((await here.client.logIn(ann.email, password)).ok);
});

test("a new device does not look for a message that a restored server has lost, although another one has written it into the vault", async () => {
  const server = new Version4();
  let wrote = (): void => undefined;
  const http: Http = async (path, body, ...rest) => {
    const answer = await server.http(path, body, ...rest);
    if (String(body).includes('"changevault"')) wrote();
    return answer;
  };
  const ben = await joins(server, "Ben");
  const ann = await Person.joins("Ann", { ...portsOf(server), http });
  everyone.push(ann.client);
  const id = await ann.befriends(ben);
  await Promise.all([ann.client.open(id), ben.client.open(id)]);
  await ann.types(id, "Kept");
  await ben.reads("Kept");
  const backup = server.backup();
  await ann.types(id, "Lost");
  await ann.sees("that it is sent", ({ log }) => articlesOf(log?.entries ?? []).some(({ text, state }) => text === "Lost" && state !== "sending"));
  const written = new Promise<void>((resolve) => { wrote = resolve; });
  await ann.client.verify(ben.id);
  await written;
  const { rsakey, version } = server.accounts.get(ann.id) ?? assert.fail();
  server.restore(backup);
  Object.assign(server.accounts.get(ann.id) ?? assert.fail(), { rsakey, version });
  for (const person of [ann, ben]) assert.ok((await person.client.acceptRestored()).ok);
  const other = await ann.onAnotherDevice(portsOf(server));
  everyone.push(other.client);
  await other.sees("the conversation", ({ conversations }) => conversations.some((one) => one.id === id));
  await other.client.open(id);
  await other.reads("Kept");
  await ben.client.open(id);
  await ben.types(id, "And on");
  await other.reads("And on");
  assert.deepEqual(articlesOf(other.client.state.log?.entries ?? []).map(({ text, trouble }) => [text, trouble]), [["Kept", null], ["And on", null]]);
});

test("a restored server is accepted once the vault is written, and not when the connection drops before", async () => {
  const server = new Version4();
  let isDropped = false;
  const http: Http = (path, body, ...rest) => {
    if (isDropped && String(body).includes('"changevault"')) return Promise.reject(new Error("the connection was lost"));
    return server.http(path, body, ...rest);
  };
  const ann = await Person.joins("Ann", { ...portsOf(server), http });
  everyone.push(ann.client);
  await ann.befriends(await joins(server, "Ben"));
  const group = await ann.client.createGroup("Garden", []);
  assert.ok(group.ok);
  const backup = server.backup();
  await ann.befriends(await joins(server, "Cleo"));
  server.restore(backup);
  server.announceTo(ann.id);
  await alarmOf(ann, "log");
  isDropped = true;
  assert.equal((await ann.client.acceptRestored()).ok, false);
  assert.deepEqual(ann.client.state.alarm, ["log"]);
  // Nor is it by the next comparison.
  assert.ok((await ann.client.leave(group.value)).ok);
  assert.deepEqual(ann.client.state.alarm, ["log"]);
  isDropped = false;
  assert.deepEqual(await ann.client.acceptRestored(), { ok: true, value: null });
  await ann.sees("no alarm", ({ alarm }) => alarm.length === 0 || undefined);
});

/** Two of whose messages a backup lacks the last one; its key log is the same. */
async function lost() {
  const server = new Version4();
  const [ann, ben] = await Promise.all([joins(server, "Ann"), joins(server, "Ben")]);
  const id = await ann.befriends(ben);
  await Promise.all([ann.client.open(id), ben.client.open(id)]);
  await ann.types(id, "Kept");
  await ben.reads("Kept");
  const backup = server.backup();
  await ann.types(id, "Lost");
  await ben.reads("Lost");
  await ann.sees("that it is sent", () => ann.client.state.waiting === 0 || undefined);
  const whole = server.backup();
  server.restore(backup);
  return { server, ann, ben, id, whole };
}

const isHeld = (person: Person, text: string) =>
  person.sees(`that "${text}" is held`, ({ log }) => articlesOf(log?.entries ?? []).find((one) => one.text === text && one.held?.kind === "lost"));
const noAlarm = (person: Person) => person.sees("no alarm", ({ alarm }) => alarm.length === 0 || undefined);

test("messages that a server has lost while its key log is the same raise an alarm, and nothing is lost behind them", async () => {
  const { server, ann, ben, id } = await lost();
  server.announceTo(ben.id);
  await alarmOf(ben, "lost");
  await ben.sees("the mark", ({ log }) => articlesOf(log?.entries ?? []).some(({ text, trouble }) => text === "Lost" && trouble === "forked"));
  await ben.types(id, "Waits");
  await isHeld(ben, "Waits");
  assert.equal(server.conversations.get(id)?.messages.length, 1);
  // Ann was told nothing: the server takes her message, and her device does not.
  await ann.types(id, "Unnoticed");
  const { id: message } = await isHeld(ann, "Unnoticed");
  assert.deepEqual(ann.client.state.alarm, ["lost"]);
  for (const person of [ann, ben]) {
    assert.ok((await person.client.acceptRestored()).ok);
    await noAlarm(person);
    await person.client.open(id);
  }
  await ann.client.retry(id, message);
  await ann.sees("that nothing waits", ({ waiting }) => waiting === 0 || undefined);
  for (const one of articlesOf(ben.client.state.log?.entries ?? [])) if (one.held) await ben.client.retry(id, one.id);
  await ann.reads("Waits");
  for (const person of [ann, ben]) await person.sees("the same", () => person.texts().join() === "Kept,Unnoticed,Waits" || undefined);
});

test("the alarm about lost messages ends when the server has them again", async () => {
  const { server, ann, ben, id, whole } = await lost();
  server.announceTo(ben.id);
  await alarmOf(ben, "lost");
  server.restore(whole);
  server.announceTo(ben.id);
  await noAlarm(ben);
  await ann.types(id, "And on");
  assert.equal((await ben.reads("And on")).trouble, null);
  assert.equal((await ben.reads("Lost")).trouble, null);
});
