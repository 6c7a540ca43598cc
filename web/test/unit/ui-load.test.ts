// Files that the screens show: fetched while somebody looks at them, and tried again when that may help.

import "./ui-globals.ts";
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { effect, type ReadonlySignal } from "@preact/signals";
import { clock } from "../../browser/clock.ts";
import type { Clock, FileInfo } from "../../core/index.ts";
import type { Backend } from "../../core/store/backend.ts";
import { memoryBackend } from "../../core/store/memory.ts";
import { RECORD } from "../../core/crypto/file.ts";
import { connection, provide } from "../../ui/state.ts";
import { again, entryOf, type Loaded, look } from "../../ui/files/load.ts";
import { articlesOf, Person } from "../world/person.ts";
import { refused, FileServer } from "../world/file-server.ts";
import { Version4 } from "../world/version-4.ts";

/** Waits for another try are short here. */
const quick: Clock = { now: clock.now, after: (ms, then) => clock.after(ms < 6000 ? ms / 50 : ms, then) };
const server = new Version4();
const fileServer = new FileServer(server.http);
const ports = { http: fileServer.http, openSocket: server.openSocket, onFault: () => undefined, clock: quick };
const ann = await Person.joins("Ann", ports);
const inner = memoryBackend();
/** Called when Ben's device has forgotten a file. */
let hasForgotten = (): void => undefined;
const bensBackend: Backend = {
  ...inner,
  write: async (changes, term) => {
    const keys = await inner.write(changes, term);
    if (changes.some((one) => "remove" in one && one.remove === "files")) hasForgotten();
    return keys;
  },
};
const ben = await Person.joins("Ben", { ...ports, backend: bensBackend });
after(() => Promise.all([ann.client.close(), ben.client.close()]));
const id = await ann.befriends(ben);
await Promise.all([ann.client.open(id), ben.client.open(id)]);
provide(ben.client);

/** A picture that Ann sends, as Ben has its message. */
async function picture(name: string, length = 50_000): Promise<FileInfo> {
  const bytes = new Uint8Array(length);
  bytes.set(Buffer.from("\x89PNG\r\n\x1a\n", "latin1"));
  const read = async (from: number, to: number) => Promise.resolve(bytes.slice(from, to));
  const file = await ann.client.stage({ size: bytes.length, read }, { name, mime: "image/png", w: null, h: null, ms: null, thumb: "", wave: "" });
  await ann.client.send(id, { text: "", reply: null, mentions: new Map(), files: [file] });
  return ben.sees(name, ({ log }) => articlesOf(log?.entries ?? []).flatMap(({ files }) => files).find((one) => one.name === name));
}
async function becomes(shown: ReadonlySignal<Loaded>, kind: Loaded["kind"]): Promise<Loaded> {
  let end = (): void => undefined;
  const found = await new Promise<Loaded>((resolve) => {
    end = effect(() => {
      if (shown.value.kind === kind) resolve(shown.value);
    });
  });
  end();
  return found;
}
const reconnects = (): void => {
  connection.value = { kind: "connecting" };
  connection.value = { kind: "live" };
};

test("what has no answer is tried again once with each new connection, while somebody looks at it", async () => {
  /** With those that are repeated within one try. */
  const FETCHES = 4;
  let fetches = 0;
  let isTooMany = (): void => undefined;
  const tooMany = new Promise<"too many">((resolve) => {
    isTooMany = () => resolve("too many");
  });
  fileServer.before = (action) => {
    if (action !== "get") return;
    if ((fetches += 1) > 5 * FETCHES) isTooMany();
    throw new Error("the line is cut");
  };
  const entry = entryOf(await picture("hall.png"));
  const leave = look(entry);
  await becomes(entry.shown, "failed");
  for (const expected of [2, 3]) {
    reconnects();
    assert.equal(entry.shown.value.kind, "waiting");
    assert.notEqual(await Promise.race([becomes(entry.shown, "failed"), tooMany]), "too many");
    assert.equal(fetches, expected * FETCHES);
  }
  leave();
  reconnects();
  assert.deepEqual([entry.shown.value.kind, fetches], ["failed", 3 * FETCHES]);
  look(entry)();
  await becomes(entry.shown, "failed");
  assert.equal(fetches, 4 * FETCHES);
});

test("what is here of a file is not fetched again by the next try", async () => {
  let tries = 0;
  fileServer.before = (action) => {
    if (action === "get" && (tries += 1) > 1) throw new Error("the line is cut");
  };
  const entry = entryOf(await picture("long hall.png", 3_000_000));
  look(entry);
  await becomes(entry.shown, "failed");
  const fetches: number[] = [];
  fileServer.before = (action, _fields, headers) => void (action === "get" && fetches.push(Number(/\d+/.exec(headers["Range"] ?? "")?.[0]) / RECORD));
  reconnects();
  const here = await becomes(entry.shown, "here");
  // After a line that was cut it goes on carefully: with one record, which was here before, then one, two and four.
  assert.deepEqual(fetches, [1, 2, 4, 8]);
  assert.ok(here.kind === "here");
  assert.equal((await (await fetch(here.url)).arrayBuffer()).byteLength, 3_000_000);
});

test("what a busy server refuses is tried again with a new look and a new connection, and whatever failed when it is asked for", async () => {
  const busy = [refused(429, "rate_limited", "600"), refused(503, "unavailable", "600")];
  for (const [i, refusal] of busy.entries()) {
    for (const retry of [look, reconnects, again]) {
      const entry = entryOf(await picture(`${retry.name} ${i}.png`));
      fileServer.before = (action) => (action === "get" ? refusal : undefined);
      look(entry);
      await becomes(entry.shown, "failed");
      fileServer.before = () => undefined;
      retry(entry);
      await becomes(entry.shown, "here");
    }
  }
});

test("of a picture whose message is erased nothing is held any more, neither as it is shown nor as it was fetched", async () => {
  const file = await picture("erased.png");
  const entry = entryOf(file);
  const leave = look(entry);
  const here = await becomes(entry.shown, "here");
  assert.ok(here.kind === "here");
  leave();
  assert.equal((await bensBackend.range("records", { from: [file.id, 0], to: [file.id, 9] })).length, 1);
  const sent = await ann.sees("her own", ({ log }) => articlesOf(log?.entries ?? []).find(({ files }) => files.some(({ id: of }) => of === file.id)));
  const isForgotten = new Promise<void>((resolve) => {
    hasForgotten = resolve;
  });
  await ann.client.erase(id, sent.id);
  await isForgotten;
  await becomes(entry.shown, "waiting");
  await assert.rejects(fetch(here.url));
  assert.notEqual(entryOf(file), entry);
  assert.deepEqual(await bensBackend.range("records", { from: [file.id, 0], to: [file.id, 9] }), []);
});
