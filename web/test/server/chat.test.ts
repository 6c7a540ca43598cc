import assert from "node:assert/strict";
import { after, test } from "node:test";
import { articlesOf, password, Person } from "../world/person.ts";

const everyone: Person[] = [];
const joins = async (name: string): Promise<Person> => {
  const person = await Person.joins(name);
  everyone.push(person);
  return person;
};
after(() => Promise.all(everyone.map(({ client }) => client.close())));

test("two people become friends and chat", async () => {
  const [ann, ben] = await Promise.all([joins("Ann"), joins("Ben")]);
  const id = await ann.befriends(ben);
  await Promise.all([ann.client.open(id), ben.client.open(id)]);
  await ann.types(id, "Hello, Ben");
  const hello = await ben.reads("Hello, Ben");
  assert.equal(hello.name, "Ann");
  assert.equal(hello.own, false);
  await ann.sees("delivered", ({ log }) => articlesOf(log?.entries ?? []).some(({ state }) => state === "delivered"));
  ben.client.seenUpTo(id, hello.id);
  await ann.sees("seen", ({ log }) => articlesOf(log?.entries ?? []).some(({ state }) => state === "seen"));

  await ben.client.react(id, hello.id, "👍", true);
  await ann.sees("a reaction", ({ log }) => articlesOf(log?.entries ?? []).some(({ reactions }) => reactions[0]?.names[0] === "Ben"));
  await ann.client.edit(id, hello.id, { text: "Hello, dear Ben", reply: null, mentions: new Map() });
  assert.ok((await ben.reads("Hello, dear Ben")).edited);
  const info = await ben.client.info(id, hello.id);
  assert.deepEqual(info?.versions.map(({ text }) => text), ["Hello, Ben", "Hello, dear Ben"]);

  await ben.client.send(id, { text: "Yes?", reply: { ...hello, id: hello.id }, mentions: new Map([["@Ann", ann.id]]) });
  const reply = await ann.reads("Yes?");
  assert.equal(reply.reply?.quote, "Hello, dear Ben");
  assert.equal(reply.mentions.get("Ann"), ann.id);
  await ben.client.erase(id, reply.id);
  await ann.sees("a deletion", ({ log }) => articlesOf(log?.entries ?? []).some(({ deleted }) => deleted));
});

test("messages keep their order, and another device has them all", async () => {
  const [ann, ben] = await Promise.all([joins("Ann"), joins("Ben")]);
  const id = await ann.befriends(ben);
  await ben.client.open(id);
  const texts = Array.from({ length: 120 }, (_, i) => `Message ${i}`);
  for (const text of texts) await ann.types(id, text);
  await ben.reads("Message 119");
  assert.deepEqual(ben.texts(), texts);
  await ann.sees("nothing waiting", ({ waiting }) => waiting === 0);

  const later = await ann.onAnotherDevice();
  everyone.push(later);
  await later.sees("the conversation", ({ conversations, connection }) => connection.kind === "live" && conversations.length === 1);
  await later.client.open(id);
  await later.reads("Message 119");
  while (later.client.state.log?.older) await later.client.loadOlder(id);
  assert.deepEqual(later.texts(), texts);
  await later.types(id, "From my telephone");
  await ben.reads("From my telephone");
  await later.sees("nothing waiting", ({ waiting }) => waiting === 0);
  const found = await later.client.search("TELEphone", null);
  assert.equal(found.hits.length, 1);
});

test("a group, and what each one sets of it", async () => {
  const [ann, ben, cleo] = await Promise.all([joins("Ann"), joins("Ben"), joins("Cleo")]);
  await Promise.all([ann.befriends(ben), ann.befriends(cleo)]);
  const made = await ann.client.createGroup("Book club", [ben.id, cleo.id]);
  assert.ok(made.ok);
  const id = made.value;
  await Promise.all(
    [ben, cleo].map(async (one) => {
      await one.sees("the group", ({ conversations }) => conversations.some((c) => c.id === id && c.name === "Book club"));
      await one.client.open(id);
    }),
  );
  await ann.types(id, "Welcome");
  await Promise.all([ben.reads("Welcome"), cleo.reads("Welcome")]);
  await cleo.sees("one unread", ({ conversations }) => conversations.find((c) => c.id === id)?.unread === 1);
  assert.ok((await ben.client.change(id, { favorite: true, muted: true, color: "#aabbcc" })).ok);
  const mine = await ben.sees("a favorite", ({ conversations }) => conversations.find((c) => c.id === id && c.color !== ""));
  assert.deepEqual([mine.favorite, mine.muted, mine.color, mine.memberCount], [true, true, "#aabbcc", 3]);
  assert.ok((await ann.client.rename(id, "Reading")).ok);
  await ben.sees("the new name", ({ conversations }) => conversations.some((c) => c.name === "Reading"));
  assert.ok((await ann.client.removeMember(id, cleo.id)).ok);
  await cleo.sees("that she was removed", ({ conversations }) => conversations.some((c) => c.id === id && c.barrier?.kind === "removed"));
  assert.ok((await ann.client.clear(id)).ok);
  await ben.sees("an empty log", ({ log }) => log?.entries.length === 0);
  await ben.types(id, "From the beginning");
  await ann.client.open(id);
  await ann.reads("From the beginning");
});

test("a wrong password, and logging out", async () => {
  const ann = await joins("Ann");
  const { client } = ann;
  await client.logOut();
  assert.deepEqual(client.state.session, { kind: "out", why: null });
  assert.deepEqual(await client.logIn(ann.email, "another password"), { ok: false, failure: { kind: "login" } });
  assert.deepEqual(await client.logIn(ann.email, password), { ok: true, value: null });
  assert.equal(client.state.session.kind, "in");
});
