// Compares everything: the list, people, requests. What the socket cannot tell, this finds.

import { noted } from "../model/key-history.ts";
import type { ConversationId, UserId } from "../model/ids.ts";
import { change, type ConversationRecord, newConversation, type PersonRecord } from "../store/store.ts";
import type { Change } from "../store/backend.ts";
import { listConversations, type WireConversation, type WireMessage } from "../wire/conversation.ts";
import { type GroupInvitation, groupInvitations } from "../wire/group.ts";
import { blocked, type Friends, friends } from "../wire/people.ts";
import { Refused } from "../wire/refusal.ts";
import type { Account } from "./account.ts";
import { compareCards } from "./cards.ts";
import { tryEpochs } from "./epochs.ts";
import { catchUp } from "./fill.ts";
import { tryLog } from "./key-log.ts";
import { mergePeople } from "./people.ts";
import { forEach } from "./serial.ts";

/** Conversations that are filled at the same time. */
const WIDTH = 4;

/** Who asks for something: in `meta` under `requests`. */
export interface RequestsRecord {
  friends: { id: UserId; name: string }[];
  groups: GroupInvitation[];
}

const requestsOf = ({ requests }: Friends, groups: GroupInvitation[]): RequestsRecord => ({
  friends: requests.map(({ friendid, friendname }) => ({ id: friendid, name: friendname })),
  groups,
});

/** Puts a conversation as the server shows it into what is held. */
function merged(held: ConversationRecord | undefined, wire: WireConversation): { record: ConversationRecord; changes: Change[] } {
  if (!held) return { record: newConversation(wire), changes: [] };
  if (held.instance === wire.instance) return { record: { ...held, wire, gone: false }, changes: [] };
  // It was cleared: what is here is gone everywhere.
  const { keep, roster, rosterAt } = held;
  return { record: { ...newConversation(wire), keep, roster, rosterAt }, changes: change.forgetRows(wire.id) };
}

/** What becomes of one that the server does not list any more: of a group, what was read stays on this device. */
function unlisted(record: ConversationRecord): Change[] {
  if (!record.wire.isgroup || !record.head) return change.forgetConversation(record.wire.id);
  return record.gone ? [] : [change.conversation({ ...record, gone: true, unread: 0 })];
}

/** Takes one conversation out of an answer. */
export function takeConversation(account: Account, wire: WireConversation): Promise<void> {
  return account.serial.run(async () => {
    const { record, changes } = merged(await account.store.conversation(wire.id), wire);
    await account.store.write(...changes, change.conversation(record));
    account.tell({ list: true, conversations: [wire.id] });
  });
}

async function mergeList(account: Account, list: readonly WireConversation[], people: Friends, barred: readonly UserId[], groups: GroupInvitation[]): Promise<void> {
  const { store, session } = account;
  const held = new Map((await store.conversations()).map((record) => [record.wire.id, record]));
  const listed = new Set(list.map(({ id }) => id));
  const results = list.map((wire) => merged(held.get(wire.id), wire));
  const gone = [...held.values()].filter(({ wire }) => !listed.has(wire.id));
  const known = new Map((await store.people()).map((person): [UserId, PersonRecord] => [person.id, person]));
  const persons = mergePeople(known, { list, friends: people.availabilities, blocked: barred, me: session.user, ownKey: session.publicKey });
  const requests = requestsOf(people, groups);
  await store.write(
    ...results.flatMap(({ record, changes }) => [...changes, change.conversation(record)]),
    ...gone.flatMap(unlisted),
    ...persons.map((person) => change.person(noted(known.get(person.id), person, account.clock.now()))),
    { put: "meta", key: "requests", value: requests },
  );
  account.tell({ list: true });
}

/** Compares people only: somebody came or went. */
export async function comparePeople(account: Account): Promise<void> {
  const { store, caller, session } = account;
  const [people, barred] = await Promise.all([friends(caller), blocked(caller)]);
  await account.serial.run(async () => {
    const known = new Map((await store.people()).map((person): [UserId, PersonRecord] => [person.id, person]));
    const told = { list: [], friends: people.availabilities, blocked: barred, me: session.user, ownKey: session.publicKey };
    const before = await store.meta<RequestsRecord>("requests");
    const requests = requestsOf(people, before?.groups ?? []);
    const persons = mergePeople(known, told).map((person) => noted(known.get(person.id), person, account.clock.now()));
    await store.write(...persons.map(change.person), { put: "meta", key: "requests", value: requests });
    account.tell({ list: true });
  });
  await compareCards(account);
}

/** Whether the server has rows that are not here. */
const isBehind = ({ gone, loaded, wire, head, report }: ConversationRecord): boolean =>
  !gone &&
  (!loaded || (wire.lastmessageid ?? undefined) !== head?.message.id || (wire.lastreportid ?? undefined) !== report?.id);

/** What a resync tells of itself. */
export interface Progress {
  onProgress: (done: number, all: number) => void;
  onFresh: (id: ConversationId, fresh: WireMessage[]) => void;
  /** Keys that were refused. */
  onRefused: (error: unknown) => void;
}

/** Compares everything and fetches what is missing, newest conversations first. */
export async function resync(account: Account, progress: Progress): Promise<void> {
  const { caller } = account;
  const [list, people, barred, groups] = await Promise.all([listConversations(caller), friends(caller), blocked(caller), groupInvitations(caller)]);
  await account.serial.run(() => mergeList(account, list, people, barred, groups));
  await compareCards(account);
  await tryLog(account, progress.onRefused);
  const changed = (await account.store.conversations()).filter(({ gone, wire, roster }) => !gone && (wire.epoch > 0 || roster !== null));
  await forEach(changed, WIDTH, ({ wire: { id } }) => tryEpochs(account, id, progress.onRefused));
  const behind = (await account.store.conversations()).filter(isBehind);
  behind.sort((one, other) => other.wire.lastaccess - one.wire.lastaccess);
  let done = 0;
  await forEach(behind, WIDTH, async ({ wire: { id } }) => {
    progress.onFresh(id, await catchUpOrSkip(account, id));
    done += 1;
    progress.onProgress(done, behind.length);
  });
}

// Left or cleared a moment ago: the next comparison, which the server announces, says how it stands.
async function catchUpOrSkip(account: Account, id: ConversationId): Promise<WireMessage[]> {
  try {
    return await catchUp(account, id);
  } catch (error) {
    if (error instanceof Refused && (error.code === "stale_instance" || error.code === "conversation_not_found")) return [];
    throw error;
  }
}
