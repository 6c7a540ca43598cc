// What can be said of a message: whom it has reached, and when, and whether it continues what is before it.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import type { Client, MessageInfo } from "../../core/index.ts";
import { Person } from "../world/person.ts";
import { Version4 } from "../world/version-4.ts";

const server = new Version4();
server.keepsReports = true;
const ports = { http: server.http, openSocket: server.openSocket, onFault: () => undefined };
const everyone: Client[] = [];
after(() => Promise.all(everyone.map((client) => client.close())));
const joins = async (name: string): Promise<Person> => {
  const person = await Person.joins(name, ports);
  everyone.push(person.client);
  return person;
};

const [ann, ben] = await Promise.all([joins("Ann"), joins("Ben")]);
const id = await ann.befriends(ben);
const stored = () => server.conversations.get(id);

async function infoOf(person: Person, text: string): Promise<MessageInfo> {
  const info = await person.client.info(id, (await person.reads(text)).id);
  assert.ok(info);
  return info;
}

test("it says who has got and seen a message, and when they said so", async () => {
  await ann.client.open(id);
  await ann.types(id, "Hello");
  await ben.client.open(id);
  const { id: hello } = await ben.reads("Hello");
  const waiting = await ann.sees("that it arrived", ({ log }) => log?.entries.find((one) => one.kind === "article" && one.state === "delivered"));
  assert.equal(waiting.id, hello);
  assert.deepEqual((await infoOf(ann, "Hello")).seen, []);
  ben.client.seenUpTo(id, hello);
  await ann.sees("that it was seen", ({ log }) => log?.entries.some((one) => one.kind === "article" && one.state === "seen"));
  const { delivered, seen } = await infoOf(ann, "Hello");
  const at = (type: string): number => Date.parse(`${String(stored()?.reports.find(({ Type }) => Type === type)?.["Created"])}Z`);
  assert.deepEqual(delivered, [{ name: "Ben", at: at("delivered") }]);
  assert.deepEqual(seen, [{ name: "Ben", at: at("viewed") }]);
  // Others' messages do not say it.
  assert.deepEqual((await infoOf(ben, "Hello")).delivered.filter((one) => one.at !== null), []);
});

test("it names the message's place in the chain, and says whether it fits there", async () => {
  await ann.types(id, "Second");
  await ben.reads("Second");
  // Ben may have it before Ann has heard that it is stored, and where.
  await ann.sees("that it is sent", ({ log }) => log?.entries.every((one) => one.kind !== "article" || one.state !== "sending"));
  for (const person of [ann, ben]) {
    for (const [i, text] of ["Hello", "Second"].entries()) {
      const { seq, chain, fits, signed } = await infoOf(person, text);
      assert.deepEqual({ seq, chain, fits, signed }, { seq: i + 1, chain: stored()?.messages[i]?.Chain, fits: true, signed: true });
    }
  }
  // A server that has taken something back, and shows the rest to a new device.
  const first = stored()?.messages[0];
  assert.ok(first);
  first.Chain = "00".repeat(32);
  const again = await ann.onAnotherDevice(ports);
  everyone.push(again.client);
  await again.sees("the conversation", ({ conversations }) => conversations.some((one) => one.id === id && one.preview !== null));
  await again.client.open(id);
  const { fits, signed } = await infoOf(again, "Second");
  assert.deepEqual({ fits, signed }, { fits: false, signed: true });
});
