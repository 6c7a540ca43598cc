// The resync: compares the list, people and requests with the server, and so finds what the socket did not announce.

import { withKeyEvents } from "../model/key-history.ts";
import type { ConversationId, UserId } from "../model/ids.ts";
import { type Head, isGroup } from "../crypto/epoch.ts";
import { InvalidLog } from "../crypto/log.ts";
import type { AlarmOf } from "../model/view.ts";
import { type ConversationRecord, newConversation } from "../store/records.ts";
import { change, type Store } from "../store/store.ts";
import type { Change } from "../store/backend.ts";
import { listChanges, listConversations, type WireConversation, type WireMessage } from "../wire/conversation.ts";
import { type GroupInvitation, groupInvitations } from "../wire/group.ts";
import { blocked, type Friends, friends } from "../wire/people.ts";
import { Refused } from "../wire/refusal.ts";
import type { Account } from "./account.ts";
import { keyAlarms, setAlarm, setLost } from "./alarm.ts";
import { settleSentRequests } from "./sent-requests.ts";
import { compareCards, NotOwnCard } from "./cards.ts";
import { rosterOf, tryEpochs } from "./epochs.ts";
import { forgetConversationOf, forgetRowsOf } from "./erase.ts";
import { catchUp } from "./fill.ts";
import { compareLog } from "./key-log.ts";
import { mergePeople } from "./people.ts";
import { forEach } from "./serial.ts";

/** Conversations that are filled at the same time. */
const WIDTH = 4;
const DAY_MS = 86_400_000;

/** Incoming requests: in `meta` under `requests`. */
export interface RequestsRecord {
  friends: { id: UserId; name: string; alike?: boolean }[];
  groups: GroupInvitation[];
}

const requestsOf = ({ requests }: Friends, groups: GroupInvitation[]): RequestsRecord => ({
  friends: requests.map(({ friendid, friendname, alike }) => ({ id: friendid, name: friendname, alike })),
  groups,
});

type Heads = Readonly<Record<string, Head>>;

/** Merges a conversation from the server's list into the stored one. */
async function merged(account: Account, held: ConversationRecord | undefined, listed: WireConversation, heads: Heads): Promise<{ record: ConversationRecord; changes: Change[] }> {
  if (!held) return { record: { ...newConversation(listed), pinnedHead: heads[listed.id] ?? null }, changes: [] };
  // Whether it is a group was announced and signed. Otherwise the server's list could show a group as a direct conversation.
  const announced = rosterOf(held)?.announcement;
  const wire = announced ? { ...listed, isgroup: isGroup(announced) } : listed;
  // The server no longer sends the secret from before the first epoch; it is kept, to read older messages.
  const before = held.wire.epoch === 0 && wire.epoch > 0 && held.wire.secret !== "";
  const kept = before ? [change.epoch(wire.id, { epoch: 0, announcement: "", wrapped: held.wire.secret })] : [];
  if (held.instance === wire.instance) return { record: { ...held, wire, gone: false }, changes: kept };
  // It was cleared, so the rows that are here are deleted everywhere.
  const { keep, roster, rosterAt, invited } = held;
  return { record: { ...newConversation(wire), keep, roster, rosterAt, invited }, changes: [...kept, ...(await forgetRowsOf(account, wire.id))] };
}

/** The changes for a conversation that the server no longer lists: of a group, the messages stay on this device. */
async function unlisted(account: Account, record: ConversationRecord): Promise<Change[]> {
  if (!record.wire.isgroup || !record.head) return forgetConversationOf(account, record.wire.id);
  return record.gone ? [] : [change.conversation({ ...record, gone: true, unread: 0 })];
}

const headsOf = async (store: Store): Promise<Heads> => (await store.meta<Heads>("heads")) ?? {};

/** Stores a conversation that a call returned. */
export function takeConversation(account: Account, wire: WireConversation): Promise<void> {
  return account.serial.run(async () => {
    const held = await account.store.conversation(wire.id);
    const { record, changes } = await merged(account, held, wire, await headsOf(account.store));
    // A conversation that is not part of the marked list could be gone at the next comparison without being reported as such.
    const unmarked: Change[] = held ? [] : [{ remove: "meta", key: "listMark" }];
    await account.store.write(...changes, change.conversation(record), ...unmarked);
    account.notify({ list: true, conversations: [wire.id] });
  });
}

/** The server's answer about the list: conversations that may have changed, and those that are gone. */
interface ListAnswer {
  changed: WireConversation[];
  gone: ConversationId[];
  /** The mark of what was held before, empty if there was none; and the one of what is held after it. */
  marks: { before: string; after: string };
  /** When all lines were fetched; null if only those that have changed. */
  listedAt: number | null;
}

/** Asks for what has changed; once a day for everything, which repairs inconsistencies. */
async function fetchList({ store, caller, clock }: Account): Promise<ListAnswer> {
  const held = await store.conversations();
  const [now, listedAt, before] = [clock.now(), (await store.meta<number>("listedAt")) ?? 0, (await store.meta<string>("listMark")) ?? ""];
  const goneFrom = (ids: readonly ConversationId[]): ConversationId[] => {
    const listed = new Set(ids);
    return held.map(({ wire }) => wire.id).filter((id) => !listed.has(id));
  };
  if (before !== "" && now >= listedAt && now - listedAt < DAY_MS) {
    const { changed, ids, mark } = await listChanges(caller, before);
    return { changed, gone: ids ? goneFrom(ids) : [], marks: { before, after: mark }, listedAt: null };
  }
  const { conversations, mark } = await listConversations(caller);
  return { changed: conversations, gone: goneFrom(conversations.map(({ id }) => id)), marks: { before, after: mark }, listedAt: now };
}

