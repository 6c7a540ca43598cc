// One account on several devices of a real server that has vaults; others skip what they do not offer.

import assert from "node:assert/strict";
import { after, test, type TestContext } from "node:test";
import { startClient } from "../../core/index.ts";
import type { Http } from "../../core/ports.ts";
import { nodePorts } from "../../node/ports.ts";
import { httpTo } from "../../browser/http.ts";
import { makeKeys } from "../../core/crypto/keys.ts";
import { apikeyOf, lockKey } from "../../core/crypto/published-account.ts";
import { hex, random } from "../../core/crypto/bytes.ts";
import { md5 } from "../../core/crypto/md5.ts";
import { Caller } from "../../core/wire/call.ts";
import { register } from "../../core/wire/login.ts";
import { stationId, userId } from "../../core/model/ids.ts";
import { address, articlesOf, password, Person } from "../world/person.ts";

const endings: (() => Promise<void>)[] = [];
after(() => Promise.all(endings.map((end) => end())));
const joins = async (name: string, http?: Http): Promise<Person> => {
  const person = await Person.joins(name, http ? { http } : {});
  endings.push(person.client.close);
  return person;
};
const again = async (person: Person, name = "Node"): Promise<Person> => {
  const other = await person.onAnotherDevice({ deviceName: name });
  endings.push(other.client.close);
  await other.sees("the server", ({ connection }) => connection.kind === "live" || undefined);
  return other;
};
function hasVault(t: TestContext, { client }: Person): boolean {
  const { session } = client.state;
  if (session.kind === "in" && session.me.hasSheet) return true;
  t.skip("this server has accounts of the published form only");
  return false;
}
const isOut = (person: Person, why: "signedOut" | "disabled"): Promise<true> =>
  person.sees("the login", ({ session }) => (session.kind === "out" && session.why === why) || undefined);

test("everything is there on a second device, also who was verified", async (t) => {
  const [ann, ben] = await Promise.all([joins("Ann"), joins("Ben")]);
  if (!hasVault(t, ann)) return;
  const id = await ann.befriends(ben);
  await ann.client.verify(ben.id);
  await Promise.all([ann.client.open(id), ben.client.open(id)]);
  await ann.types(id, "From the first");
  await ben.reads("From the first");
  await ann.client.logOut();
  const second = await again(ann);
  const { trust } = await second.sees("Ben", ({ people }) => [...people.values()].find(({ name }) => name === "Ben"));
  assert.equal(trust, "verified");
  await second.client.open(id);
  assert.equal((await second.reads("From the first")).trouble, null);
  await second.types(id, "From the second");
  assert.equal((await ben.reads("From the second")).trouble, null);
});

test("what was read on one device is read on the next one", async (t) => {
  const [ann, ben] = await Promise.all([joins("Ann"), joins("Ben")]);
  if (!hasVault(t, ann)) return;
  const id = await ann.befriends(ben);
  await ann.client.open(id);
  for (const text of ["one", "two", "three"]) await ben.types(id, text);
  const two = await ann.reads("two");
  await ann.reads("three");
  ann.client.seenUpTo(id, two.id);
  await ben.client.open(id);
  await ben.sees("seen", ({ log }) => articlesOf(log?.entries ?? []).some(({ text, state }) => text === "two" && state === "seen") || undefined);
  const second = await again(ann);
  await second.sees("one unread", ({ conversations }) => conversations.find((one) => one.id === id)?.unread === 1 || undefined);
});

test("the password is changed, the sheet opens the account, and the old ones do not", async (t) => {
  const ann = await joins("Ann");
  if (!hasVault(t, ann)) return;
  const second = await again(ann);
  assert.deepEqual(await ann.client.changePassword("wrong", "another good password", true), { ok: false, failure: { kind: "login" } });
  assert.ok((await ann.client.changePassword(password, "another good password", false)).ok);
  const sheet = await second.client.newSheet("another good password");
  assert.ok(sheet.ok);
  const newer = await ann.client.newSheet("another good password");
  assert.ok(newer.ok);
  assert.ok((await ann.client.changePassword("another good password", "a third good password", true)).ok);
  await isOut(second, "signedOut");
  assert.deepEqual(await second.client.logIn(ann.email, password), { ok: false, failure: { kind: "login" } });
  assert.deepEqual(await second.client.recover(ann.email, sheet.value, "a fourth good password"), { ok: false, failure: { kind: "recoveryKey" } });
  const recovered = await second.client.recover(ann.email, newer.value, "a fourth good password");
  assert.ok(recovered.ok);
  assert.equal(await second.client.enter(true), null);
  await isOut(ann, "signedOut");
  assert.equal(second.client.state.session.kind, "in");
  assert.deepEqual(await ann.client.logIn(ann.email, "a third good password"), { ok: false, failure: { kind: "login" } });
  assert.ok((await ann.client.logIn(ann.email, "a fourth good password")).ok);
});

