// Epochs, signatures and invitations against a real server that has the calls for them; others skip what they do not offer.

import assert from "node:assert/strict";
import { after, test, type TestContext } from "node:test";
import { startClient } from "../../core/index.ts";
import { readInvitation } from "../../core/model/invitation.ts";
import type { Article } from "../../core/model/view.ts";
import { nodePorts } from "../../node/ports.ts";
import { address, articlesOf, password, Person } from "../world/person.ts";

const endings: (() => Promise<void>)[] = [];
after(() => Promise.all(endings.map((end) => end())));
const joins = async (name: string): Promise<Person> => {
  const person = await Person.joins(name);
  endings.push(person.client.close);
  return person;
};

/** Whether accounts of this server sign: then they have a recovery sheet. */
function signs(t: TestContext, { client }: Person): boolean {
  const { session } = client.state;
  if (session.kind === "in" && session.me.hasSheet) return true;
  t.skip("this server has accounts of the published form only");
  return false;
}
const proven = async (reader: Person, text: string): Promise<Article> => {
  const article = await reader.reads(text);
  assert.equal(article.trouble, null, text);
  return article;
};

test("a direct conversation is signed from the first message on", async (t) => {
  const [ann, ben] = await Promise.all([joins("Ann"), joins("Ben")]);
  if (!signs(t, ann)) return;
  const id = await ann.befriends(ben);
  await Promise.all([ann.client.open(id), ben.client.open(id)]);
  await ann.types(id, "Hello");
  const { id: hello } = await proven(ben, "Hello");
  assert.ok((await ben.client.info(id, hello))?.signed);
  const again = await ann.onAnotherDevice();
  endings.push(again.client.close);
  await again.sees("the conversation", ({ conversations }) => conversations.some((c) => c.id === id));
  await again.client.open(id);
  await proven(again, "Hello");
});

test("each change of a group begins an epoch, and everyone who is in it reads on", async (t) => {
  const [ann, ben, cleo] = await Promise.all([joins("Ann"), joins("Ben"), joins("Cleo")]);
  if (!signs(t, ann)) return;
  for (const [one, other] of [[ann, ben], [ann, cleo], [ben, cleo]] as const) await one.befriends(other);
  const made = await ann.client.createGroup("Garden", [ben.id, cleo.id]);
  assert.ok(made.ok);
  const id = made.value;
  const sees = (one: Person, name: string): Promise<true> =>
    one.sees(`the group ${name}`, ({ conversations }) => conversations.some((c) => c.id === id && c.name === name) || undefined);
  await Promise.all([sees(ben, "Garden"), sees(cleo, "Garden")]);
  await Promise.all([ann, ben, cleo].map(({ client }) => client.open(id)));
  await ann.types(id, "All three");
  await Promise.all([proven(ben, "All three"), proven(cleo, "All three")]);
  assert.ok((await ann.client.removeMember(id, cleo.id)).ok);
  await ann.types(id, "Two");
  await proven(ben, "Two");
  assert.ok((await ann.client.addMembers(id, [cleo.id], false)).ok);
  await sees(cleo, "Garden");
  await cleo.client.open(id);
  await ben.types(id, "Welcome back");
  await proven(cleo, "Welcome back");
  const hidden = articlesOf(cleo.client.state.log?.entries ?? []).filter(({ trouble }) => trouble === "waitingForKey");
  assert.deepEqual(hidden.map(({ text }) => text), [""]);
  assert.ok((await ann.client.setAdmin(id, ben.id, true)).ok);
  assert.ok((await ben.client.renewKeys(id)).ok);
  await cleo.types(id, "After");
  await proven(ann, "After");
  assert.ok((await ann.client.rename(id, "Yard")).ok);
  await sees(cleo, "Yard");
  assert.ok((await cleo.client.leave(id)).ok);
  await ann.sees("two members", ({ conversations }) => conversations.some((c) => c.id === id && c.memberCount === 2));
  await ann.types(id, "The two of us");
  await proven(ben, "The two of us");
});

test("a new member reads earlier messages if an admin shares them", async (t) => {
  const [ann, ben, cleo] = await Promise.all([joins("Ann"), joins("Ben"), joins("Cleo")]);
  if (!signs(t, ann)) return;
  for (const other of [ben, cleo]) await ann.befriends(other);
  const made = await ann.client.createGroup("History", [ben.id]);
  assert.ok(made.ok);
  const id = made.value;
  await ann.client.open(id);
  await ann.types(id, "Before Cleo");
  await ann.sees("it sent", ({ waiting }) => waiting === 0 || undefined);
  assert.ok((await ann.client.addMembers(id, [cleo.id], true)).ok);
  await cleo.sees("the group", ({ conversations }) => conversations.some((c) => c.id === id) || undefined);
  await cleo.client.open(id);
  await proven(cleo, "Before Cleo");
});

