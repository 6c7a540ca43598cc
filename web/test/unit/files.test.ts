// Files of messages: sent before their message, whatever happens in between, and read on the other side.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { clock } from "../../browser/clock.ts";
import type { Clock } from "../../core/ports.ts";
import { fromBase64, hex, sha256 } from "../../core/crypto/bytes.ts";
import { DamagedFile, digestOf, fileKey, padme, PLAIN, sealRecord } from "../../core/crypto/file.ts";
import { callerOf } from "../../core/session/record.ts";
import { Store } from "../../core/store/store.ts";
import type { Caller } from "../../core/wire/call.ts";
import { startClient, type Article, type ChosenFile, type Client, type FileMetadata, type FileInfo } from "../../core/index.ts";
import { memoryBackend } from "../../core/store/memory.ts";
import { nodePorts } from "../../node/ports.ts";
import { articlesOf, Person } from "../world/person.ts";
import { refused, FileServer } from "../world/file-server.ts";
import { Version4 } from "../world/version-4.ts";
import type { SaveProgress } from "../../core/model/saving.ts";
import { streamOf } from "../../worker/stream.ts";

const server = new Version4();
const fileServer = new FileServer(server.http);
const ports = { http: fileServer.http, openSocket: server.openSocket, onFault: () => undefined };
const annsBackend = memoryBackend();
/** Called when Ann's client has tried something again for the first time. */
let afterRetry = (): void => undefined;
const annsClock: Clock = {
  now: clock.now,
  after: (ms, then) =>
    clock.after(ms, () => {
      then();
      if (ms > 300 && ms < 1400 && ms !== 1000) afterRetry(); // none of the client's other delays
    }),
};
const everyone = new Set<Client>();
after(() => Promise.all([...everyone].map((client) => client.close())));

const ann = await Person.joins("Ann", { ...ports, backend: annsBackend });
const bensBackend = memoryBackend();
const ben = await Person.joins("Ben", { ...ports, backend: bensBackend });
everyone.add(ann.client).add(ben.client);
const id = await ann.befriends(ben);
await Promise.all([ann.client.open(id), ben.client.open(id)]);

const document: FileMetadata = { name: "plan.pdf", mime: "application/pdf", w: null, h: null, ms: null, thumb: "", wave: "" };
const bytesOf = (length: number): Uint8Array<ArrayBuffer> => new Uint8Array(length).map((_, i) => i * 7);
const stage = (client: Client, length: number, about: Partial<FileMetadata> = {}): Promise<FileInfo> => {
  const bytes = bytesOf(length);
  return client.stage({ size: length, read: async (from, to) => Promise.resolve(bytes.slice(from, to)) }, { ...document, ...about });
};
const send = async (client: Client, text: string, ...files: FileInfo[]): Promise<void> =>
  client.send(id, { text, reply: null, mentions: new Map(), files });
const withFile = (person: Person, name: string): Promise<Article> =>
  person.sees(name, ({ log }) => articlesOf(log?.entries ?? []).find(({ files }) => files.some((file) => file.name === name)));
const settled = (client: Client, name: string) => articlesOf(client.state.log?.entries ?? []).find(({ files }) => files.some((file) => file.name === name));
async function read(client: Client, file: FileInfo | undefined): Promise<Uint8Array> {
  assert.ok(file);
  const parts: Uint8Array[] = [];
  const outcome = await client.readFile(file, (part) => void parts.push(part.slice()));
  assert.deepEqual(outcome, { ok: true, value: null });
  return Buffer.concat(parts);
}

test("a document arrives as it was, with what was written to it, and is found by its name", async () => {
  await send(ann.client, "Page four is new", await stage(ann.client, 700_000));
  const { text, files, state } = await withFile(ben, "plan.pdf");
  assert.deepEqual([text, files.length, files[0]?.size, state], ["Page four is new", 1, 700_000, null]);
  assert.deepEqual(await read(ben.client, files[0]), Buffer.from(bytesOf(700_000)));
  const { hits } = await ben.client.search("PLAN.pdf", null);
  assert.deepEqual(hits.map((hit) => hit.text), ["Page four is new"]);
  const list = ben.client.state.conversations.find((c) => c.id === id);
  assert.deepEqual(list?.preview?.files, { shape: "document", count: 1, name: "plan.pdf" });
});

