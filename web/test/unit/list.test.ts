// The list: fetched in pages, and then only what has changed since its mark.

import assert from "node:assert/strict";
import { test } from "node:test";
import { stationId, userId } from "../../core/model/ids.ts";
import type { Http } from "../../core/ports.ts";
import { Caller } from "../../core/wire/call.ts";
import { listChanges, listConversations } from "../../core/wire/conversation.ts";

const [one, other] = ["a".repeat(32), "b".repeat(32)] as const;

const line = (id: string): unknown => ({
  id,
  isgroup: true,
  participants: [],
  displayname: "",
  lastmessageid: "",
  lastreportid: "",
  lastaccess: 0,
  secret: "",
  instance: "abcdefghij",
  hiddenby: [],
  properties: [],
});

/** A caller of a server with these answers, and its requests. */
function asks(...answers: object[]): { caller: Caller; asked: Record<string, unknown>[] } {
  const asked: Record<string, unknown>[] = [];
  const http: Http = (_path, body) => {
    asked.push(JSON.parse(String(body)) as Record<string, unknown>);
    return Promise.resolve({ status: 200, date: null, retryAfter: null, text: JSON.stringify({ status: "OK", ...answers.shift() }) });
  };
  const clock = { now: () => 0, after: () => () => undefined };
  return { caller: new Caller(http, clock, { user: userId("a".repeat(32)), station: stationId("c".repeat(32)) }), asked };
}

test("the mark of a list that is read in pages is the first page's, as it covers changes meanwhile", async () => {
  const { caller, asked } = asks(
    { conversations: [line(one)], hasmore: true, known: "first" },
    { conversations: [line(other)], hasmore: false, known: "second" },
  );
  const { conversations, mark } = await listConversations(caller);
  assert.deepEqual(conversations.map(({ id }) => id), [one, other]);
  assert.equal(mark, "first");
  assert.deepEqual(asked.map(({ after, known }) => [after, known]), [[undefined, undefined], [one, undefined]]);
});

test("changes are requested with the mark, and conversations are gone only if all ids are listed", async () => {
  const { caller, asked } = asks(
    { conversations: [line(one)], hasmore: false, known: "next" },
    { conversations: [], hasmore: false, conversationids: [one], known: "last" },
  );
  const changes = await listChanges(caller, "mark");
  assert.deepEqual([changes.changed.map(({ id }) => id), changes.ids, changes.mark], [[one], null, "next"]);
  assert.deepEqual((await listChanges(caller, changes.mark)).ids, [one]);
  assert.deepEqual(asked.map(({ known, limit }) => [known, limit]), [["mark", undefined], ["next", undefined]]);
});

test("an answer without a mark is the whole list, whether the server has none or knows of none", async () => {
  const { caller } = asks({ conversations: [line(one)], hasmore: false, conversationids: [one], known: "" }, { conversations: [line(one)] });
  for (const mark of ["mark", "mark"]) {
    const changes = await listChanges(caller, mark);
    assert.deepEqual([changes.ids, changes.mark], [[one], ""]);
  }
});