test("a new device is shown by its name, and can be signed out", async (t) => {
  const ann = await joins("Ann");
  if (!hasVault(t, ann)) return;
  await ann.sees("the server", ({ connection }) => connection.kind === "live" || undefined);
  const second = await again(ann, "Firefox, Linux");
  const [device] = await ann.sees("a new device", ({ newDevices }) => (newDevices.length > 0 ? newDevices : undefined));
  assert.equal(device?.name, "Firefox, Linux");
  const all = await ann.client.devices();
  assert.ok(all.ok);
  assert.deepEqual(all.value.map(({ here }) => here).sort(), [false, true]);
  assert.ok((await ann.client.signOut(device?.id ?? "")).ok);
  await isOut(second, "signedOut");
  const [third, fourth] = [await again(ann), await again(ann)];
  assert.ok((await third.client.signOutOthers()).ok);
  await Promise.all([isOut(ann, "signedOut"), isOut(fourth, "signedOut")]);
});

test("an account of the published form is upgraded at login; its conversations stay", async (t) => {
  const ben = await joins("Ben");
  if (!hasVault(t, ben)) return;
  const email = `ann-${crypto.randomUUID()}@example.org`;
  const { raw, publicKey } = await makeKeys(2048, false);
  const ports = nodePorts(address);
  const caller = new Caller(ports.http, ports.clock, { user: userId(md5(email)), station: stationId(hex(random(16))) });
  const keys = { apikey: await apikeyOf(email, password), publickey: publicKey, rsakey: await lockKey(raw.rsa, password) };
  await register(caller, { email, name: "Ann", ...keys, invite: "", kdf: null, recoverykey: null, card: null });
  const ann = await Person.logsIn("Ann", email);
  endings.push(ann.client.close);
  const { session } = ann.client.state;
  assert.ok(session.kind === "in" && !session.me.hasSheet);
  assert.ok((await ann.client.newSheet(password)).ok);
  const id = await ben.befriends(ann);
  await Promise.all([ann.client.open(id), ben.client.open(id)]);
  await ann.types(id, "Upgraded");
  const { id: message, trouble } = await ben.reads("Upgraded");
  assert.equal(trouble, null);
  assert.ok((await ben.client.info(id, message))?.signed);
});

test("the list is fetched whole once, and then only what has changed of it", async (t) => {
  const lists: { known: boolean; lines: number }[] = [];
  const real = httpTo(`${address}/`);
  const http: Http = async (path, body, headers, signal, heard) => {
    const answer = await real(path, body, headers, signal, heard);
    const fields = JSON.parse(String(body)) as { action: string; known?: object };
    if (path.includes("api=chatconversation") && fields.action === "list") {
      lists.push({ known: fields.known !== undefined, lines: (JSON.parse(answer.text) as { conversations: unknown[] }).conversations.length });
    }
    return answer;
  };
  const ann = await joins("Ann", http);
  if (!hasVault(t, ann)) return;
  const [ben, cleo] = await Promise.all([joins("Ben"), joins("Cleo")]);
  for (const one of [ben, cleo]) await ann.befriends(one);
  const made = await ann.client.createGroup("Three", [ben.id, cleo.id]);
  assert.ok(made.ok);
  await ben.sees("the group", ({ conversations }) => conversations.some(({ name }) => name === "Three") || undefined);
  await ann.client.request(ben.email);
  lists.length = 0;
  assert.ok((await ann.client.rename(made.value, "Trio")).ok);
  await ann.client.request(cleo.email);
  await ann.client.request(cleo.email);
  assert.ok(lists.length >= 2 && lists.every(({ known }) => known), JSON.stringify(lists));
  assert.equal(lists.at(-1)?.lines, 0, JSON.stringify(lists));
  assert.ok((await ben.client.leave(made.value)).ok);
  await ben.sees("no group", ({ conversations }) => !conversations.some(({ name }) => name === "Trio") || undefined);
  await ann.sees("two members", ({ conversations }) => conversations.some(({ name, memberCount }) => name === "Trio" && memberCount === 2) || undefined);
});

