// Accounts with a vault against a malicious server: older vaults, cheap hashes, foreign keys.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { clock } from "../../browser/clock.ts";
import { startClient, type Client, type Outcome } from "../../core/index.ts";
import { fromBase64 } from "../../core/crypto/bytes.ts";
import { makeKeys } from "../../core/crypto/keys.ts";
import { apikeyOf, lockKey } from "../../core/crypto/published-account.ts";
import { readVault } from "../../core/crypto/vault.ts";
import { memoryBackend } from "../../core/store/memory.ts";
import { type Backend, tables } from "../../core/store/backend.ts";
import type { Http, Ports } from "../../core/ports.ts";
import { nodePorts } from "../../node/ports.ts";
import { Person, password } from "../world/person.ts";
import { Version4 } from "../world/version-4.ts";

const everyone: Client[] = [];
after(() => Promise.all(everyone.map((client) => client.close())));

const portsOf = (server: Version4, others: Partial<Ports> = {}): Partial<Ports> => ({
  http: server.http,
  openSocket: server.openSocket,
  onFault: () => undefined,
  ...others,
});
const joins = async (server: Version4, name: string, others: Partial<Ports> = {}): Promise<Person> => {
  const person = await Person.joins(name, portsOf(server, others));
  everyone.push(person.client);
  return person;
};
const again = async (person: Person, server: Version4, others: Partial<Ports> = {}): Promise<Person> => {
  const other = await person.onAnotherDevice(portsOf(server, others));
  everyone.push(other.client);
  return other;
};
const isLive = (person: Person): Promise<true> => person.sees("the server", ({ connection }) => connection.kind === "live" || undefined);
/** A device whose database outlives its logins. */
const device = (): Backend => ({ ...memoryBackend(), close: () => undefined });
const logsIn = async (server: Version4, backend: Backend, email: string): Promise<Outcome> => {
  const client = await startClient(nodePorts("", portsOf(server, { backend })));
  everyone.push(client);
  const outcome = await client.logIn(email, password);
  if (outcome.ok) await client.logOut();
  return outcome;
};
const accountOf = (server: Version4, { email }: { email: string }) => {
  const found = [...server.accounts.values()].find((one) => one.email === email);
  assert.ok(found);
  return found;
};

test("an account is made with its card, and the card is in the log", async () => {
  const server = new Version4();
  const ann = await joins(server, "Ann");
  const account = accountOf(server, ann);
  assert.equal(account.cards.length, 1);
  assert.equal(server.entries.length, 1);
  assert.deepEqual([...account.stations.values()], ["Node"]);
  assert.match(account.rsakey, /^parlance-vault:1:/);
  assert.ok(fromBase64(account.publickey).length > 400, "3072 bits");
});

test("a contact who was verified on one device is verified on the next one, and a changed card is noticed there", async () => {
  const server = new Version4();
  const [ann, ben] = await Promise.all([joins(server, "Ann"), joins(server, "Ben")]);
  await ann.befriends(ben);
  await ann.client.verify(ben.id);
  // What was marked a moment before logging out is kept.
  await ann.client.logOut();
  assert.ok(readVault(accountOf(server, ann).rsakey).version > 1);
  const second = await again(ann, server);
  const seen = await second.sees("Ben, verified", ({ people }) => [...people.values()].find(({ name }) => name === "Ben"));
  assert.equal(seen.trust, "verified");
  // Another one with Ben's address: signed by nobody whom she knows.
  const mallory = await joins(new Version4(), "Mallory");
  const account = accountOf(server, ben);
  const before = account.cards;
  account.cards = [];
  const third = await again(ann, server);
  await third.sees("Ben, changed", ({ people }) => [...people.values()].some(({ name, trust }) => name === "Ben" && trust === "changed"));
  account.cards = before;
  assert.ok(mallory.id);
});

