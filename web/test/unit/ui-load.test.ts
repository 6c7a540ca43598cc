// Files that the screens show: fetched while somebody looks at them, and tried again when that may help.

import "./ui-globals.ts";
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { effect, type ReadonlySignal } from "@preact/signals";
import type { FileInfo } from "../../core/index.ts";
import { connection, provide } from "../../ui/state.ts";
import { entryOf, type Loaded, look } from "../../ui/files/load.ts";
import { articlesOf, Person } from "../world/person.ts";
import { Shelf } from "../world/shelf.ts";
import { Version4 } from "../world/version-4.ts";

const server = new Version4();
const shelf = new Shelf(server.http);
const ports = { http: shelf.http, openSocket: server.openSocket, onFault: () => undefined };
const ann = await Person.joins("Ann", ports);
const ben = await Person.joins("Ben", ports);
after(() => Promise.all([ann.client.close(), ben.client.close()]));
const id = await ann.befriends(ben);
await Promise.all([ann.client.open(id), ben.client.open(id)]);
provide(ben.client);

/** A picture that Ann sends, as Ben has its message. */
async function picture(name: string): Promise<FileInfo> {
  const read = async (from: number, to: number) => Promise.resolve(new Uint8Array(to - from));
  const file = await ann.client.stage({ size: 50_000, read }, { name, mime: "image/png", w: null, h: null, ms: null, thumb: "", wave: "" });
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
  let fetches = 0;
  let isTooMany = (): void => undefined;
  const tooMany = new Promise<"too many">((resolve) => {
    isTooMany = () => resolve("too many");
  });
  shelf.before = (action) => {
    if (action !== "get") return;
    if ((fetches += 1) > 5) isTooMany();
    throw new Error("the line is cut");
  };
  const entry = entryOf(await picture("hall.png"));
  const leave = look(entry);
  await becomes(entry.shown, "failed");
  for (const expected of [2, 3]) {
    reconnects();
    assert.equal(entry.shown.value.kind, "waiting");
    assert.notEqual(await Promise.race([becomes(entry.shown, "failed"), tooMany]), "too many");
    assert.equal(fetches, expected);
  }
  leave();
  reconnects();
  assert.deepEqual([entry.shown.value.kind, fetches], ["failed", 3]);
  look(entry)();
  await becomes(entry.shown, "failed");
  assert.equal(fetches, 4);
});
