// Settings that a user's devices share, in their saved messages.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { type Client, type Keep, startClient } from "../../core/index.ts";
import { nodePorts } from "../../node/ports.ts";
import { articlesOf, Person, password } from "../world/person.ts";
import { Version4 } from "../world/version-4.ts";

const server = new Version4();
const ports = { http: server.http, openSocket: server.openSocket, onFault: (error: unknown) => faults.push(error) };
const faults: unknown[] = [];
const everyone: Client[] = [];
after(() => Promise.all(everyone.map((client) => client.close())));

const joins = async (name: string): Promise<Person> => {
  const person = await Person.joins(name, ports);
  everyone.push(person.client);
  return person;
};
async function logsIn(email: string): Promise<Client> {
  const client = await startClient(nodePorts("", ports));
  everyone.push(client);
  assert.ok((await client.logIn(email, password)).ok);
  return client;
}
const until = (clients: readonly Client[], holds: () => boolean): Promise<void> =>
  new Promise((resolve) => {
    const look = (): void => {
      if (!holds()) return;
      for (const end of ends) end();
      resolve();
    };
    const ends = clients.map((client) => client.subscribe(look));
    look();
  });
const keepOf = ({ state }: Client, id: string): Keep | undefined => state.conversations.find((c) => c.id === id)?.keep;
const keeps = (client: Client, id: string, keep: Keep): Promise<void> => until([client], () => keepOf(client, id) === keep);

const [ann, ben] = await Promise.all([joins("Ann"), joins("Ben")]);
const direct = await ann.befriends(ben);

test("how long messages are kept is set on all of a user's devices, also on later ones, and for nobody else", async () => {
  const phone = await logsIn(ann.email);
  await keeps(phone, direct, "forever");
  assert.ok((await ann.client.setKeep(direct, "week")).ok);
  await Promise.all([keeps(ann.client, direct, "week"), keeps(phone, direct, "week")]);
  await phone.send(direct, { text: "For a week", reply: null, mentions: new Map() });
  await ben.client.open(direct);
  const { at, until: end } = await ben.reads("For a week");
  assert.equal(Math.round(((end ?? 0) - at) / 86_400_000), 7);
  assert.ok((await phone.setKeep(direct, "day")).ok);
  await Promise.all([keeps(ann.client, direct, "day"), keeps(phone, direct, "day")]);
  const tablet = await logsIn(ann.email);
  await keeps(tablet, direct, "day");
  assert.ok(ben.client.state.conversations.every(({ keep }) => keep === "forever"));
  // What is shared is no message to be read.
  const saved = tablet.state.conversations.find(({ kind }) => kind === "saved");
  assert.ok(saved);
  assert.deepEqual([saved.unread, saved.preview, saved.lastState], [0, null, null]);
  await tablet.open(saved.id);
  assert.deepEqual(articlesOf(tablet.state.log?.entries ?? []), []);
  assert.deepEqual(faults, []);
});

test("devices that choose at the same moment end with the same", async () => {
  const phone = await logsIn(ann.email);
  await keeps(phone, direct, "day");
  const chosen = await Promise.all([ann.client.setKeep(direct, "month"), phone.setKeep(direct, "year")]);
  assert.ok(chosen.every(({ ok }) => ok));
  const both = [ann.client, phone];
  const isNew = (client: Client): boolean => ["month", "year"].includes(keepOf(client, direct) ?? "");
  await until(both, () => both.every((client) => client.state.waiting === 0 && isNew(client)) && keepOf(ann.client, direct) === keepOf(phone, direct));
  const tablet = await logsIn(ann.email);
  await until([...both, tablet], () => both.every((client) => keepOf(client, direct) === keepOf(tablet, direct)));
});

test("a setting counts, although what was written before it is withheld", async () => {
  const before = await logsIn(ann.email);
  for (const keep of ["month", "week"] as const) {
    await ann.client.setKeep(direct, keep);
    await keeps(before, direct, keep);
  }
  const saved = [...server.conversations.values()].find(({ isGroup, participants }) => isGroup && participants.size === 1);
  assert.ok(saved);
  saved.messages.splice(-2, 1);
  const phone = await Person.logsIn("Ann", ann.email, ports);
  everyone.push(phone.client);
  await phone.sees("the setting", ({ conversations }) => conversations.some(({ id, keep }) => id === direct && keep === "week"));
});