interface Compared {
  list: ListAnswer;
  people: Friends;
  blockedUsers: readonly UserId[];
  groups: GroupInvitation[];
}

async function mergeList(account: Account, { list, people, blockedUsers, groups }: Compared): Promise<void> {
  const { store, session } = account;
  const held = new Map((await store.conversations()).map((record) => [record.wire.id, record]));
  const heads = await headsOf(store);
  const results = await Promise.all(list.changed.map((wire) => merged(account, held.get(wire.id), wire, heads)));
  const gone = await Promise.all(list.gone.flatMap((id) => held.get(id) ?? []).map((record) => unlisted(account, record)));
  const known = await store.peopleById();
  const snapshot = { list: list.changed, people, blocked: blockedUsers, me: session.user, ownKey: session.publicKey };
  // The mark was removed meanwhile if a conversation was added that this answer may lack.
  const isMarked = ((await store.meta<string>("listMark")) ?? "") === list.marks.before;
  await store.write(
    ...results.flatMap(({ record, changes }) => [...changes, change.conversation(record)]),
    ...gone.flat(),
    ...mergePeople(known, snapshot).map((person) => change.person(withKeyEvents(known.get(person.id), person, account.clock.now()))),
    { put: "meta", key: "requests", value: requestsOf(people, groups) },
    ...(await settleSentRequests(account, people)),
    ...(list.listedAt === null ? [] : [{ put: "meta", key: "listedAt", value: list.listedAt } as const]),
    ...(isMarked ? [{ put: "meta", key: "listMark", value: list.marks.after } as const] : []),
  );
  account.notify({ list: true });
}

/** Compares people only, after the server has announced a change. */
export async function comparePeople(account: Account): Promise<void> {
  const { store, caller, session } = account;
  const [people, blockedUsers] = await Promise.all([friends(caller), blocked(caller)]);
  await account.serial.run(async () => {
    const known = await store.peopleById();
    const snapshot = { list: [], people, blocked: blockedUsers, me: session.user, ownKey: session.publicKey };
    const before = await store.meta<RequestsRecord>("requests");
    const requests = requestsOf(people, before?.groups ?? []);
    const persons = mergePeople(known, snapshot).map((person) => withKeyEvents(known.get(person.id), person, account.clock.now()));
    const settled = await settleSentRequests(account, people);
    await store.write(...persons.map(change.person), { put: "meta", key: "requests", value: requests }, ...settled);
    account.notify({ list: true });
  });
  await compareCards(account);
}

function alarmOf(error: InvalidLog | NotOwnCard): AlarmOf {
  if (error instanceof NotOwnCard || error.why === "notMine") return "own";
  return error.why === "replaced" ? "log" : "keys";
}

/** Compares cards and the key log. A refusal is reported instead of thrown, as it must not stop the resync. */
async function compareKeys(account: Account, onRefused: (error: unknown) => void): Promise<void> {
  try {
    await compareCards(account);
    await compareLog(account);
    await setAlarm(account, keyAlarms, null);
  } catch (error) {
    if (!(error instanceof InvalidLog) && !(error instanceof NotOwnCard)) throw error;
    await setAlarm(account, keyAlarms, alarmOf(error));
    onRefused(error);
  }
}

/** Whether the server has rows that are not here. */
const isBehind = ({ gone, loaded, lost, wire, head, report }: ConversationRecord): boolean =>
  !gone &&
  (!loaded ||
    lost === true ||
    (wire.lastmessageid ?? undefined) !== head?.message.id || (wire.lastreportid ?? undefined) !== report?.id);

/** Callbacks of a resync. */
export interface Progress {
  onProgress: (done: number, all: number) => void;
  onIncoming: (id: ConversationId, fresh: WireMessage[]) => void;
  /** Keys that were refused. */
  onRefused: (error: unknown) => void;
}

/** Resyncs everything and fetches missing rows, newest conversations first. */
export async function resync(account: Account, progress: Progress): Promise<void> {
  const { caller } = account;
  const [list, people, blockedUsers, groups] = await Promise.all([fetchList(account), friends(caller), blocked(caller), groupInvitations(caller)]);
  await account.serial.run(() => mergeList(account, { list, people, blockedUsers, groups }));
  await compareKeys(account, progress.onRefused);
  const changed = (await account.store.conversations()).filter(({ gone, wire, roster }) => !gone && (wire.epoch > 0 || roster !== null));
  await forEach(changed, WIDTH, ({ wire: { id } }) => tryEpochs(account, id, progress.onRefused));
  const behind = (await account.store.conversations()).filter(isBehind);
  behind.sort((one, other) => other.wire.lastaccess - one.wire.lastaccess);
  let done = 0;
  await forEach(behind, WIDTH, async ({ wire: { id } }) => {
    progress.onIncoming(id, await catchUpOrSkip(account, id));
    done += 1;
    progress.onProgress(done, behind.length);
  });
  await setLost(account);
}

// It was left or cleared a moment ago: the server announces that, and the next resync finds it.
async function catchUpOrSkip(account: Account, id: ConversationId): Promise<WireMessage[]> {
  try {
    return await catchUp(account, id);
  } catch (error) {
    if (error instanceof Refused && (error.code === "stale_instance" || error.code === "conversation_not_found")) return [];
    throw error;
  }
}