test("an account of the published form is upgraded at login, and its other stations have to log in again", async () => {
  const server = new Version4();
  const { raw, publicKey } = await makeKeys(2048, false);
  const email = "ann@example.org";
  server.addPublished({ email, nick: "Ann", apikey: await apikeyOf(email, password), publickey: publicKey, rsakey: await lockKey(raw.rsa, password) });
  const account = accountOf(server, { email });
  account.stations.set("f".repeat(32), "an old client");
  const client = await startClient(nodePorts("", portsOf(server)));
  everyone.push(client);
  assert.deepEqual(await client.logIn(email, password), { ok: true, value: null });
  const { session } = client.state;
  assert.ok(session.kind === "in" && !session.me.hasSheet);
  assert.match(account.rsakey, /^parlance-vault:1:/);
  assert.equal(account.kdf["kdf"], "argon2id");
  assert.equal(account.publickey, publicKey);
  assert.equal(account.cards.length, 1);
  assert.equal(account.stations.size, 1);
  assert.equal(account.recoverykey, "");
  const sheet = await client.newSheet(password);
  assert.ok(sheet.ok);
  await client.logOut();
  assert.ok((await client.recover(email, sheet.value, "quite another password")).ok);
});

test("a device refuses a cheaper hash, the published form of an account that has a vault, and another server", async () => {
  const server = new Version4();
  const here = device();
  const ann = await joins(server, "Ann", { backend: here });
  await ann.client.logOut();
  const account = accountOf(server, ann);
  const asked = server.asked.length;
  for (const kdf of [{ ...account.kdf, m: 1024 }, { ...account.kdf, t: 1 }, { kdf: "pbkdf2-sha256", rounds: 1, salt: "" }]) {
    server.prelogin = (found) => ({ ...found, ...kdf });
    assert.deepEqual(await logsIn(server, here, ann.email), { ok: false, failure: { kind: "unsafe", by: "kdf" } });
  }
  server.prelogin = (found) => ({ ...found, server: "ab".repeat(16) });
  assert.deepEqual(await logsIn(server, here, ann.email), { ok: false, failure: { kind: "unsafe", by: "server" } });
  assert.ok(!server.asked.slice(asked).includes("chatlogin.login"), "nothing that the password makes was sent");
  server.prelogin = (found) => found;
  assert.deepEqual(await logsIn(server, here, ann.email), { ok: true, value: null });
});

test("a device refuses an older vault than it has seen, and keys that the password does not open", async () => {
  const server = new Version4();
  const here = device();
  const ann = await joins(server, "Ann", { backend: here });
  const account = accountOf(server, ann);
  const older = account.rsakey;
  assert.ok((await ann.client.newSheet(password)).ok);
  await ann.client.logOut();
  const newest = account.rsakey;
  account.rsakey = older;
  assert.deepEqual(await logsIn(server, here, ann.email), { ok: false, failure: { kind: "unsafe", by: "vault" } });
  account.rsakey = (await joins(server, "Ben")) && accountOf(server, { email: [...server.accounts.values()].at(-1)?.email ?? "" }).rsakey;
  assert.deepEqual(await logsIn(server, device(), ann.email), { ok: false, failure: { kind: "unsafe", by: "keys" } });
  account.rsakey = newest;
  assert.deepEqual(await logsIn(server, here, ann.email), { ok: true, value: null });
});

test("a running device says so when the server goes back to an older vault", async () => {
  const server = new Version4();
  const ann = await joins(server, "Ann");
  const account = accountOf(server, ann);
  const older = account.rsakey;
  assert.ok((await ann.client.newSheet(password)).ok);
  account.rsakey = older;
  // Before anything is written into the vault, which would take the older one's place.
  server.isStale = (user) => user === ann.id;
  const backend = device();
  const second = await joins(server, "Ben", { backend });
  await ann.befriends(second);
  await ann.client.verify(second.id);
  await ann.sees("an alarm", ({ alarm }) => alarm.includes("vault") || undefined);
});

test("a foreign card in the user's name raises an alarm on every device", async () => {
  const server = new Version4();
  const [ann, ben] = await Promise.all([joins(server, "Ann"), joins(server, "Ben")]);
  const forged = server.entries[0]?.slice();
  assert.ok(forged);
  for (const entry of server.entries.slice()) {
    const next = entry.slice();
    next[39] = 2;
    next[71] = (next[71] ?? 0) ^ 1;
    server.entries.push(next);
  }
  await ann.client.request(ben.email);
  await ann.sees("an alarm", ({ alarm }) => alarm.includes("own") || undefined);
  server.entries.splice(2);
});

