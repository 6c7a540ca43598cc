// Fills a browser's database as years of use would, for measurements: in a page of a logged-in user who has written in one
// conversation, while the server is out of reach. Everything is sealed and wrapped as the client does it.

import { openBackend } from "../../browser/backend.ts";
import { type Bytes, hex, random } from "../../core/crypto/bytes.ts";
import { wrapSecret } from "../../core/crypto/keys.ts";
import { type ConversationId, conversationId, type MessageId, messageId, type UserId, userId } from "../../core/model/ids.ts";
import type { Change } from "../../core/store/backend.ts";
import type { ConversationRecord, PersonRecord, SessionRecord } from "../../core/store/records.ts";
import { change, Store } from "../../core/store/store.ts";
import { Cipher } from "../../core/sync/cipher.ts";
import type { WireMessage } from "../../core/wire/conversation.ts";

const BATCH = 2_000;
const MINUTE_MS = 60_000;
const WORDS = "the choir sings on sunday and who brings the cake may also bring a friend or two from the village".split(" ");

interface Of {
  session: SessionRecord;
  store: Store;
  cipher: Cipher;
  /** The one conversation that is there, whose secret all others get, each wrapped anew. */
  template: ConversationRecord;
  friend: PersonRecord;
  secret: Bytes;
}

const textOf = (n: number): string => Array.from({ length: 4 + (n % 24) }, (_, i) => WORDS[(n * 7 + i * 3) % WORDS.length]).join(" ");

async function rowOf({ session, cipher }: Of, record: ConversationRecord, seq: number, at: number): Promise<WireMessage> {
  const id: MessageId = messageId(crypto.randomUUID());
  const sealed = await cipher.seal(record, { id, content: { kind: "text", text: textOf(seq), mentions: [], reply: null }, until: null, n: seq }, at);
  return {
    ID: id,
    Type: sealed.type,
    Created: at,
    ValidUntil: sealed.validUntil ?? at,
    Data: sealed.data,
    User: session.user,
    Station: session.station,
    Seq: seq,
    Chain: hex(random(32)),
  };
}

async function conversationWith(of: Of, rows: number, name: string): Promise<Change[]> {
  const { session, template, friend, secret } = of;
  const id: ConversationId = conversationId(hex(random(16)));
  const user: UserId = userId(hex(random(16)));
  const wrapped = await wrapSecret(secret, session.publicKey);
  const participants = [{ userid: session.user, username: session.name }, { userid: user, username: name }];
  const wire = { ...template.wire, id, participants, secret: wrapped };
  const epochs = await of.store.epochs(template.wire.id);
  // What is sealed lies under the epoch that is held.
  await of.store.writeOwn(...epochs.map((epoch) => change.epoch(id, { ...epoch, wrapped })));
  const members = template.roster?.members.map(([member, key]): [UserId, string] => [member === friend.id ? user : member, key]);
  const roster = template.roster && { ...template.roster, members: members ?? [] };
  const begun = { ...template, wire, roster, first: null, head: null, n: 0, reach: {}, report: null };
  const all: WireMessage[] = [];
  const now = Date.now();
  for (let seq = 1; seq <= rows; seq++) all.push(await rowOf(of, begun, seq, now - (rows - seq) * MINUTE_MS));
  const [first, last] = [all[0], all.at(-1)];
  if (!first || !last) return [];
  const cursor = (row: WireMessage): { id: MessageId; date: number } => ({ id: row.ID, date: row.Created });
  const record: ConversationRecord = {
    ...begun,
    wire: { ...wire, lastmessageid: last.ID },
    first: { seq: 1, message: cursor(first) },
    head: { seq: rows, chain: last.Chain, message: cursor(last) },
    complete: true,
    loaded: true,
    seen: rows,
    seenTold: rows,
    deliveredTold: rows,
    unread: 0,
    newestVisible: rows,
    n: rows,
  };
  return [
    change.person({ ...friend, id: user, name }),
    ...all.flatMap((row) => change.row(id, row)),
    change.conversation(record),
  ];
}

/** Adds conversations of so many rows each, and one more of many, whose name is "Zoe". */
export async function fill(conversations: number, rows: number, many: number): Promise<void> {
  const backend = await openBackend({ onBlocked: () => undefined, onOutdated: () => undefined });
  const store = new Store(backend);
  const session = await store.session();
  const template = (await store.conversations()).find(({ wire }) => !wire.isgroup && wire.participants.length === 2);
  const friend = (await store.people()).find(({ friend: isFriend }) => isFriend);
  if (!session || !template || !friend) throw new Error("nobody is logged in here, or has written to nobody");
  const cipher = new Cipher(store, session);
  const { secret } = await cipher.current(template);
  const of: Of = { session, store, cipher, template, friend, secret };
  let batch: Change[] = [];
  const write = async (): Promise<void> => {
    for (; batch.length > 0; batch = batch.slice(BATCH)) await store.writeOwn(...batch.slice(0, BATCH));
  };
  for (let i = 0; i < conversations; i++) {
    batch.push(...(await conversationWith(of, rows, `Person ${i}`)));
    if (batch.length > BATCH) await write();
  }
  batch.push(...(await conversationWith(of, many, "Zoe")));
  await write();
  backend.close();
}
