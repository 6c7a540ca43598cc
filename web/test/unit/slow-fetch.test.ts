// Bytes of files that arrive slowly, from a real server; the clock is the test's.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { after, test } from "node:test";
import { httpTo } from "../../browser/http.ts";
import { fetchWithRetries } from "../../core/actions/fetch.ts";
import { RECORD } from "../../core/crypto/file.ts";
import type { FileInfo } from "../../core/model/file.ts";
import { fileId, stationId, userId } from "../../core/model/ids.ts";
import type { Clock } from "../../core/ports.ts";
import { Caller } from "../../core/wire/call.ts";

/** A clock that stands still until it is advanced. */
class ManualClock implements Clock {
  private at = 0;
  private readonly timers = new Set<{ due: number; call: () => void }>();
  /** Called when something is to be waited for. */
  onWait = (): void => undefined;

  now = (): number => this.at;
  after = (ms: number, then: () => void): (() => void) => {
    const timer = { due: this.at + ms, call: then };
    this.timers.add(timer);
    this.onWait();
    return () => void this.timers.delete(timer);
  };
  advance(ms: number): void {
    this.at += ms;
    for (const timer of [...this.timers]) {
      if (timer.due > this.at || !this.timers.delete(timer)) continue;
      timer.call();
    }
  }
}

const whole = new Uint8Array(4 * RECORD).map((_, i) => i * 7);
/** The ranges that were asked for, in records. */
const asked: [number, number][] = [];
let answers: (answer: ServerResponse, part: Uint8Array) => Promise<void> | void = (answer, part) => void answer.end(part);
const server = createServer((request, answer) => {
  const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "") ?? [];
  const part = whole.subarray(Number(from), Number(to) + 1);
  asked.push([Number(from) / RECORD, (Number(to) + 1) / RECORD - 1]);
  answer.writeHead(206, { "content-length": part.length });
  void answers(answer, part);
});
server.listen(0, "127.0.0.1");
await once(server, "listening");
after(() => {
  server.closeAllConnections();
  server.close();
});

const file = { id: fileId("00000000-0000-4000-8000-000000000001") } as FileInfo;
function callerWith(clock: Clock): Caller {
  asked.length = 0;
  return new Caller(httpTo(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`), clock, { user: userId("2".repeat(32)), station: stationId("1".repeat(32)) });
}

test("a slow download is not given up while it makes progress, and then one record is fetched at a time", { timeout: 60_000 }, async () => {
  const manualClock = new ManualClock();
  const caller = callerWith(manualClock);
  answers = async (answer, part) => {
    for (let at = 0; at < part.length; at += RECORD / 2) {
      // It has arrived when the next one is waited for.
      const heard = new Promise<void>((resolve) => { manualClock.onWait = resolve; });
      answer.write(part.subarray(at, at + RECORD / 2));
      await heard;
      manualClock.advance(25_000);
    }
    answer.end();
  };
  assert.deepEqual(await fetchWithRetries(caller, file, [0, 3]), whole);
  assert.equal(manualClock.now(), 8 * 25_000);
  assert.equal((await fetchWithRetries(caller, file, [1, 3])).length, RECORD);
  answers = (answer, part) => void answer.end(part);
  // A quick one is followed by a larger one.
  assert.equal((await fetchWithRetries(caller, file, [1, 3])).length, RECORD);
  assert.equal((await fetchWithRetries(caller, file, [0, 3])).length, 2 * RECORD);
  assert.deepEqual(asked, [[0, 3], [1, 1], [1, 1], [0, 1]]);
});

test("a stalled download is given up after half a minute, and retried in smaller pieces", { timeout: 60_000 }, async () => {
  const manualClock = new ManualClock();
  const caller = callerWith(manualClock);
  let isFirst = true;
  answers = async (answer, part) => {
    if (!isFirst) return void answer.end(part);
    isFirst = false;
    const heard = new Promise<void>((resolve) => { manualClock.onWait = resolve; });
    answer.write(part.subarray(0, 1000));
    await heard;
    manualClock.onWait = () => setImmediate(() => manualClock.advance(1000));
    manualClock.advance(29_999);
    manualClock.advance(1);
  };
  assert.equal((await fetchWithRetries(caller, file, [0, 3])).length, RECORD);
  assert.deepEqual(asked, [[0, 3], [0, 0]]);
});