test("a new password opens the vault on every device, and the old one nowhere; a wrong one changes nothing", async () => {
  const server = new Version4();
  const ann = await joins(server, "Ann");
  const second = await again(ann, server);
  await isLive(second);
  assert.deepEqual(await ann.client.changePassword("wrong", "another good password", false), { ok: false, failure: { kind: "login" } });
  assert.ok((await ann.client.changePassword(password, "another good password", false)).ok);
  // The other device knows the older vault only: it fetches what it has to go on from.
  assert.deepEqual(await second.client.newSheet(password), { ok: false, failure: { kind: "login" } });
  const sheet = await second.client.newSheet("another good password");
  assert.ok(sheet.ok);
  assert.ok((await ann.client.changePassword("another good password", "a third good password", true)).ok);
  await second.sees("the login", ({ session }) => (session.kind === "out" && session.why === "signedOut") || undefined);
  assert.deepEqual(await second.client.logIn(ann.email, password), { ok: false, failure: { kind: "login" } });
  assert.ok((await second.client.logIn(ann.email, "a third good password")).ok);
  await second.client.logOut();
  assert.ok((await second.client.recover(ann.email, sheet.value, "a fourth good password")).ok);
});

test("a new device is shown on the others, which can sign it out", async () => {
  const server = new Version4();
  const ann = await joins(server, "Ann");
  await isLive(ann);
  const second = await again(ann, server, { deviceName: "Firefox, Linux" });
  const [device] = await ann.sees("a new device", ({ newDevices }) => (newDevices.length > 0 ? newDevices : undefined));
  assert.equal(device?.name, "Firefox, Linux");
  assert.deepEqual(second.client.state.newDevices, []);
  const all = await ann.client.devices();
  assert.deepEqual(all.ok && all.value.map(({ here, name }) => [here, name]), [[true, "Node"], [false, "Firefox, Linux"]]);
  assert.ok((await ann.client.signOut(device?.id ?? "")).ok);
  await second.sees("the login", ({ session }) => (session.kind === "out" && session.why === "signedOut") || undefined);
  await ann.sees("no new device", ({ newDevices }) => newDevices.length === 0 || undefined);
  const third = await again(ann, server);
  const [known] = await ann.sees("a new device", ({ newDevices }) => (newDevices.length > 0 ? newDevices : undefined));
  await ann.client.knowDevice(known?.id ?? "");
  await ann.sees("no new device", ({ newDevices }) => newDevices.length === 0 || undefined);
  assert.equal(third.client.state.session.kind, "in");
});

test("a disabled user is told so", async () => {
  const server = new Version4();
  const ann = await joins(server, "Ann");
  await isLive(ann);
  server.disabled.add(ann.id);
  server.close([...accountOf(server, ann).stations.keys()], 4401);
  await ann.sees("the login", ({ session }) => (session.kind === "out" && session.why === "disabled") || undefined);
});

test("the invited user accepts only the key in the link as the inviter's", async () => {
  const server = new Version4();
  const ann = await joins(server, "Ann");
  for (const isForged of [false, true]) {
    const made = await ann.client.invite();
    assert.ok(made.ok && made.value.link);
    const link = new URLSearchParams(new URL(made.value.link).hash.slice(1));
    const card = isForged ? "0".repeat(64) : (link.get("card") ?? "");
    const invitation = { code: link.get("invite") ?? "", from: link.get("from") ?? "", card, secret: link.get("v") ?? "", name: "" };
    const client = await startClient(nodePorts("", portsOf(server)));
    everyone.push(client);
    const email = `ben-${crypto.randomUUID()}@example.org`;
    assert.ok((await client.createAccount({ invitation, email, name: "Ben", password })).ok);
    const id = await client.enter(true);
    assert.equal(client.state.people.get(ann.id)?.trust, isForged ? "changed" : "verified");
    if (isForged) assert.equal(id, null);
    else await ann.sees("Ben, verified", ({ people }) => [...people.values()].some(({ trust }) => trust === "verified") || undefined);
  }
});

