// The headers of requests, and their time.

import assert from "node:assert/strict";
import { test } from "node:test";
import { clock } from "../../browser/clock.ts";
import { stationId, userId } from "../../core/model/ids.ts";
import { Caller, done } from "../../core/wire/call.ts";

test("who logs in names the account, so that nobody is refused for the failures of others at the same address", async () => {
  const sent: Record<string, string>[] = [];
  const [user, station] = [userId("a".repeat(32)), stationId("b".repeat(32))];
  const caller = new Caller(
    async (_path, _body, headers) => {
      sent.push(headers);
      return { status: 200, text: '{"status":"OK","errormessage":""}', date: null, retryAfter: null };
    },
    clock,
    { user, station },
  );
  await caller.call("chatlogin", "prelogin", { email: "ann@example.org" }, done);
  assert.deepEqual(sent.map((headers) => [headers["Ozeki-User"], headers["Ozeki-Station"], headers["Ozeki-Signature"]]), [[user, station, undefined]]);
});

test("requests have the server's time, while this device's clock is wrong and after it was set right", async () => {
  const server = Date.UTC(2026, 10, 24, 14, 20);
  let here = server;
  const caller = new Caller(
    async () => ({ status: 200, text: '{"status":"OK","errormessage":""}', date: new Date(server).toUTCString(), retryAfter: null }),
    { now: () => here, after: clock.after },
    { user: userId("a".repeat(32)), station: stationId("b".repeat(32)) },
  );
  const minutesOff = async (minutes: number): Promise<number> => {
    here = server + minutes * 60_000;
    await caller.call("chatlogin", "prelogin", { email: "ann@example.org" }, done);
    return (caller.now() - server) / 60_000;
  };
  // A minute may be that of a slow line.
  for (const [minutes, stays] of [[0, 0], [1, 1], [4, 0], [-7, 0], [0, 0], [1, 1], [180, 0], [0, 0]] as const) assert.equal(await minutesOff(minutes), stays, `${minutes} minutes`);
});