test("what is deleted for everyone is gone from the server and from other devices", async (t) => {
  const [ann, ben] = await Promise.all([joins("Ann"), joins("Ben")]);
  if (!hasVault(t, ann)) return;
  const id = await ann.befriends(ben);
  await Promise.all([ann.client.open(id), ben.client.open(id)]);
  for (const text of ["stays", "goes", "stays, too"]) await ann.types(id, text);
  await ben.reads("stays, too");
  const goes = await ann.reads("goes");
  assert.ok((await ann.client.erase(id, goes.id)).ok);
  await ben.sees("a deleted message", ({ log }) => articlesOf(log?.entries ?? []).some(({ id: one, deleted }) => one === goes.id && deleted) || undefined);
  await ann.types(id, "afterwards");
  assert.equal((await ben.reads("afterwards")).trouble, null);
  const second = await again(ben);
  await second.client.open(id);
  await second.reads("afterwards");
  assert.deepEqual(second.texts(), ["stays", "stays, too", "afterwards"]);
  assert.ok(articlesOf(second.client.state.log?.entries ?? []).every(({ trouble }) => trouble === null));
});

/** Requests to the server that make it look like one of the published form. */
const publishedOnly: Http = async (path, body, headers, signal, heard) => {
  const { action } = JSON.parse(String(body)) as { action: string };
  if (action !== "prelogin") return httpTo(`${address}/`)(path, body, headers, signal, heard);
  return { status: 404, date: null, retryAfter: null, text: JSON.stringify({ status: "ERROR", errormessage: "", errorcode: "unknown_action" }) };
};

test("a conversation of two accounts of the published form gets a signed epoch by hand, and what was said before stays readable", async (t) => {
  const probe = await joins("Probe");
  if (!hasVault(t, probe)) return;
  const [oldAnn, oldBen] = await Promise.all([joins("Ann", publishedOnly), joins("Ben", publishedOnly)]);
  const id = await oldAnn.befriends(oldBen);
  await oldBen.client.open(id);
  await oldAnn.types(id, "Before");
  await oldBen.reads("Before");
  const [ann, ben] = await Promise.all([again(oldAnn), again(oldBen)]);
  await Promise.all([isOut(oldAnn, "signedOut"), isOut(oldBen, "signedOut")]);
  await Promise.all([ann, ben].map(({ client }) => client.open(id)));
  await ann.types(id, "Not signed yet");
  assert.equal((await ben.reads("Not signed yet")).trouble, "notProven");
  // The other user's card came after this device had compared everybody's.
  await ann.client.request(probe.email);
  assert.deepEqual(await ann.client.renewKeys(id), { ok: true, value: null });
  await ann.types(id, "Signed");
  assert.equal((await ben.reads("Signed")).trouble, null);
  await ben.types(id, "Signed, too");
  assert.equal((await ann.reads("Signed, too")).trouble, null);
  for (const one of [ann, ben]) assert.equal((await one.reads("Before")).trouble, "notProven");
});

test("a new owner of an address is shown as somebody else", async (t) => {
  const [ann, ben] = await Promise.all([joins("Ann"), joins("Ben")]);
  if (!hasVault(t, ann)) return;
  const id = await ann.befriends(ben);
  const { id: user } = ann;
  assert.deepEqual(await ann.client.deleteAccount("wrong"), { ok: false, failure: { kind: "login" } });
  assert.deepEqual(await ann.client.deleteAccount(password), { ok: true, value: null });
  const invitation = { code: "", from: "", card: "", secret: "", name: "" };
  const other = await startClient(nodePorts(address));
  endings.push(other.close);
  const made = await other.createAccount({ invitation, email: ann.email, name: "Mallory", password });
  assert.ok(made.ok, JSON.stringify(made));
  await other.enter(true);
  await ben.client.request(ann.email);
  await new Promise<void>((resolve) => {
    const look = (): void => {
      const [request] = other.state.requests;
      if (request) void other.answer(request, true).then(() => resolve());
    };
    other.subscribe(look);
    look();
  });
  await ben.sees("another one", ({ people }) => people.get(user as never)?.trust === "changed" || undefined);
  await ben.types(id, "Is it you?");
  await ben.client.open(id);
  const held = await ben.sees("a held message", ({ log }) => articlesOf(log?.entries ?? []).find(({ state }) => state === "notSent"));
  await ben.client.acceptKeys(user);
  await ben.client.retry(id, held.id);
  await other.open(id);
  await new Promise<void>((resolve) => {
    const look = (): void => void (articlesOf(other.state.log?.entries ?? []).some(({ text, trouble }) => text === "Is it you?" && !trouble) && resolve());
    other.subscribe(look);
    look();
  });
});
