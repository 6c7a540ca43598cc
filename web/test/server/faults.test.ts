import assert from "node:assert/strict";
import { after, test } from "node:test";
import { startClient } from "../../core/index.ts";
import { memoryBackend } from "../../core/store/memory.ts";
import { nodePorts } from "../../node/ports.ts";
import { Network } from "../world/faults.ts";
import { randomOf } from "../world/random.ts";
import { address, articlesOf, Person } from "../world/person.ts";

const seed = Number(process.env["SEED"] ?? Date.now() % 1_000_000);
console.log(`seed ${seed}`);
const endings: (() => Promise<void>)[] = [];
after(() => Promise.all(endings.map((end) => end())));

test("whatever is lost on the way, messages arrive once and in order", async () => {
  const random = randomOf(seed);
  const networks = [new Network(random), new Network(random)] as const;
  const [ann, ben] = await Promise.all([
    Person.joins("Ann", { http: networks[0].http, openSocket: networks[0].openSocket }),
    Person.joins("Ben", { http: networks[1].http, openSocket: networks[1].openSocket }),
  ]);
  endings.push(ann.client.close, ben.client.close);
  const id = await ann.befriends(ben);
  await Promise.all([ann.client.open(id), ben.client.open(id)]);
  for (const network of networks) network.faults = 0.15;
  for (let i = 0; i < 30; i++) {
    await ann.types(id, `Ann ${i}`);
    if (i % 2 === 0) await ben.types(id, `Ben ${i}`);
    if (random() < 0.2) networks[0].cut();
    if (random() < 0.2) networks[1].cut();
    if (random() < 0.5) ann.client.connectNow();
  }
  for (const network of networks) network.faults = 0;
  for (const { client } of [ann, ben]) client.connectNow();
  const isAll = (texts: string[]): boolean => texts.length === 45;
  for (const one of [ann, ben]) {
    await one.sees("all messages", ({ waiting, log }) => waiting === 0 && isAll(articlesOf(log?.entries ?? []).map(({ text }) => text)));
  }
  assert.deepEqual(ann.texts(), ben.texts());
  const by = (who: string): string[] => ann.texts().filter((text) => text.startsWith(who));
  assert.deepEqual(by("Ann"), Array.from({ length: 30 }, (_, i) => `Ann ${i}`));
  assert.deepEqual(by("Ben"), Array.from({ length: 15 }, (_, i) => `Ben ${2 * i}`));
  assert.ok(articlesOf(ann.client.state.log?.entries ?? []).every(({ trouble }) => trouble === null));
});

test("a program that stops in the middle sends the rest when it starts again", async () => {
  const backend = memoryBackend();
  const network = new Network(randomOf(seed));
  const ann = await Person.joins("Ann", { backend: { ...backend, close: () => undefined }, http: network.http, openSocket: network.openSocket });
  const ben = await Person.joins("Ben");
  endings.push(ben.client.close);
  const id = await ann.befriends(ben);
  await ben.client.open(id);
  await ann.types(id, "Before");
  await ben.reads("Before");
  network.faults = 1;
  network.cut();
  for (const text of ["One", "Two", "Three"]) await ann.types(id, text);
  await ann.client.close();

  const again = await startClient(nodePorts(address, { backend }));
  endings.push(again.close);
  assert.equal(again.state.session.kind, "in");
  await ben.reads("Three");
  assert.deepEqual(ben.texts(), ["Before", "One", "Two", "Three"]);
});

test("a clock that is wrong by an hour is corrected", async () => {
  const clock = { ...nodePorts(address).clock, now: () => Date.now() - 3_600_000 };
  const ann = await Person.joins("Ann", { clock });
  const ben = await Person.joins("Ben");
  endings.push(ann.client.close, ben.client.close);
  const id = await ann.befriends(ben);
  await ben.client.open(id);
  await ann.types(id, "What time is it?");
  const { at } = await ben.reads("What time is it?");
  assert.ok(Math.abs(at - Date.now()) < 300_000);
});

test("a message that cannot be sent waits for its writer, and those behind it wait, too", async () => {
  const [ann, ben] = await Promise.all([Person.joins("Ann"), Person.joins("Ben")]);
  endings.push(ann.client.close, ben.client.close);
  const id = await ann.befriends(ben);
  await Promise.all([ann.client.open(id), ben.client.open(id)]);
  assert.ok((await ben.client.block(ann.id, true)).ok);
  await ann.types(id, "Are you there?");
  await ann.types(id, "Hello?");
  const held = await ann.sees("a held message", ({ log }) => articlesOf(log?.entries ?? []).find(({ state }) => state === "notSent"));
  assert.equal(held.held?.kind, "blocksYou");
  assert.equal(ann.client.state.waiting, 2);
  assert.ok((await ben.client.block(ann.id, false)).ok);
  await ann.client.discard(id, held.id);
  await ben.reads("Hello?");
  assert.deepEqual(ben.texts(), ["Hello?"]);
});

test("what waits is sent one after the other, whatever the socket says of it, and its rows are fetched together", async () => {
  const network = new Network(randomOf(seed));
  const [ann, ben] = await Promise.all([Person.joins("Ann", { http: network.http, openSocket: network.openSocket }), Person.joins("Ben")]);
  endings.push(ann.client.close, ben.client.close);
  const id = await ann.befriends(ben);
  await Promise.all([ann.client.open(id), ben.client.open(id)]);
  await ann.types(id, "Before");
  await ben.reads("Before");
  await ann.sees("it sent", ({ log }) => articlesOf(log?.entries ?? []).every(({ state }) => state !== "sending") || undefined);
  network.silent = true;
  const fetchedBefore = network.asked.get("download") ?? 0;
  const texts = Array.from({ length: 60 }, (_, i) => `Ann ${i}`);
  for (const text of texts) await ann.types(id, text);
  await ann.sees("all sent", ({ waiting }) => waiting === 0 || undefined);
  await ben.reads("Ann 59");
  for (const one of [ann, ben]) assert.deepEqual(one.texts(), ["Before", ...texts]);
  // None of them names a number that another one has, or leaves one out.
  assert.ok(articlesOf(ben.client.state.log?.entries ?? []).every(({ trouble }) => trouble === null));
  const fetched = (network.asked.get("download") ?? 0) - fetchedBefore;
  assert.ok(fetched < 20, `${fetched} requests for the rows of ${texts.length} messages`);
});

test("a message that was stored and cleared before anyone heard of it does not hold up those behind it", async () => {
  const network = new Network(randomOf(seed));
  const [ann, ben] = await Promise.all([Person.joins("Ann", { http: network.http, openSocket: network.openSocket }), Person.joins("Ben")]);
  endings.push(ann.client.close, ben.client.close);
  const id = await ann.befriends(ben);
  await Promise.all([ann.client.open(id), ben.client.open(id)]);
  await ann.types(id, "Before");
  await ben.reads("Before");
  await ann.sees("it sent", ({ log }) => articlesOf(log?.entries ?? []).every(({ state }) => state !== "sending") || undefined);
  network.silent = true;
  network.loses = "add";
  await ann.types(id, "Stored, and unanswered");
  await ben.reads("Stored, and unanswered");
  assert.ok((await ben.client.clear(id)).ok);
  network.loses = null;
  network.silent = false;
  ann.client.connectNow();
  await ann.sees("an empty outbox", ({ waiting }) => waiting === 0 || undefined);
  await ann.types(id, "After");
  await ben.reads("After");
  assert.deepEqual(ben.texts(), ["After"]);
  assert.ok(articlesOf(ben.client.state.log?.entries ?? []).every(({ trouble }) => trouble === null));
});
