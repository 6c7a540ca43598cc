// The headers of requests.

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