test("an empty file, and one whose last record is full, are files like others", async () => {
  for (const length of [0, 262_128 * 2]) {
    await send(ann.client, "", await stage(ann.client, length, { name: `${length}.bin` }));
    const { files } = await withFile(ben, `${length}.bin`);
    assert.equal((await read(ben.client, files[0])).length, length);
  }
});

test("an upload resumes with the same bytes after a cut connection and a restart, and sends nothing twice", async () => {
  const file = await stage(ann.client, 3_000_000, { name: "film.mp4", mime: "video/mp4" });
  let puts = 0;
  fileServer.before = (action) => {
    if (action === "put" && (puts += 1) > 2) throw new Error("the line is cut");
  };
  const before = fileServer.put.length;
  await send(ann.client, "The film", file);
  await ann.types(id, "Have a look");
  await ann.sees("that it waits", ({ uploads }) => [...uploads.values()].find(({ stalled }) => stalled));
  assert.ok(fileServer.put.length > before, "something was sent");
  await ann.client.close();
  everyone.delete(ann.client);
  fileServer.before = () => undefined;
  const again = await startClient(nodePorts("http://localhost", { ...ports, backend: annsBackend, clock: annsClock }));
  everyone.add(again);
  Object.assign(ann, { client: again });
  await again.open(id);
  const { files } = await withFile(ben, "film.mp4");
  assert.equal(new Set(fileServer.put).size, fileServer.put.length, "no record twice");
  assert.deepEqual(files[0], file);
  assert.equal((await read(ben.client, files[0])).length, 3_000_000);
  // What was written afterwards has waited.
  await ben.reads("Have a look");
  assert.deepEqual(ben.texts().slice(-2), ["The film", "Have a look"]);
  assert.equal(again.state.uploads.size, 0);
});

test("a discarded message sends nothing more, and later ones are sent", async () => {
  const file = await stage(ann.client, 1_500_000, { name: "wrong.zip" });
  let isCut = false;
  fileServer.before = (action) => {
    isCut = action === "put" || isCut;
    if (action === "put") throw new Error("the line is cut");
  };
  await send(ann.client, "", file);
  await ann.types(id, "After it");
  const waiting = await ann.sees("that it waits", ({ uploads, log }) => uploads.size > 0 && articlesOf(log?.entries ?? []).find(({ files }) => files.some(({ name }) => name === "wrong.zip")));
  assert.equal(waiting.state, "sending");
  await ann.client.discard(id, waiting.id);
  fileServer.before = () => undefined;
  await ben.reads("After it");
  assert.equal(settled(ben.client, "wrong.zip"), undefined);
  await ann.sees("that it is gone", ({ uploads }) => uploads.size === 0);
  // Nothing waits for the discarded message.
  fileServer.before = (action) => { if (action === "create") throw new Error("the line is cut"); };
  await send(ann.client, "", await stage(ann.client, 10, { name: "wrong too.zip" }));
  const second = await ann.sees("that it waits", ({ uploads, log }) => [...uploads.values()].some(({ stalled }) => stalled) && articlesOf(log?.entries ?? []).find(({ files }) => files.some(({ name }) => name === "wrong too.zip")));
  const retried = new Promise<void>((resolve) => {
    afterRetry = resolve;
  });
  await ann.client.discard(id, second.id);
  fileServer.before = () => undefined;
  await ann.sees("nothing that waits", ({ waiting: count }) => count === 0);
  await retried;
  await ann.types(id, "At once");
  await ben.reads("At once");
  assert.equal(await annsBackend.get("files", file.id), undefined);
  assert.equal(fileServer.files.has(file.id), false);
});

