// After sleep or a change of the network the socket may be dead without having been closed: a ping finds out.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { clock } from "../../browser/clock.ts";
import type { OpenSocket } from "../../core/ports.ts";
import { Person } from "../world/person.ts";
import { Version4 } from "../world/version-4.ts";

const server = new Version4();
let opened = 0;
let pings = 0;
let isDead = false;
let onPing = (): void => undefined;
const openSocket: OpenSocket = (path, listener, protocols) => {
  opened += 1;
  isDead = false;
  const socket = server.openSocket(path, listener, protocols);
  const send = (text: string): void => {
    if (text !== '{"action":"ping"}') return;
    pings += 1;
    onPing();
    if (!isDead) listener.onFrame("{}");
  };
  return { ...socket, send };
};

/** The time limits of the answer to a ping, each until it is over or cancelled. */
const limits = new Set<() => void>();
const isLimit = (ms: number): boolean => ms > 2000 && ms < 10_000;
const after4 = (ms: number, then: () => void): (() => void) => {
  if (!isLimit(ms)) return clock.after(ms, then);
  limits.add(then);
  return () => limits.delete(then);
};

const ann = await Person.joins("Ann", { http: server.http, openSocket, onFault: console.error, clock: { now: clock.now, after: after4 } });
after(() => ann.client.close());
const isLive = (): Promise<unknown> => ann.sees("a connection", ({ connection }) => connection.kind === "live");
const pinged = async (): Promise<void> => {
  const before = pings;
  const ping = new Promise<void>((resolve) => (onPing = resolve));
  ann.client.connectNow();
  await ping;
  assert.equal(pings, before + 1);
};

test("a socket that answers stays", async () => {
  await isLive();
  limits.clear();
  await pinged();
  assert.equal(limits.size, 0);
  assert.equal(opened, 1);
});

test("one that does not answer in time is replaced, and a second hint does not give it more time", async () => {
  isDead = true;
  await pinged();
  const [limit] = limits;
  assert.ok(limit);
  ann.client.connectNow();
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual([...limits], [limit]);
  assert.equal(pings, 2);
  limits.delete(limit);
  limit();
  await ann.sees("that it waits", ({ connection }) => connection.kind !== "live");
  await isLive();
  assert.equal(opened, 2);
});