test("a scanned code is the contact's, whether or not something was written, and shows other keys and another transcript", async () => {
  const server = new Version4();
  const [ann, ben] = await Promise.all([joins(server, "Ann"), joins(server, "Ben")]);
  const id = await ann.befriends(ben);
  const codeOf = async (person: Person, of: Person) => (await person.client.safetyNumber(of.id))?.code ?? assert.fail("no code");
  await ben.sees("the conversation", ({ conversations }) => conversations.some((one) => one.id === id));
  assert.equal(await ben.client.compareCode(ann.id, await codeOf(ann, ben)), "same");
  await Promise.all([ann.client.open(id), ben.client.open(id)]);
  await ann.types(id, "Hello");
  await ben.reads("Hello");
  await ann.sees("that it is stored", ({ waiting }) => waiting === 0 || undefined);
  const code = await codeOf(ann, ben);
  assert.equal(await ben.client.compareCode(ann.id, code), "same");
  const fields = code.split(":");
  const changed = (i: number) => fields.map((field, at) => (at === i ? "0".repeat(field.length) : field)).join(":");
  assert.equal(await ben.client.compareCode(ann.id, changed(3)), "different");
  assert.equal(await ben.client.compareCode(ann.id, changed(6)), "different");
  assert.equal(await ben.client.compareCode(ann.id, await codeOf(ben, ann)), "otherCode");
  assert.equal(await ben.client.compareCode(ann.id, "parlance:1"), "otherCode");
});

/** Somebody who came by this link, with an account of theirs. */
const comesBy = async (server: Version4, link: string): Promise<Client> => {
  const fields = new URLSearchParams(new URL(link).hash.slice(1));
  const [code, from, card, secret] = ["invite", "from", "card", "v"].map((name) => fields.get(name) ?? "");
  const client = await startClient(nodePorts("", portsOf(server)));
  everyone.push(client);
  const invitation = { code: code ?? "", from: from ?? "", card: card ?? "", secret: secret ?? "", name: "" };
  assert.ok((await client.createAccount({ invitation, email: `ben-${crypto.randomUUID()}@example.org`, name: "Ben", password })).ok);
  await client.enter(true);
  return client;
};

test("the proof of an invitation counts, also if it comes before its sender's card", async () => {
  const server = new Version4();
  const ann = await joins(server, "Ann");
  const made = await ann.client.invite();
  assert.ok(made.ok && made.value.link);
  server.withholdsCards = (user, of) => user === ann.id && of !== ann.id;
  await comesBy(server, made.value.link);
  const ben = await ann.sees("Ben", ({ people }) => [...people.values()].find(({ name }) => name === "Ben"));
  // The proof is the first thing that is there of the conversation.
  await ann.sees("the proof", ({ conversations }) => conversations.some(({ other, lastAt }) => other === ben.id && lastAt > 0) || undefined);
  assert.equal(ann.client.state.people.get(ben.id)?.trust, "seen");
  server.withholdsCards = () => false;
  server.announceTo(ann.id);
  await ann.sees("Ben, verified", ({ people }) => people.get(ben.id)?.trust === "verified" || undefined);
});