test("a message that is discarded while another is being sent is not sent, and its upload is not begun", async () => {
  fileServer.before = () => {
    throw new Error("the line is cut");
  };
  await send(ann.client, "", await stage(ann.client, 1000, { name: "slow.zip" }));
  await send(ann.client, "", await stage(ann.client, 1000, { name: "wrong again.zip" }));
  let goOn = (): void => undefined;
  const goesOn = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  const begun = new Promise<void>((resolve) => {
    fileServer.before = (action) => {
      if (action !== "put") return undefined;
      resolve();
      return goesOn;
    };
  });
  ann.client.connectNow();
  await begun;
  const second = await withFile(ann, "wrong again.zip");
  await ann.client.discard(id, second.id);
  const created: unknown[] = [];
  fileServer.before = (action, { fileid }) => void (action === "create" && created.push(fileid));
  goOn();
  await ann.types(id, "After the slow one");
  await ben.reads("After the slow one");
  await ann.sees("nothing that waits", ({ waiting }) => waiting === 0);
  assert.deepEqual(created, []);
  assert.equal(settled(ann.client, "wrong again.zip"), undefined);
  fileServer.before = () => undefined;
});

test("the files of a message that is stored are not sent again, though its answer was lost and they are gone since", async () => {
  const file = await stage(ann.client, 1000, { name: "stored.txt" });
  let closing: Promise<void> | null = null;
  fileServer.before = (action) => {
    if (action === "add") closing = ann.client.close();
  };
  await send(ann.client, "", file);
  await withFile(ben, "stored.txt");
  await closing;
  everyone.delete(ann.client);
  fileServer.files.delete(file.id);
  let again: Client | null = null;
  // What it begins before it has heard what is stored is cut.
  fileServer.before = () => {
    if (again?.state.connection.kind !== "live") throw new Error("the line is cut");
  };
  again = await startClient(nodePorts("http://localhost", { ...ports, backend: annsBackend, clock: annsClock }));
  everyone.add(again);
  Object.assign(ann, { client: again });
  await again.open(id);
  await ann.sees("nothing that waits", ({ waiting, connection }) => waiting === 0 && connection.kind === "live");
  assert.equal(fileServer.files.has(file.id), false);
  fileServer.before = () => undefined;
});

test("one that is too large is held before a byte is sent, and says so", async () => {
  fileServer.maxSize = 1000;
  const before = fileServer.put.length;
  await send(ann.client, "", await stage(ann.client, 2000, { name: "large.iso" }));
  const held = await ann.sees("why", ({ log }) => articlesOf(log?.entries ?? []).find(({ held: why }) => why !== null));
  assert.deepEqual([held.state, held.held?.kind, fileServer.put.length], ["notSent", "fileTooLarge", before]);
  fileServer.maxSize = Number.POSITIVE_INFINITY;
  await ann.client.retry(id, held.id);
  await withFile(ben, "large.iso");
});

test("where the server's disk, or what one may store there, is full, it is held and says so, and what was written after it waits", async () => {
  for (const [action, status, code, kind] of [["create", 507, "disk_full", "serverFull"], ["put", 507, "disk_full", "serverFull"], ["create", 413, "quota_exceeded", "filesFull"]] as const) {
    const name = `${action} ${code}.zip`;
    fileServer.before = (asked) => (asked === action ? refused(status, code) : undefined);
    await send(ann.client, "", await stage(ann.client, 1000, { name }));
    await ann.types(id, `After ${name}`);
    const held = await ann.sees("why", ({ log }) => articlesOf(log?.entries ?? []).find(({ held: why }) => why !== null));
    assert.deepEqual([held.files[0]?.name, held.state, held.held?.kind], [name, "notSent", kind]);
    assert.equal((await ann.reads(`After ${name}`)).state, "sending");
    assert.equal(ann.client.state.uploads.has(held.id), false);
    fileServer.before = () => undefined;
    // Either way the rest goes on, in its order.
    if (action === "create") await ann.client.retry(id, held.id);
    else await ann.client.discard(id, held.id);
    await ben.reads(`After ${name}`);
    assert.equal(settled(ben.client, name) !== undefined, action === "create");
  }
});

