// A device that cannot write, or read, for a while: nothing that nobody waits for ends the program, and nothing stays undone.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { clock } from "../../browser/clock.ts";
import type { Backend, Change } from "../../core/store/backend.ts";
import { memoryBackend } from "../../core/store/memory.ts";
import { Person } from "../world/person.ts";
import { Version4 } from "../world/version-4.ts";

const full = new Error("the disk is full");
/** A device: what it cannot write, and whether it can read. */
class Device {
  refuses: (changes: readonly Change[]) => boolean = () => false;
  canRead = true;
  readonly faults: unknown[] = [];
  private heard: () => void = () => undefined;
  readonly backend: Backend;

  constructor(private readonly inner = memoryBackend()) {
    this.backend = {
      ...inner,
      range: async (...asked) => {
        if (!this.canRead) throw full;
        return inner.range(...asked);
      },
      write: async (changes, term) => {
        if (this.refuses(changes)) throw full;
        return this.inner.write(changes, term);
      },
    };
  }

  onFault = (error: unknown): void => {
    this.faults.push(error);
    this.heard();
  };

  /** Waits until a fault was reported. */
  async tells(error: unknown): Promise<void> {
    while (!this.faults.includes(error)) await new Promise<void>((resolve) => (this.heard = resolve));
  }
}

const server = new Version4();
const device = new Device();
const ports = { http: server.http, openSocket: server.openSocket, onFault: () => undefined };
const soon = { ...clock, after: (ms: number, then: () => void) => clock.after(Math.min(ms, 20), then) };
const [ann, ben] = await Promise.all([Person.joins("Ann", { ...ports, backend: device.backend, onFault: device.onFault }), Person.joins("Ben", ports)]);
after(() => Promise.all([ann.client.close(), ben.client.close()]));
const id = await ann.befriends(ben);
await Promise.all([ann.client.open(id), ben.client.open(id)]);

test("a failure to store what was seen is reported as a fault, and no more", async () => {
  await ben.types(id, "Hello");
  const message = await ann.reads("Hello");
  device.refuses = (changes) => changes.some((change) => "put" in change && change.put === "conversations");
  ann.client.seenUpTo(id, message.id);
  await device.tells(full);
  device.refuses = () => false;
});

test("what could not be read is read with the next change", async () => {
  device.faults.length = 0;
  device.canRead = false;
  await ben.types(id, "While nothing can be read");
  await device.tells(full);
  device.canRead = true;
  await ben.types(id, "And then");
  await ann.reads("And then");
  await ann.reads("While nothing can be read");
});

test("a tab that cannot take the lead, as the disk is full, takes it when there is room", async () => {
  const other = new Device();
  let refused = 0;
  const takesTerm = ([first, ...rest]: readonly Change[]): boolean => rest.length === 0 && first !== undefined && "put" in first && first.key === "term";
  other.refuses = (changes) => takesTerm(changes) && ++refused <= 3;
  const second = await ann.onAnotherDevice({ ...ports, clock: soon, backend: other.backend, onFault: other.onFault });
  await second.sees("the server", ({ connection }) => connection.kind === "live" || undefined);
  assert.ok(refused > 3);
  assert.ok(other.faults.includes(full));
  await second.client.close();
});

test("after a logout calls reject, and background tasks do nothing", async () => {
  const second = await ben.onAnotherDevice(ports);
  await second.client.logOut();
  await assert.rejects(second.client.send(id, { text: "Too late", reply: null, mentions: new Map() }));
  second.client.connectNow();
  second.client.useHere();
  second.client.typing(id);
  second.client.seenUpTo(id, "");
  await second.client.close();
});
