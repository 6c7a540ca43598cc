import assert from "node:assert/strict";
import { after, test } from "node:test";
import { startClient, type Client } from "../../core/index.ts";
import { wrapSecret } from "../../core/crypto/keys.ts";
import { nodePorts } from "../../node/ports.ts";
import { articlesOf, Person, password } from "../world/person.ts";
import { Version4 } from "../world/version-4.ts";

const server = new Version4();
const ports = { http: server.http, openSocket: server.openSocket, onFault: () => undefined };
const everyone: Client[] = [];
after(() => Promise.all(everyone.map((client) => client.close())));
const joins = async (name: string): Promise<Person> => {
  const person = await Person.joins(name, ports);
  everyone.push(person.client);
  return person;
};

const [ann, ben, cleo] = await Promise.all([joins("Ann"), joins("Ben"), joins("Cleo")]);
const direct = await ann.befriends(ben);
await ann.befriends(cleo);
await ben.befriends(cleo);

const lastOf = (person: Person, text: string) =>
  person.sees(`"${text}"`, ({ log }) => articlesOf(log?.entries ?? []).find((one) => one.text === text));

test("messages are signed, and say so", async () => {
  await Promise.all([ann.client.open(direct), ben.client.open(direct)]);
  await ann.types(direct, "Hello");
  const hello = await lastOf(ben, "Hello");
  assert.equal(hello.trouble, null);
  assert.ok((await ben.client.info(direct, hello.id))?.signed);
  await ben.types(direct, "Hello yourself");
  assert.equal((await lastOf(ann, "Hello yourself")).trouble, null);
  const numbers = await Promise.all([ann.client.safetyNumber(ben.id), ben.client.safetyNumber(ann.id)]);
  assert.deepEqual(numbers[0]?.groups, numbers[1]?.groups);
});

test("a group has a name that is signed, and who is removed reads nothing of what follows", async () => {
  const made = await ann.client.createGroup("Garden", [ben.id, cleo.id]);
  assert.ok(made.ok);
  const id = made.value;
  await cleo.sees("the group", ({ conversations }) => conversations.some((c) => c.id === id && c.name === "Garden"));
  await Promise.all([ben.client.open(id), cleo.client.open(id)]);
  await ann.types(id, "All three");
  await Promise.all([lastOf(ben, "All three"), lastOf(cleo, "All three")]);
  assert.ok((await ann.client.removeMember(id, cleo.id)).ok);
  const group = server.conversations.get(id);
  assert.deepEqual(Object.keys(group?.epochs.at(-1)?.secrets ?? {}).sort(), [ann.id, ben.id].sort());
  await ann.types(id, "The two of us");
  assert.equal((await lastOf(ben, "The two of us")).trouble, null);
  assert.ok((await ann.client.addMembers(id, [cleo.id], false)).ok);
  await ben.types(id, "Welcome back");
  await cleo.sees("the group", ({ conversations }) => conversations.some((c) => c.id === id));
  await cleo.client.open(id);
  await lastOf(cleo, "Welcome back");
  const seen = articlesOf(cleo.client.state.log?.entries ?? []);
  // Nobody will share that secret: it is no promise that the key comes.
  assert.deepEqual(seen.find(({ trouble }) => trouble === "neverReadable")?.text, "");
  assert.ok(seen.every(({ trouble }) => trouble !== "waitingForKey"));
});

test("after somebody left, the next message lies under a secret that they do not have", async () => {
  const made = await ann.client.createGroup("Leaving", [ben.id, cleo.id]);
  assert.ok(made.ok);
  const id = made.value;
  await cleo.sees("the group", ({ conversations }) => conversations.some((c) => c.id === id));
  assert.ok((await cleo.client.leave(id)).ok);
  await ann.sees("two members", ({ conversations }) => conversations.some((c) => c.id === id && c.memberCount === 2));
  await ben.sees("the group", ({ conversations }) => conversations.some((c) => c.id === id && c.memberCount === 2));
  await ben.client.open(id);
  await ann.types(id, "Only us now");
  await lastOf(ben, "Only us now");
  const newest = server.conversations.get(id)?.epochs.at(-1);
  assert.equal(newest?.epoch, 2);
  assert.deepEqual(Object.keys(newest.secrets).sort(), [ann.id, ben.id].sort());
});

test("a client that lacks somebody's new card fetches it, and announces the epoch again", async () => {
  const announces = async (make: () => Promise<{ ok: boolean }>, action: string) => {
    let missed = false;
    server.missesCard = () => !missed && (missed = true);
    const before = server.asked.length;
    assert.ok((await make()).ok);
    server.missesCard = () => false;
    const asked = server.asked.slice(before);
    const [first, last] = [asked.indexOf(action), asked.lastIndexOf(action)];
    assert.ok(first < last && asked.slice(first, last).includes("chatkeys.get"), asked.join());
  };
  await announces(() => ann.client.createGroup("Cards", [ben.id, cleo.id]), "chatconversationgroup.create");
  await announces(() => ann.client.renewKeys(direct), "chatconversation.rekey");
});