test("where the server forgot it before the message came, it is sent again", async () => {
  const file = await stage(ann.client, 2000, { name: "forgotten.txt" });
  let isForgotten = false;
  fileServer.before = (action) => {
    if (action === "add" && !isForgotten) {
      isForgotten = true;
      fileServer.files.delete(file.id);
    }
  };
  await send(ann.client, "", file);
  const { files } = await withFile(ben, "forgotten.txt");
  fileServer.before = () => undefined;
  assert.equal((await read(ben.client, files[0])).length, 2000);
});

test("a file that the server has changed is refused, and a missing one is reported", async () => {
  await send(ann.client, "", await stage(ann.client, 600_000, { name: "true.txt" }));
  const [file] = (await withFile(ben, "true.txt")).files;
  assert.ok(file);
  const records = fileServer.files.get(file.id)?.records;
  assert.ok(records);
  const whole = new Map(records);
  const outcome = () => ben.client.readFile(file, () => undefined);
  const flipped = (whole.get(1) ?? new Uint8Array(0)).slice();
  flipped[5] = (flipped[5] ?? 0) ^ 1;
  records.set(1, flipped);
  assert.deepEqual(await outcome(), { ok: false, failure: { kind: "fileDamaged" } });
  records.set(1, whole.get(0) ?? flipped);
  assert.deepEqual(await outcome(), { ok: false, failure: { kind: "fileDamaged" } });
  // Shorter than its message says, by a part of it or by all that is asked for.
  const stored = fileServer.stored(file.id);
  stored.records = new Map(whole).set(2, (whole.get(2) ?? flipped).slice(1));
  assert.deepEqual(await outcome(), { ok: false, failure: { kind: "fileDamaged" } });
  stored.records = new Map();
  assert.deepEqual(await outcome(), { ok: false, failure: { kind: "fileDamaged" } });
  for (const key of ["AA==", "no base64"]) {
    assert.deepEqual(await ben.client.readFile({ ...file, key }, () => undefined), { ok: false, failure: { kind: "fileDamaged" } });
  }
  fileServer.files.delete(file.id);
  assert.deepEqual(await outcome(), { ok: false, failure: { kind: "fileGone" } });
});

/** Ben's requests for what is not held whole. */
async function bensCaller(): Promise<Caller> {
  const session = await new Store(bensBackend).session();
  assert.ok(session);
  return callerOf(nodePorts("http://localhost", ports), session);
}
async function streamed(file: FileInfo): Promise<{ parts: Uint8Array[]; progress: SaveProgress[]; error: unknown }> {
  const parts: Uint8Array[] = [];
  const progress: SaveProgress[] = [];
  try {
    for await (const part of await streamOf(await bensCaller(), file, (one) => void progress.push(one))) parts.push(part);
    return { parts, progress, error: null };
  } catch (error) {
    return { parts, progress, error };
  }
}

test("of two files under one key, the one that the message does not name is not returned whole, in either way", async () => {
  const size = 600_000;
  const named = await stage(ann.client, size, { name: "named.bin" });
  await send(ann.client, "", named);
  const [file] = (await withFile(ben, "named.bin")).files;
  assert.ok(file);
  const whole = await streamed(file);
  assert.deepEqual([whole.error, Buffer.concat(whole.parts)], [null, Buffer.from(bytesOf(size))]);
  assert.deepEqual(whole.progress, [{ done: PLAIN }, { done: 2 * PLAIN }, { ended: null }]);

  const key = await fileKey(fromBase64(file.key));
  const other = new Uint8Array(padme(size)).fill(1, 0, size);
  const stored = fileServer.stored(file.id);
  stored.records = new Map();
  for (let n = 0; n < file.records; n++) stored.records.set(n, await sealRecord(key, n, n === file.records - 1, other.slice(n * PLAIN, (n + 1) * PLAIN)));
  const another = await streamed(file);
  assert.ok(another.error instanceof DamagedFile, String(another.error));
  assert.ok(another.parts.length < file.records, "the last part is returned");
  assert.deepEqual(another.progress.at(-1), { ended: { kind: "fileDamaged" } });
  const parts: Uint8Array[] = [];
  assert.deepEqual(await ben.client.readFile(file, (part) => void parts.push(part)), { ok: false, failure: { kind: "fileDamaged" } });
  assert.ok(parts.length < file.records, "the last part is returned");
});