test("a user who cannot be added is invited, and is a member once they have accepted", async (t) => {
  const [ann, ben, cleo] = await Promise.all([joins("Ann"), joins("Ben"), joins("Cleo")]);
  if (!signs(t, ann)) return;
  for (const other of [ben, cleo]) await ann.befriends(other);
  // A user who has left a group has to be invited to come back.
  const made = await ann.client.createGroup("Asked", [ben.id, cleo.id]);
  assert.ok(made.ok);
  const id = made.value;
  await cleo.sees("the group", ({ conversations }) => conversations.some((c) => c.id === id) || undefined);
  assert.ok((await cleo.client.leave(id)).ok);
  await ann.sees("two members", ({ conversations }) => conversations.some((c) => c.id === id && c.memberCount === 2) || undefined);
  assert.ok((await ann.client.addMembers(id, [cleo.id], false)).ok);
  const request = await cleo.sees("the invitation", ({ requests }) => requests.find((one) => one.kind === "group"));
  assert.ok((await cleo.client.answer(request, true)).ok);
  await ann.sees("three members", ({ conversations }) => conversations.some((c) => c.id === id && c.memberCount === 3 && c.barrier === null) || undefined, 75_000);
  await cleo.client.open(id);
  await ann.types(id, "Welcome back");
  await proven(cleo, "Welcome back");
});

test("members who are no friends of each other begin epochs for each other", async (t) => {
  const [ann, ben, cleo] = await Promise.all([joins("Ann"), joins("Ben"), joins("Cleo")]);
  if (!signs(t, ann)) return;
  for (const other of [ben, cleo]) await ann.befriends(other);
  const made = await ann.client.createGroup("Strangers", [ben.id, cleo.id]);
  assert.ok(made.ok);
  const id = made.value;
  await Promise.all([ben, cleo].map((one) => one.sees("the group", ({ conversations }) => conversations.some((c) => c.id === id) || undefined)));
  assert.ok((await ben.client.renewKeys(id)).ok);
  await cleo.client.open(id);
  await ben.types(id, "Under my secret");
  await proven(cleo, "Under my secret");
});

test("when the only admin leaves, the group goes on with another one", async (t) => {
  const [ann, ben, cleo] = await Promise.all([joins("Ann"), joins("Ben"), joins("Cleo")]);
  if (!signs(t, ann)) return;
  for (const [one, other] of [[ann, ben], [ann, cleo], [ben, cleo]] as const) await one.befriends(other);
  const made = await ann.client.createGroup("Orphans", [ben.id, cleo.id]);
  assert.ok(made.ok);
  const id = made.value;
  await Promise.all([ben, cleo].map((one) => one.sees("the group", ({ conversations }) => conversations.some((c) => c.id === id) || undefined)));
  assert.ok((await ann.client.leave(id)).ok);
  await Promise.all([ben, cleo].map((one) => one.sees("two members", ({ conversations }) => conversations.some((c) => c.id === id && c.memberCount === 2) || undefined)));
  await Promise.all([ben.client.open(id), cleo.client.open(id)]);
  await ben.types(id, "Only us");
  await proven(cleo, "Only us");
  const admins = [ben, cleo].filter(({ client }) => client.state.conversations.find((c) => c.id === id)?.admin);
  assert.equal(admins.length, 1);
  const [admin] = admins;
  assert.ok((await admin?.client.rename(id, "Family"))?.ok);
  await cleo.sees("the name", ({ conversations }) => conversations.some((c) => c.name === "Family") || undefined);
});

test("an invitation makes two people friends, and both keys verified", async (t) => {
  const ann = await joins("Ann");
  const made = await ann.client.invite();
  if (!made.ok) {
    t.skip("this server's people cannot invite");
    return;
  }
  const invitation = readInvitation(new URL(made.value.link ?? "").hash);
  assert.ok(invitation);
  const client = await startClient(nodePorts(address));
  endings.push(client.close);
  const email = `ben-${crypto.randomUUID()}@example.org`;
  assert.ok((await client.createAccount({ invitation, email, name: "Ben", password })).ok);
  const id = await client.enter(true);
  assert.ok(id);
  assert.equal(client.state.people.get(ann.id)?.trust, "verified");
  await ann.sees("Ben, verified", ({ people }) => [...people.values()].some(({ trust }) => trust === "verified"));
  await client.send(id, { text: "Thank you", reply: null, mentions: new Map() });
  await ann.client.open(id);
  await ann.reads("Thank you");
  assert.deepEqual(await ann.client.invitations(), []);
});