test("in a group, people who are no friends read each other, and see that it is signed", async () => {
  const dora = await joins("Dora");
  await ann.befriends(dora);
  const made = await ann.client.createGroup("Four", [ben.id, dora.id]);
  assert.ok(made.ok);
  const id = made.value;
  for (const one of [ben, dora]) {
    await one.sees("the group", ({ conversations }) => conversations.some((c) => c.id === id && c.name === "Four"));
    await one.client.open(id);
  }
  await ben.types(id, "Do we know each other?");
  assert.equal((await lastOf(dora, "Do we know each other?")).trouble, null);
  await dora.types(id, "Not yet");
  assert.equal((await lastOf(ben, "Not yet")).trouble, null);
  // The server does not disclose her key to him, so he cannot make the next epoch, and says so.
  assert.equal((await ben.client.renewKeys(id)).ok, false);
});

test("somebody whom the server adds by itself gets nothing: sending stops, and says who", async () => {
  const made = await ann.client.createGroup("Secret", [ben.id]);
  assert.ok(made.ok);
  const id = made.value;
  server.tamper = (user, conversation) =>
    conversation["id"] === id && user === ann.id
      ? { ...conversation, participants: [...(conversation["participants"] as object[]), { userid: cleo.id, username: "Cleo" }] }
      : conversation;
  await ann.client.open(id);
  await ann.client.change(id, {});
  await ann.client.request(ben.email);
  const shown = await ann.sees("a barrier", ({ conversations }) => conversations.find((c) => c.id === id && c.barrier !== null));
  assert.deepEqual(shown.barrier, { kind: "stranger", names: ["Cleo"] });
  await ann.types(id, "Who is this?");
  await ann.sees("a held message", ({ log }) => articlesOf(log?.entries ?? []).some(({ state }) => state === "notSent"));
  assert.equal(server.conversations.get(id)?.messages.length, 0);
  server.tamper = (_user, conversation) => conversation;
});

test("a message that the server relabels is not shown as its sender's", async () => {
  const messages = server.conversations.get(direct)?.messages ?? [];
  const stolen = messages.find(({ User }) => User === ben.id);
  assert.ok(stolen);
  stolen.User = ann.id;
  const again = await startClient(nodePorts("", ports));
  everyone.push(again);
  assert.ok((await again.logIn(ann.email, password)).ok);
  await new Promise<void>((resolve) => again.subscribe(({ connection }) => connection?.kind === "live" && resolve()));
  await again.open(direct);
  const seen = articlesOf(again.state.log?.entries ?? []);
  assert.equal(seen.find(({ id }) => id === stolen.ID)?.trouble, "neverReadable");
  stolen.User = ben.id;
});

test("a card that the log has in Ann's name, and that is not hers, is noticed", async () => {
  const faults: unknown[] = [];
  const forged = server.entries[0]?.slice();
  assert.ok(forged);
  forged[39] = 2;
  forged[71] = (forged[71] ?? 0) ^ 1;
  server.entries.push(forged);
  const all = await Promise.all(
    [ann, ben, cleo].map(async ({ email }) => {
      const client = await startClient(nodePorts("", { ...ports, onFault: (error) => faults.push(error) }));
      everyone.push(client);
      assert.ok((await client.logIn(email, password)).ok);
      await new Promise<void>((resolve) => client.subscribe(({ connection }) => connection?.kind === "live" && resolve()));
      return client;
    }),
  );
  assert.equal(all.length, 3);
  server.entries.pop();
  // Ben and Cleo doubt Ann's card, and would soon write that into their vaults, for the devices of the tests that follow.
  await Promise.all(all.map((client) => client.close()));
  assert.ok(faults.some((error) => error instanceof Error && error.message.includes("notMine")), String(faults));
});

test("the recovery key opens the account once, and the new password afterwards", async () => {
  const client = await startClient(nodePorts("", ports));
  everyone.push(client);
  const email = `dora-${crypto.randomUUID()}@example.org`;
  const invitation = { code: "", from: "", card: "", secret: "", name: "" };
  const made = await client.createAccount({ invitation, email, name: "Dora", password });
  assert.ok(made.ok);
  assert.match(made.value, /^(?:[A-Z2-7]{4} ){12}[A-Z2-7]{4}$/);
  await client.enter(true);
  const { fingerprint } = client;
  const before = fingerprint();
  await client.logOut();
  const recovered = await client.recover(email, made.value.toLowerCase(), "a new password, a long one");
  assert.ok(recovered.ok);
  assert.notEqual(recovered.value, made.value);
  await client.enter(true);
  assert.equal(client.fingerprint(), before);
  await client.logOut();
  assert.deepEqual(await client.recover(email, made.value, "another"), { ok: false, failure: { kind: "recoveryKey" } });
  assert.ok((await client.logIn(email, "a new password, a long one")).ok);
});