test("a file that another client has padded in its own way, or not at all, is read in either way; of what is longer than twice itself nothing is fetched", async () => {
  await send(ann.client, "", await stage(ann.client, 10, { name: "other.bin" }));
  const [named] = (await withFile(ben, "other.bin")).files;
  assert.ok(named);
  const content = new Uint8Array(300_000);
  const key = await fileKey(fromBase64(named.key));
  const records = await Promise.all([content.slice(0, PLAIN), content.slice(PLAIN)].map((part, n) => sealRecord(key, n, n === 1, part)));
  fileServer.stored(named.id).records = new Map(records.entries());
  const digest = hex(await digestOf(await Promise.all(records.map((record) => sha256(record)))));
  for (const size of [300_000, 100]) {
    const file: FileInfo = { ...named, size, records: 2, digest };
    assert.deepEqual(await read(ben.client, file), Buffer.alloc(size));
    const { parts, error } = await streamed(file);
    assert.deepEqual([Buffer.concat(parts).length, error], [size, null]);
  }
  let gets = 0;
  fileServer.before = (action) => void (action === "get" && (gets += 1));
  for (const wrong of [{ records: 3, size: 100 }, { records: 2 ** 32 - 1, size: 100 }, { records: 1, size: 300_000 }]) {
    assert.deepEqual(await ben.client.readFile({ ...named, digest, ...wrong }, () => undefined), { ok: false, failure: { kind: "fileDamaged" } });
  }
  assert.equal(gets, 0);
  fileServer.before = () => undefined;
});

test("requests that a busy server refuses are retried, and only those; a long Retry-After is reported", async () => {
  await send(ann.client, "", await stage(ann.client, 3_000_000, { name: "busy.zip" }));
  const [file] = (await withFile(ben, "busy.zip")).files;
  assert.ok(file);
  const answers = [null, refused(503, "unavailable", "0"), refused(429, "rate_limited", "1"), null, refused(500, "internal")];
  let gets = 0;
  fileServer.before = (action) => {
    if (action === "get") return answers[(gets += 1) - 1] ?? undefined;
    return undefined;
  };
  assert.equal((await read(ben.client, file)).length, 3_000_000);
  // Three batches, and one more for each that was refused.
  assert.equal(gets, 3 + 3);
  fileServer.before = (action) => (action === "get" ? refused(429, "rate_limited", "600") : undefined);
  assert.deepEqual(await ben.client.readFile(file, () => undefined), { ok: false, failure: { kind: "tooMany", minutes: 10 } });
  fileServer.before = (action) => (action === "get" ? refused(503, "unavailable", "600") : undefined);
  assert.deepEqual(await ben.client.readFile(file, () => undefined), { ok: false, failure: { kind: "noAnswer" } });
  fileServer.before = () => undefined;
});

test("a small picture that was looked at is kept, and read again without the server", async () => {
  await send(ann.client, "", await stage(ann.client, 50_000, { name: "hall.png", mime: "image/png" }));
  const [file] = (await withFile(ben, "hall.png")).files;
  assert.equal((await read(ben.client, file)).length, 50_000);
  fileServer.before = () => { throw new Error("the line is cut"); };
  assert.equal((await read(ben.client, file)).length, 50_000);
  assert.equal((await read(ann.client, file)).length, 50_000);
  fileServer.before = () => undefined;
});

