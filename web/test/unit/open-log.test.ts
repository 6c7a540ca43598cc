// How much of a conversation the open log shows, while more arrives and its reader asks for older rows.

import assert from "node:assert/strict";
import { test } from "node:test";
import { conversationId, instanceOf, messageId, stationId, userId } from "../../core/model/ids.ts";
import { OpenLog } from "../../core/show/open-log.ts";
import { Names } from "../../core/show/people.ts";
import { StateStore } from "../../core/show/state.ts";
import { memoryBackend } from "../../core/store/memory.ts";
import { newConversation, type SessionRecord } from "../../core/store/records.ts";
import { change, Store } from "../../core/store/store.ts";
import type { Account } from "../../core/sync/account.ts";
import { Cipher } from "../../core/sync/cipher.ts";
import type { WireConversation, WireMessage } from "../../core/wire/conversation.ts";

const me = userId("1".repeat(32));
const ben = userId("2".repeat(32));
const conversation = conversationId("a".repeat(32));
const idOf = (seq: number): ReturnType<typeof messageId> => messageId(`00000000-0000-0000-0000-${String(seq).padStart(12, "0")}`);
// Its content was erased: there is nothing to be decrypted.
const rowOf = (seq: number): WireMessage => ({
  ID: idOf(seq),
  Type: "Message",
  Created: seq,
  ValidUntil: Number.MAX_SAFE_INTEGER,
  Data: "",
  User: ben,
  Station: stationId("3".repeat(32)),
  Seq: seq,
  Chain: "",
});

async function openWith(rows: number) {
  const store = new Store(memoryBackend());
  const session = { user: me, name: "Ann" } as SessionRecord;
  const wire = { id: conversation, instance: instanceOf("abcdefghij"), participants: [{ userid: me }, { userid: ben }], isgroup: false } as unknown as WireConversation;
  const write = (from: number, to: number): Promise<void> => {
    const cursor = (seq: number) => ({ id: idOf(seq), date: seq });
    const ends = { first: { seq: 1, message: cursor(1) }, head: { seq: to, chain: "", message: cursor(to) } };
    const record = { ...newConversation(wire), ...ends, complete: true, loaded: true, seen: to };
    const all = Array.from({ length: to - from + 1 }, (_, i) => change.row(conversation, rowOf(from + i)));
    return store.writeOwn(change.conversation(record), ...all.flat());
  };
  await write(1, rows);
  const clock = { now: () => 0, after: () => () => undefined };
  const account = { store, session, clock, caller: { now: () => 0 }, cipher: new Cipher(store, session), notify: () => undefined } as unknown as Account;
  const out = new StateStore();
  const log = new OpenLog(account, out, () => ({ names: new Names(new Map(), session), people: new Map(), waiting: [] }));
  await log.open(conversation);
  const shown = (): (string | undefined)[] => [out.state.log?.entries[0]?.id, out.state.log?.entries.at(-1)?.id];
  /** Rows up to this one, as they are shown before they are written; a report may have come before them. */
  const append = async (from: number, to: number, after = from - 1): Promise<void> => {
    const record = (await store.conversation(conversation)) ?? newConversation(wire);
    await log.append(record, Array.from({ length: to - from + 1 }, (_, i) => rowOf(from + i)), after);
  };
  /** Decrypts all rows from a number on, as for the list or a notification. */
  const read = async (from: number): Promise<void> => {
    const record = await store.conversation(conversation);
    if (record) await account.cipher.openAll(record, await store.rows(conversation, from));
  };
  const cached = (): number => account.cipher["read"].size;
  return { write, append, log, shown, read, cached, state: out };
}

test("a log shows its newest page, and older ones when its reader asks for them", async () => {
  const { log, shown } = await openWith(120);
  assert.deepEqual(shown(), [idOf(71), idOf(120)]);
  assert.ok(await log.more());
  assert.deepEqual(shown(), [idOf(21), idOf(120)]);
  assert.ok(await log.more());
  assert.deepEqual(shown(), [idOf(1), idOf(120)]);
  assert.ok(!(await log.more()));
});

test("what arrives makes a log longer, but not without end; what its reader has asked for stays", async () => {
  const { write, log, shown, state } = await openWith(120);
  await write(121, 1_400);
  await log.refresh();
  assert.deepEqual(shown(), [idOf(71), idOf(1_400)]);
  await write(1_401, 3_000);
  await log.refresh();
  assert.deepEqual(shown(), [idOf(2_001), idOf(3_000)]);
  assert.equal(state.state.log?.older, true);
  await log.reach(500);
  assert.deepEqual(shown(), [idOf(491), idOf(3_000)]);
  await write(3_001, 3_050);
  await log.refresh();
  assert.deepEqual(shown(), [idOf(491), idOf(3_050)]);
});

test("a log whose reader is at its end keeps few rows, however many arrive, and does not decrypt them all again", async () => {
  const { write, append, log, shown, state, cached } = await openWith(60);
  log.isAtEnd = true;
  for (let seq = 61; seq <= 1_000; seq++) {
    await append(seq, seq);
    await write(seq, seq);
    assert.ok((state.state.log?.entries.length ?? 0) <= 150, `${seq}`);
    assert.ok(cached() <= 550, `${seq}: ${cached()}`);
  }
  assert.deepEqual(shown()[1], idOf(1_000));
  assert.equal(state.state.log?.older, true);
  // What its reader asks for stays, and so does what they are reading.
  assert.ok(await log.more());
  const [oldest] = shown();
  log.isAtEnd = false;
  await append(1_001, 1_100);
  await write(1_001, 1_100);
  assert.deepEqual(shown(), [oldest, idOf(1_100)]);
});

test("what arrives in conversations that are not open is not kept decrypted", async () => {
  const { write, log, read, cached } = await openWith(3_000);
  log.close();
  await write(3_001, 3_002);
  await read(1);
  assert.ok(cached() <= 400, String(cached()));
});

test("rows that are missing in between, as they expired on the server, do not end a log", async () => {
  const { write, log, shown } = await openWith(10);
  await write(500, 505);
  await log.open(conversation);
  assert.deepEqual(shown(), [idOf(1), idOf(505)]);
});

test("rows are shown while they are being written, each once, and only where they join what is shown", async () => {
  const { write, append, log, shown, state } = await openWith(60);
  await append(61, 62);
  assert.deepEqual(shown(), [idOf(11), idOf(62)]);
  const before = state.state.log;
  await write(61, 62);
  await log.refresh(true);
  assert.equal(state.state.log, before, "nothing is rendered again");
  await append(64, 64);
  assert.deepEqual(shown(), [idOf(11), idOf(62)]);
  await write(63, 64);
  await log.refresh(true);
  assert.deepEqual(shown(), [idOf(11), idOf(64)]);
  assert.equal(state.state.log?.entries.length, 54);
  // Somebody has seen it: the report takes a number.
  await append(66, 66, 64);
  assert.deepEqual(shown(), [idOf(11), idOf(66)]);
});