test("a secret of an older epoch that does not match its announcement makes that epoch unreadable, and nothing else", async () => {
  await Promise.all([ann.client.open(direct), ben.client.open(direct)]);
  for (const text of ["Under the first", "Under the second"]) {
    assert.ok((await ann.client.renewKeys(direct)).ok);
    await ann.types(direct, text);
    await lastOf(ben, text);
  }
  const older = server.conversations.get(direct)?.epochs.at(-2);
  const account = server.accounts.get(ben.id);
  assert.ok(older && account);
  older.secrets[ben.id] = await wrapSecret(new Uint8Array(32), account.publickey);
  const again = await ben.onAnotherDevice(ports);
  everyone.push(again.client);
  await again.sees("the conversation", ({ conversations }) => conversations.some((c) => c.id === direct) || undefined);
  await again.client.open(direct);
  assert.equal((await lastOf(again, "Under the second")).trouble, null);
  await lastOf(again, "Hello");
  // A look between a record and its epochs may have called it something else for a moment.
  await again.sees("what is lost", ({ log }) => articlesOf(log?.entries ?? []).filter(({ trouble }) => trouble === "neverReadable").length === 1 || undefined);
  await again.types(direct, "From the new device");
  assert.equal((await lastOf(ann, "From the new device")).trouble, null);
});

test("a new device reads a group that somebody has left, and begins its next epoch", async () => {
  const made = await ann.client.createGroup("Without Cleo", [ben.id, cleo.id]);
  assert.ok(made.ok);
  const id = made.value;
  await ann.types(id, "Before she left");
  const group = server.conversations.get(id);
  assert.ok(group);
  // Nobody is told, so nobody has announced it.
  group.participants.delete(cleo.id);
  const again = await ben.onAnotherDevice(ports);
  everyone.push(again.client);
  await again.sees("the group", ({ conversations }) => conversations.some((c) => c.id === id) || undefined);
  await again.client.open(id);
  assert.equal((await lastOf(again, "Before she left")).trouble, null);
  await again.types(id, "After she left");
  await again.sees("the next epoch", () => group.epochs.length === 2 || undefined);
  assert.deepEqual(Object.keys(group.epochs.at(-1)?.secrets ?? {}).sort(), [ann.id, ben.id].sort());
});

/** Ben on a new device, to whom the server hands out another secret than the one that was announced last, or one that he cannot open. */
async function withUselessSecret(secret: string): Promise<Person> {
  const newest = server.conversations.get(direct)?.epochs.at(-1);
  assert.ok(newest);
  newest.secrets[ben.id] = secret;
  const again = await ben.onAnotherDevice(ports);
  everyone.push(again.client);
  await again.sees("the conversation", ({ conversations }) => conversations.some((c) => c.id === direct));
  await again.client.open(direct);
  return again;
}

test("a copy of the newest secret that is of no use is healed by the next epoch", async () => {
  await ann.client.open(direct);
  const publickey = server.accounts.get(ben.id)?.publickey ?? "";
  const other = await wrapSecret(new Uint8Array(32), publickey);
  for (const [i, secret] of [other, "AAAA", ""].entries()) {
    const again = await withUselessSecret(secret);
    assert.deepEqual(await again.client.renewKeys(direct), { ok: true, value: null });
    await again.types(direct, `By hand ${i}`);
    assert.equal((await lastOf(ann, `By hand ${i}`)).trouble, null);
  }
  // Nobody has to know of it: who writes begins one.
  const epochs = server.conversations.get(direct)?.epochs ?? [];
  const before = epochs.length;
  const again = await withUselessSecret(other);
  await again.types(direct, "By itself");
  assert.equal((await lastOf(ann, "By itself")).trouble, null);
  assert.equal(epochs.length, before + 1);
});

test("a server that hands out nothing else gets no message, and not one epoch after the other", async () => {
  const other = await wrapSecret(new Uint8Array(32), server.accounts.get(ben.id)?.publickey ?? "");
  const conversation = server.conversations.get(direct);
  assert.ok(conversation);
  server.tamper = (user, shown) => (user === ben.id && shown["id"] === direct ? { ...shown, secret: other } : shown);
  server.tamperEpoch = (user, epoch) => (user === ben.id ? { ...epoch, secret: other } : epoch);
  const again = await withUselessSecret(other);
  const [epochs, messages] = [conversation.epochs.length, conversation.messages.length];
  await again.types(direct, "To nobody");
  await again.sees("why it is held", ({ log }) => articlesOf(log?.entries ?? []).some(({ held }) => held?.kind === "epochRefused"));
  assert.deepEqual([conversation.epochs.length, conversation.messages.length], [epochs + 1, messages]);
  server.tamper = (_user, shown) => shown;
  server.tamperEpoch = (_user, epoch) => epoch;
});
