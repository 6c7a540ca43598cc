// Files over a line of 64 kbit/s, on which the server waits as long as at 8 KiB a second and a little more; time is the line's.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { clock } from "../../browser/clock.ts";
import type { Clock } from "../../core/ports.ts";
import type { Client, FileInfo } from "../../core/index.ts";
import { RECORD } from "../../core/crypto/file.ts";
import { articlesOf, Person } from "../world/person.ts";
import { refused, FileServer } from "../world/file-server.ts";
import { Version4 } from "../world/version-4.ts";

/** Bytes in a second. */
let rate = 8000;
/** The line's time is ahead of the real one by so much. */
let ahead = 0;
const now = (): number => clock.now() + ahead;
/** Waits for another try are short here. */
const lineClock: Clock = { now, after: (ms, then) => clock.after(ms < 6000 ? ms / 50 : ms, then) };

const server = new Version4();
const fileServer = new FileServer(server.http);
const ports = { http: fileServer.http, openSocket: server.openSocket, onFault: console.error };
const ann = await Person.joins("Ann", { ...ports, clock: lineClock });
const ben = await Person.joins("Ben", ports);
after(() => Promise.all([ann.client.close(), ben.client.close()]));
const id = await ann.befriends(ben);
await Promise.all([ann.client.open(id), ben.client.open(id)]);

/** How many requests with records are under way, and how many were at most. */
let [busy, most] = [0, 0];
/** How many bytes each request had, and whether it was in time. */
const puts: { bytes: number; inTime: boolean }[] = [];
fileServer.before = async (action, { length }) => {
  if (action !== "put") return undefined;
  const [begun, bytes] = [ahead, Number(length)];
  busy += 1;
  most = Math.max(most, busy);
  // Parallel requests have begun by then.
  await new Promise((resolve) => setTimeout(resolve, 50));
  const seconds = (bytes * busy) / rate;
  await new Promise((resolve) => setTimeout(resolve, 10));
  busy -= 1;
  ahead = Math.max(ahead, begun + seconds * 1000);
  const inTime = seconds <= 15 + bytes / 8192;
  puts.push({ bytes, inTime });
  return inTime ? undefined : refused(408, "incomplete_body");
};

async function sends(client: Client, name: string, ...lengths: number[]): Promise<void> {
  const files: FileInfo[] = [];
  for (const [i, size] of lengths.entries()) {
    const about = { name: `${i} ${name}`, mime: "application/pdf", w: null, h: null, ms: null, thumb: "", wave: "" };
    files.push(await client.stage({ size, read: async (from, to) => Promise.resolve(new Uint8Array(to - from).fill(i)) }, about));
  }
  [puts.length, most] = [0, 0];
  await client.send(id, { text: "", reply: null, mentions: new Map(), files });
  await ben.sees(name, ({ log }) => articlesOf(log?.entries ?? []).find((one) => one.files.some((file) => file.name === `0 ${name}`)));
}

test("a file goes up by one record at a time, and each is sent once", async () => {
  await sends(ann.client, "plan.pdf", 3 * RECORD);
  assert.deepEqual([most, puts.every(({ inTime }) => inTime), Math.max(...puts.map(({ bytes }) => bytes))], [1, true, RECORD]);
});

test("of two files in a message, and after a small one that was quick, still one record at a time", async () => {
  await sends(ann.client, "two.pdf", 100, 2 * RECORD, 2 * RECORD);
  assert.deepEqual([most, puts.every(({ inTime }) => inTime), Math.max(...puts.map(({ bytes }) => bytes))], [1, true, RECORD]);
});

test("once the line is quick, more goes at once; when it is slow again, what came too late is sent in smaller pieces, and is not held", async () => {
  rate = 10_000_000;
  await sends(ann.client, "quick.pdf", 5_000_000);
  assert.deepEqual([most, Math.max(...puts.map(({ bytes }) => bytes))], [2, 4 * RECORD]);
  rate = 8000;
  await sends(ann.client, "slow.pdf", 8 * RECORD);
  const late = puts.filter(({ inTime }) => !inTime).length;
  assert.ok(late <= 2, `${late} came too late`);
  assert.deepEqual(puts.slice(late).map(({ bytes }) => bytes <= RECORD), puts.slice(late).map(() => true));
});
