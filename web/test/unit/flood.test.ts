// Messages that arrive in quick succession: they are stored together, and none waits for others that do not come.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { clock } from "../../browser/clock.ts";
import type { Clock, Http } from "../../core/ports.ts";
import type { Backend } from "../../core/store/backend.ts";
import { memoryBackend } from "../../core/store/memory.ts";
import { Gathered } from "../../core/sync/gathered.ts";
import { Serial } from "../../core/sync/serial.ts";
import { articlesOf, Person } from "../world/person.ts";
import { Version4 } from "../world/version-4.ts";

/** The longest rest. */
const REST_MS = 250;

/** A clock by which everything takes a while, and whose short timers run when they are released. */
class SlowClock implements Clock {
  private steps = 0;
  private held: (() => void)[] | null = null;
  private onHeld = (): unknown => undefined;
  now = (): number => clock.now() + 30 * this.steps++;
  after = (ms: number, then: () => void): (() => void) => {
    if (!this.held || ms === 0 || ms > REST_MS) return clock.after(ms, then);
    this.held.push(then);
    this.onHeld();
    return () => (this.held = this.held?.filter((one) => one !== then) ?? null);
  };
  /** Whether they run late, as in a hidden tab. */
  isLate = (): boolean => this.late;
  late = false;
  hold(): void {
    this.held = [];
  }
  /** Waits until a timer is held. */
  rests(): Promise<void> {
    return new Promise((resolve) => {
      this.onHeld = () => this.pending > 0 && resolve();
      this.onHeld();
    });
  }
  get pending(): number {
    return this.held?.length ?? 0;
  }
  release(): void {
    const due = this.held ?? [];
    this.held = null;
    for (const then of due) then();
  }
}

/** How many messages each batch has stored. */
const stored: number[] = [];
let onStored = (): void => undefined;
const memory = memoryBackend();
const backend: Backend = {
  ...memory,
  write: async (changes, term) => {
    const written = await memory.write(changes, term);
    const rows = changes.filter((change) => "put" in change && change.put === "rows").length;
    if (rows > 0) stored.push(rows);
    onStored();
    return written;
  },
};
const until = (isTrue: () => boolean): Promise<void> =>
  new Promise((resolve) => {
    onStored = () => isTrue() && resolve();
    onStored();
  });

const server = new Version4();
let onViewed = (): void => undefined;
const http: Http = (path, body, ...rest) => {
  if (String(body).includes('"viewed"')) onViewed();
  return server.http(path, body, ...rest);
};
const slow = new SlowClock();
const [ann, ben] = await Promise.all([
  Person.joins("Ann", { http: server.http, openSocket: server.openSocket }),
  Person.joins("Ben", { http, openSocket: server.openSocket, backend, clock: slow }),
]);
after(() => Promise.all([ann.client.close(), ben.client.close()]));
const id = await ann.befriends(ben);
await Promise.all([ann.client.open(id), ben.client.open(id)]);
const says = async (text: string): Promise<void> => {
  await ann.types(id, text);
  await ann.sees(`"${text}" was sent`, ({ log }) => articlesOf(log?.entries ?? []).find((one) => one.text === text && one.state === "sent"));
};

test("the first message is stored at once, and those that follow it closely are stored together", async () => {
  await says("Zero");
  await ben.reads("Zero");
  stored.length = 0;
  slow.hold();
  await says("One");
  await until(() => stored.length === 1);
  for (const text of ["Two", "Three", "Four"]) await says(text);
  slow.release();
  await ben.reads("Four");
  assert.deepEqual(stored, [1, 3]);
  assert.deepEqual(ben.texts(), ["Zero", "One", "Two", "Three", "Four"]);
});

test("what is stopped does not rest, and does nothing that has come meanwhile", async () => {
  const resting = new SlowClock();
  const done: string[] = [];
  const serial = new Serial();
  const gathered = new Gathered<string>(resting, serial, (items) => Promise.resolve(done.push(...items)));
  resting.hold();
  gathered.add("One");
  await resting.rests();
  gathered.add("Two");
  gathered.stop();
  assert.equal(resting.pending, 0);
  await serial.run(() => Promise.resolve());
  assert.deepEqual(done, ["One"]);
});

test("where timers run late, nothing waits for one: another tab may be visible", async () => {
  const hidden = new SlowClock();
  const done: string[] = [];
  const serial = new Serial();
  const gathered = new Gathered<string>(hidden, serial, (items) => Promise.resolve(done.push(...items)));
  hidden.hold();
  hidden.late = true;
  for (const one of ["One", "Two"]) {
    gathered.add(one);
    await serial.run(() => Promise.resolve());
  }
  assert.deepEqual(done, ["One", "Two"]);
  assert.equal(hidden.pending, 0);
});

test("what was seen in another tab is reported, and a message shown, without a timer that runs late", async () => {
  slow.hold();
  slow.late = true;
  const viewed = new Promise<void>((resolve) => { onViewed = resolve; });
  for (const text of ["Five", "Six"]) await says(text);
  const { id: message } = await ben.reads("Six");
  ben.client.seenUpTo(id, message);
  await viewed;
  slow.late = false;
  slow.release();
});

test("a client that is closed leaves no timer of its view", async () => {
  const resting = new SlowClock();
  const cleo = await Person.joins("Cleo", { http: server.http, openSocket: server.openSocket, clock: resting });
  const together = await ann.befriends(cleo);
  await cleo.client.open(together);
  resting.hold();
  await ann.types(together, "Hello");
  // After what was received, or after what was shown.
  await resting.rests();
  await cleo.client.close();
  assert.equal(resting.pending, 0);
});