test("a picture that was kept goes with its conversation", async () => {
  const made = await ann.client.createGroup("Hall", [ben.id]);
  assert.ok(made.ok);
  await ben.sees("the group", ({ conversations }) => conversations.find((one) => one.id === made.value));
  await ben.client.open(made.value);
  await ann.client.send(made.value, { text: "", reply: null, mentions: new Map(), files: [await stage(ann.client, 50_000, { name: "group.png", mime: "image/png" })] });
  const [file] = (await withFile(ben, "group.png")).files;
  assert.ok(file);
  await read(ben.client, file);
  const kept = () => Promise.all([bensBackend.get("files", file.id), bensBackend.get("records", [file.id, 0])]);
  assert.ok((await kept()).every((one) => one !== undefined));
  assert.ok((await ben.client.leave(made.value)).ok);
  assert.deepEqual(await kept(), [undefined, undefined]);
  await ben.client.open(id);
});

test("what was chosen and is not ready when its page goes is found by the next one, without what makes it a file, until it is taken out", async () => {
  const file = crypto.randomUUID() as FileInfo["id"];
  const chosen: ChosenFile = { id: file, info: null, order: 1, tiny: "", original: false, name: "film.mp4", type: "video/mp4" };
  await ann.client.keepChosen(id, chosen);
  assert.deepEqual(await ann.client.chosenFiles(id), [chosen]);
  // It goes in the middle of it.
  let hangs = (): void => undefined;
  const hung = new Promise<void>((resolve) => {
    hangs = resolve;
  });
  const read = (from: number): Promise<Uint8Array<ArrayBuffer>> => {
    if (from === 0) return Promise.resolve(new Uint8Array(PLAIN));
    hangs();
    return new Promise(() => undefined);
  };
  void ann.client.stage({ size: 2 * PLAIN, read }, document, undefined, file);
  await hung;
  await ann.client.close();
  everyone.delete(ann.client);
  const again = await startClient(nodePorts("http://localhost", { ...ports, backend: annsBackend, clock: annsClock }));
  everyone.add(again);
  Object.assign(ann, { client: again });
  await again.open(id);
  await ann.sees("the server", ({ connection }) => connection.kind === "live");
  assert.deepEqual(await again.chosenFiles(id), [chosen]);
  await again.unstage(file);
  assert.deepEqual([await again.chosenFiles(id), await annsBackend.range("records", { from: [file, 0], to: [file, 9] })], [[], []]);
});

test("what was chosen and not sent is found by the next page, in its order and its conversation, until it is sent or taken out", async () => {
  const chooses = async (name: string, order: number): Promise<FileInfo> => {
    const info = await stage(ann.client, 300_000, { name });
    await ann.client.keepChosen(id, { id: info.id, info, order, tiny: "", original: false, name, type: "application/pdf" });
    return info;
  };
  // The second one was ready before the first.
  const [second, first] = [await chooses("second.pdf", 2), await chooses("first.pdf", 1)];
  // Without being chosen, as a voice note that is about to be sent.
  await stage(ann.client, 10, { name: "other.bin" });
  await ann.client.close();
  everyone.delete(ann.client);
  const again = await startClient(nodePorts("http://localhost", { ...ports, backend: annsBackend, clock: { ...annsClock, now: () => clock.now() + 40 * 86_400_000 } }));
  everyone.add(again);
  Object.assign(ann, { client: again });
  await again.open(id);
  await ann.sees("the server", ({ connection }) => connection.kind === "live");
  assert.deepEqual((await again.chosenFiles(id)).map(({ info }) => info), [first, second]);
  assert.deepEqual(await again.chosenFiles("0".repeat(32)), []);
  await again.unstage(second.id);
  assert.deepEqual((await again.chosenFiles(id)).map(({ name }) => name), ["first.pdf"]);
  await send(again, "At last", first);
  assert.deepEqual(await again.chosenFiles(id), []);
  assert.equal((await read(ben.client, (await withFile(ben, "first.pdf")).files[0])).length, 300_000);
});
