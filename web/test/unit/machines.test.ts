// The states of the connection, what becomes of an attempt to send, and what joins what is held.

import assert from "node:assert/strict";
import { test } from "node:test";
import { type ConnectionEvent, type ConnectionState, delayMs, step } from "../../core/sync/connection.ts";
import { judge } from "../../core/outbox/outgoing.ts";
import { joins } from "../../core/sync/arrive.ts";
import { Refused, Unreachable } from "../../core/wire/refusal.ts";
import type { WireEvent } from "../../core/wire/notification.ts";
import { readTabMessage } from "../../core/sync/tab-messages.ts";

const closed = (code: number): ConnectionEvent => ({ kind: "closed", code, now: 1000, random: 0.5 });
const walk = (...events: ConnectionEvent[]): ConnectionState => events.reduce<ConnectionState>(step, { kind: "idle" });

test("connecting, and reconnecting after the connection broke", () => {
  assert.deepEqual(walk({ kind: "start" }), { kind: "connecting", tries: 0 });
  assert.deepEqual(walk({ kind: "start" }, { kind: "opened" }, { kind: "caughtUp" }), { kind: "live" });
  const broken = walk({ kind: "start" }, { kind: "opened" }, { kind: "caughtUp" }, closed(1006));
  assert.deepEqual(broken, { kind: "waiting", tries: 0, until: 1500 });
  assert.deepEqual(step(broken, { kind: "due" }), { kind: "connecting", tries: 0 });
});

test("a server that stops sends its clients elsewhere at once, but not again and again", () => {
  for (const code of [1001, 1012]) {
    const again = step({ kind: "live" }, closed(code));
    assert.deepEqual(again, { kind: "connecting", tries: 0 });
    assert.deepEqual(step(again, closed(code)), { kind: "waiting", tries: 1, until: 2000 });
    assert.deepEqual(step({ kind: "catchingUp", tries: 0 }, closed(code)), { kind: "waiting", tries: 1, until: 2000 });
  }
});

test("delays double up to a minute, and are reset by the user or the network", () => {
  assert.deepEqual([0, 1, 2, 7, 50].map((tries) => delayMs(tries, 0.5)), [500, 1000, 2000, 60_000, 60_000]);
  assert.ok(delayMs(3, 0) < delayMs(3, 1));
  const waiting: ConnectionState = { kind: "waiting", tries: 6, until: 9 };
  assert.deepEqual(step(waiting, { kind: "wake" }), { kind: "connecting", tries: 0 });
  assert.deepEqual(step(waiting, { kind: "due" }), { kind: "connecting", tries: 6 });
});

test("a station that is used elsewhere does not fight, and one that was signed out does not try again", () => {
  const live: ConnectionState = { kind: "live" };
  for (const code of [1008, 4409]) {
    const replaced = step(live, closed(code));
    assert.deepEqual(replaced, { kind: "replaced" });
    for (const event of [{ kind: "due" }, { kind: "wake" }, closed(1006)] as const) assert.equal(step(replaced, event), replaced);
    assert.deepEqual(step(replaced, { kind: "start" }), { kind: "connecting", tries: 0 });
  }
  const unauthorized = step(live, closed(4401));
  assert.deepEqual(unauthorized, { kind: "unauthorized" });
  assert.equal(step(unauthorized, { kind: "wake" }), unauthorized);
});

test("what passes is tried again with the same bytes; everything else asks the writer", () => {
  const refused = (status: number, code: string): Refused => new Refused(status, code, "Why.", null);
  for (const error of [new Unreachable("cut"), refused(408, "incomplete_body"), refused(429, "rate_limited"), refused(503, "unavailable"), refused(409, "replayed"), refused(401, "unknown_station")]) {
    assert.deepEqual(judge(error), { kind: "retry" });
  }
  for (const code of ["stale_epoch", "stale_roster"]) assert.deepEqual(judge(refused(409, code)), { kind: "sealAgain" });
  assert.deepEqual(judge(refused(409, "message_id_conflict")), { kind: "lookUp" });
  for (const [status, code] of [[403, "not_allowed"], [413, "too_large"], [409, "stale_instance"], [404, "conversation_not_found"]] as const) {
    assert.deepEqual(judge(refused(status, code)), { kind: "hold", held: { code, sentence: "Why." } });
  }
});

test("events join only if each names the row before it", () => {
  const event = (of: "message" | "report", ID: string, after: string): WireEvent =>
    ({ conversationid: "", instance: "", message: of === "message" ? { ID } : null, report: of === "report" ? { ID } : null, after }) as WireEvent;
  const events = [event("message", "m2", "m1"), event("report", "r2", "r1"), event("message", "m3", "m2")];
  assert.ok(joins(events, "m1", "r1"));
  assert.ok(joins([event("message", "m1", "")], "", ""));
  assert.ok(!joins(events, "m0", "r1"));
  assert.ok(!joins(events, "m1", ""));
  assert.ok(!joins([events[0], event("message", "m4", "m3")] as WireEvent[], "m1", "r1"));
});

test("what another tab posts is checked like everything from outside", () => {
  assert.deepEqual(readTabMessage({ post: "ask", ask: { kind: "resync", more: 1 } }), { post: "ask", ask: { kind: "resync" } });
  for (const post of [null, "hint", {}, { post: "ask", ask: { kind: "format disk" } }, { post: "hint", hint: { conversations: ["../x"] } }]) {
    assert.equal(readTabMessage(post), null);
  }
});
