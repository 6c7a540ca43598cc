// What has a time: it leaves the log when that is over, its content leaves the device, and the chain still fits.

import assert from "node:assert/strict";
import { test } from "node:test";
import { beginning, follow, nextLink } from "../../core/crypto/chain.ts";
import { conversationId, instanceOf, messageId, stationId, userId } from "../../core/model/ids.ts";
import { articles, type Context, type Row } from "../../core/model/timeline.ts";
import { memoryBackend } from "../../core/store/memory.ts";
import { newConversation } from "../../core/store/records.ts";
import { change, Store } from "../../core/store/store.ts";
import type { Account } from "../../core/sync/account.ts";
import { deleteExpired } from "../../core/sync/expire.ts";
import { linksOf } from "../../core/sync/inbox.ts";
import { Serial } from "../../core/sync/serial.ts";
import type { WireConversation, WireMessage } from "../../core/wire/conversation.ts";

const ann = userId("1".repeat(32));
const id = (n: number) => messageId(`00000000-0000-0000-0000-${String(n).padStart(12, "0")}`);

test("a message is shown until its time is over, and what quotes it keeps the quote", () => {
  const context: Context = { me: ann, isGroup: false, nameOf: () => "Ann", isAdmin: () => false, reach: new Map() };
  const row = (seq: number, until: number | null): Row => ({
    seq,
    id: id(seq),
    user: ann,
    at: seq,
    until,
    type: "Message",
    content: { kind: "text", text: `text ${seq}`, reply: seq === 3 ? { id: id(1), user: ann, quote: "as quoted" } : null, mentions: [] },
    trouble: null,
  });
  const rows = [row(1, 100), row(2, null), row(3, 200)];
  const shown = (now: number) => articles(rows, [], { ...context, now }).map(({ text }) => text);
  assert.deepEqual(shown(99), ["text 1", "text 2", "text 3"]);
  assert.deepEqual(shown(100), ["text 2", "text 3"]);
  assert.deepEqual(shown(200), ["text 2"]);
  assert.equal(articles(rows, [], { ...context, now: 150 }).at(-1)?.reply?.quote, "as quoted");
});

test("its content is removed from the device, and the chain through it can still be followed", async () => {
  const conversation = conversationId("a".repeat(32));
  const instance = instanceOf("abcdefghij");
  const store = new Store(memoryBackend());
  const rows: WireMessage[] = [];
  let chain = await beginning(conversation, instance);
  for (let seq = 1; seq <= 3; seq++) {
    const Data = `sealed ${seq}`;
    chain = await nextLink(chain, { seq, id: id(seq), data: Data });
    const until = seq === 2 ? 100 : 1_000;
    rows.push({ ID: id(seq), Type: "Message", Created: seq, ValidUntil: until, Data, User: ann, Station: stationId("2".repeat(32)), Seq: seq, Chain: chain });
  }
  const wire = { id: conversation, instance } as WireConversation;
  await store.writeOwn(change.conversation(newConversation(wire)), ...rows.flatMap((row) => change.row(conversation, row)));
  const told: unknown[] = [];
  const account = { store, caller: { now: () => 100 }, serial: new Serial(), cipher: { openAll: () => Promise.resolve([]) }, notify: (hint: unknown) => told.push(hint) } as unknown as Account;
  await deleteExpired(account);
  assert.deepEqual((await store.rows(conversation, 0)).map(({ Data }) => Data), ["sealed 1", "", "sealed 3"]);
  assert.deepEqual(told, [{ conversations: [conversation] }]);
  assert.equal(await follow(await beginning(conversation, instance), linksOf(await store.rows(conversation, 0))), null);
  await deleteExpired(account);
  assert.equal(told.length, 1);
});