test("the proof of an invitation counts, also if something else is wrong with the transcript", async () => {
  const server = new Version4();
  // What Ann is shown does not continue from the beginning.
  const http: Http = async (...of) => {
    const answer = await server.http(...of);
    return { ...answer, text: answer.text.replace(/(?<="Chain":")./g, (digit) => (digit === "0" ? "1" : "0")) };
  };
  const ann = await joins(server, "Ann", { http });
  const made = await ann.client.invite();
  assert.ok(made.ok && made.value.link);
  await comesBy(server, made.value.link);
  await ann.sees("Ben, verified", ({ people }) => [...people.values()].some(({ trust }) => trust === "verified") || undefined);
});

test("after a logout a device has nothing of the account but its server and the version of its vault", async () => {
  const server = new Version4();
  const backend = device();
  const [ann, ben] = await Promise.all([joins(server, "Ann", { backend }), joins(server, "Ben")]);
  const id = await ann.befriends(ben);
  await ann.client.open(id);
  await ann.types(id, "Hello");
  await (await ann.client.prepareDraft(id, { text: "Some more", target: null }))();
  await ann.client.invite();
  await ann.client.logOut();
  for (const table of tables) {
    const left = (await backend.range(table, null)).map(({ key }) => key);
    assert.deepEqual(left, table === "meta" ? ["accounts", "term"] : [], table);
  }
  assert.deepEqual(await backend.get("meta", "accounts"), { [accountOf(server, ann).user]: { server: server.id, version: accountOf(server, ann).version } });
});

test("a logout waits neither for a server that does not answer, nor for a tab that does not go on", async () => {
  const server = new Version4();
  const backend = device();
  let isStuck = false;
  const never = new Promise<never>(() => undefined);
  const ports = nodePorts("");
  const ann = await joins(server, "Ann", {
    backend,
    http: (...of) => (isStuck ? never : server.http(...of)),
    exclusive: { run: (task) => (isStuck ? never : ports.exclusive.run(task)) },
    clock: { ...ports.clock, after: (ms, then) => ports.clock.after(isStuck ? 0 : ms, then) },
  });
  await isLive(ann);
  isStuck = true;
  await ann.client.logOut();
  assert.equal(ann.client.state.session.kind, "out");
  assert.equal(await backend.get("meta", "session"), undefined);
});

test("a session that ends while it takes the lead begins nothing", async () => {
  const server = new Version4();
  const backend = memoryBackend();
  let goOn = (): void => undefined;
  const goesOn = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  let leading: Promise<void> | null = null;
  let sockets = 0;
  const ann = await joins(server, "Ann", {
    backend: {
      ...backend,
      write: async (changes, term) => {
        const [first, ...others] = changes;
        if (first && "put" in first && first.key === "term" && others.length === 0) await goesOn;
        return backend.write(changes, term);
      },
    },
    lead: (lead) => {
      const ending = new AbortController();
      leading = lead(ending.signal);
      return () => ending.abort();
    },
    openSocket: (...of) => {
      sockets += 1;
      return server.openSocket(...of);
    },
  });
  await ann.client.close();
  goOn();
  await leading;
  assert.equal(sockets, 0);
});

test("what a session still writes when it has ended is not written, and another tab's next login stays", async () => {
  const server = new Version4();
  const backend = device();
  const listeners = new Set<(message: unknown) => void>();
  const channel = () => {
    const own = new Set<(message: unknown) => void>();
    return {
      post: (message: unknown) => {
        for (const listener of [...listeners]) if (!own.has(listener)) setTimeout(() => listener(message), 0);
      },
      listen: (listener: (message: unknown) => void) => {
        own.add(listener);
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
      close: () => undefined,
    };
  };
  const ann = await joins(server, "Ann", { backend, channel: channel() });
  await isLive(ann);
  const follower = await startClient(nodePorts("", portsOf(server, { backend, channel: channel(), lead: () => () => undefined })));
  everyone.push(follower);
  await ann.client.logOut();
  assert.deepEqual(await ann.client.logIn(ann.email, password), { ok: true, value: null });
  await new Promise<void>((out) => {
    const look = (): void => {
      if (follower.state.session.kind === "out") out();
    };
    follower.subscribe(look);
    look();
  });
  await ann.sees("the server", ({ connection }) => connection.kind === "live" || undefined);
  const { value } = (await backend.range("meta", { from: "session", to: "session" }))[0] ?? {};
  assert.ok(value, "the session that began since is there");
});

test("how long ago a device was used is computed by the server's clock, however wrong this one's is", async () => {
  const server = new Version4();
  // It says that every device was seen at noon.
  const http: Ports["http"] = async (...request) => ({ ...(await server.http(...request)), date: "Tue, 24 Nov 2026 15:00:00 GMT" });
  const wrong = { now: () => Date.UTC(2027, 0, 1), after: clock.after };
  const ann = await joins(server, "Ann", { http, clock: wrong });
  await again(ann, server);
  const devices = await ann.client.devices();
  assert.ok(devices.ok);
  assert.deepEqual(devices.value.map(({ seenAt, idleMs }) => [seenAt, idleMs]), Array(2).fill([Date.UTC(2026, 10, 24, 12), 3 * 3_600_000]));
});
