// Begins epochs: a new secret for exactly those who take part, announced and signed.

import { type Bytes, hex, random } from "../crypto/bytes.ts";
import { canonical } from "../crypto/canonical.ts";
import { beginning } from "../crypto/chain.ts";
import { announce, directId, type Head, parseAnnouncement, rosterHash } from "../crypto/epoch.ts";
import { wrapSecret } from "../crypto/keys.ts";
import { sealName } from "../crypto/message.ts";
import { type ConversationId, conversationId, type UserId } from "../model/ids.ts";
import { type ConversationRecord, headOf } from "../store/records.ts";
import { change } from "../store/store.ts";
import type { Account } from "./account.ts";
import { compareCards, memberKey, peopleOf } from "./cards.ts";
import { rosterOf, updateEpochs } from "./epochs.ts";
import { takeConversation } from "./list.ts";
import { createDirect, type NewEpoch, rekey, shareEpochs, type WireConversation } from "../wire/conversation.ts";
import { addParticipants, createGroup } from "../wire/group.ts";
import { isRefusedAs } from "../wire/refusal.ts";
import { NoKey, wrapFor } from "./secrets.ts";
import { groupName } from "./group-name.ts";

/** Epochs that are shared in one call. */
const MAX_SHARED = 50;

/** Whether this account signs: it has an Ed25519 key, on a server that keeps cards. */
export const signs = ({ session }: Account): boolean => session.server !== "" && session.keys.sign !== null;

/**
 * Whether a direct conversation of the published form may begin its first epoch by itself: its secret is of no use, as after
 * a loss of keys; or both have cards, and nothing was written in it, as only this device would keep the secret of before.
 */
export async function canBegin(account: Account, record: ConversationRecord): Promise<boolean> {
  const { wire, head, complete } = record;
  if (!signs(account) || wire.isgroup) return false;
  if (!(await account.cipher.hasSecret(record))) return true;
  if (head !== null || !complete) return false;
  const people = await peopleOf(account, wire.participants.map(({ userid }) => userid));
  return people.length === wire.participants.length && people.every(({ cards }) => cards.length > 0);
}

const signerOf = ({ session }: Account): CryptoKey => {
  if (!session.keys.sign) throw new Error("this account does not sign");
  return session.keys.sign;
};

/** A new secret with all that goes with it. */
interface Prepared extends NewEpoch {
  secret: Bytes;
  secrets: Record<string, string>;
}

/** What is to be announced. */
interface Plan {
  conversation: ConversationId;
  users: readonly UserId[];
  admins: readonly string[];
  head: Head;
  record: ConversationRecord | null;
}

/** Prepares an epoch for these users, including the own one; throws `NoKey`. */
async function prepare(account: Account, { conversation, users, admins, head, record }: Plan): Promise<Prepared> {
  const { session } = account;
  const secret = random(32);
  const secrets = await wrapFor(account, secret, users.filter((user) => user !== session.user));
  const members = new Map<string, string>();
  for (const person of await peopleOf(account, users)) {
    const key = await memberKey(person);
    if (key !== null) members.set(person.id, key);
  }
  const unknown = users.filter((user) => !members.has(user));
  if (unknown.length > 0) throw new NoKey(unknown);
  const before = record && rosterOf(record);
  const then = new Set(before?.members.keys() ?? []);
  const changes = {
    conversation,
    roster: await rosterHash(members),
    admins,
    added: users.filter((user) => !then.has(user)),
    removed: [...then].filter((user) => !members.has(user)),
    secret,
    by: session.user,
    head,
  };
  const signed = await announce(changes, before?.announcement ?? null, signerOf(account));
  return { ...signed, secret, secrets };
}

/** Announces an epoch for these users; fetches cards and retries once, if the server has a newer card of one of them. */
async function withNewestCards<Made>(account: Account, users: readonly string[], make: () => Promise<Made>): Promise<Made> {
  try {
    return await make();
  } catch (error) {
    const isOfThem = isRefusedAs(error, "stale_roster") && [...error.participants].sort().join() === [...users].sort().join();
    if (!isOfThem) throw error;
    await compareCards(account);
    return make();
  }
}

/** A group's name under an epoch's secret. */
export const sealGroupName = (account: Account, id: ConversationId, under: { epoch: number; secret: Bytes }, name: string): Promise<string> =>
  sealName(under, signerOf(account), id, canonical({ v: 1, name, by: account.session.user }), random(12));

/** Stores the conversation that a call returned, and its epoch. */
async function take(account: Account, made: WireConversation): Promise<void> {
  await takeConversation(account, made);
  await updateEpochs(account, made.id);
}

/** Begins a direct conversation in its first epoch. */
export async function createSignedDirect(account: Account, user: UserId): Promise<ConversationId> {
  const { session } = account;
  const users = [session.user, user];
  const conversation = conversationId(directId(session.user, user));
  const made = await withNewestCards(account, users, async () => {
    const { announcement, signature, secrets } = await prepare(account, { conversation, users, admins: [], head: [0, ""], record: null });
    return createDirect(account.caller, user, secrets, { announcement, signature });
  });
  await take(account, made);
  return made.id;
}

/** Creates a group in its first epoch. Users who cannot be added are invited, with its secret. */
export async function createSignedGroup(account: Account, name: string, others: readonly UserId[]): Promise<ConversationId> {
  // Eight zeros in front: nobody can choose the id of a direct conversation of others.
  const conversation = conversationId(`00000000${hex(random(12))}`);
  try {
    await makeGroup(account, conversation, name, others);
    return conversation;
  } catch (error) {
    const added = addable(error, others);
    if (!added) throw error;
    await makeGroup(account, conversation, name, added);
    await inviteTo(account, conversation, others.filter((user) => !added.includes(user)));
    return conversation;
  }
}

async function makeGroup(account: Account, conversation: ConversationId, name: string, others: readonly UserId[]): Promise<void> {
  const users = [account.session.user, ...others];
  const plan = { conversation, users, admins: [account.session.user], head: [0, ""] as const, record: null };
  const made = await withNewestCards(account, users, async () => {
    const { announcement, signature, secret, secrets } = await prepare(account, plan);
    const displayname = await sealGroupName(account, conversation, { epoch: 1, secret }, name);
    return createGroup(account.caller, { displayname, participantids: [...others], secrets }, { announcement, signature });
  });
  await take(account, made.conversation);
}

/** Which of these users can be added directly, if the server answers that others have to be invited; else null. */
export function addable(error: unknown, wanted: readonly UserId[]): UserId[] | null {
  if (!isRefusedAs(error, "stale_roster")) return null;
  const added = wanted.filter((user) => error.participants.includes(user));
  return added.length < wanted.length ? added : null;
}

/** Invites people to a group; once they have accepted, this device makes an epoch for them. */
export async function inviteTo(account: Account, id: ConversationId, users: readonly UserId[]): Promise<void> {
  const { store, cipher, caller, serial } = account;
  const record = await store.conversation(id);
  if (!record || users.length === 0) return;
  const { secret } = await cipher.current(record);
  const secrets = await wrapFor(account, secret, users);
  const displaynames = Object.fromEntries(users.map((user) => [user, record.wire.displayname]));
  const { conversation } = await addParticipants(caller, { conversationid: id, participantids: [...users], secrets, displaynames });
  await take(account, conversation);
  await serial.run(async () => {
    const now = await store.conversation(id);
    if (now) await store.writeOwn(change.conversation({ ...now, invited: [...new Set([...now.invited, ...users])] }));
  });
}

/** What the next epoch changes. */
export interface Next {
  add?: readonly UserId[];
  remove?: readonly UserId[];
  admins?: readonly string[];
}

/** The server lists a participant whom no announcement names: an unrelated epoch must not include them. */
export class Unexpected extends Error {
  constructor(readonly users: readonly UserId[]) {
    super("somebody takes part whom nobody has announced");
    this.name = "Unexpected";
  }
}

// When all admins have left, one of the remaining members becomes admin: the server chooses, as nobody else may. Older servers do not
// disclose their choice: it is the one who has been a member longest and, of several, has the smallest id.
async function adminsAfter({ store, session }: Account, record: ConversationRecord, users: readonly UserId[]): Promise<readonly string[]> {
  const roster = rosterOf(record);
  if (!record.wire.isgroup) return [];
  if (!roster) return [session.user];
  const present = new Set<string>(users);
  const stay = roster.announcement.admins.filter((user) => present.has(user));
  if (stay.length > 0) return stay;
  const were = users.filter((user) => roster.members.has(user));
  const chosen = were.find((user) => record.wire.admins?.includes(user));
  if (chosen !== undefined) return [chosen];
  const since = new Map<string, number>();
  for (const { epoch, announcement } of await store.epochs(record.wire.id)) {
    if (announcement !== "") for (const user of parseAnnouncement(announcement).added) since.set(user, epoch);
  }
  const [first] = were.sort((one, other) => (since.get(one) ?? 0) - (since.get(other) ?? 0) || (one < other ? -1 : 1));
  return first === undefined ? [] : [first];
}

/** Begins the next epoch of a conversation; in a group also with others. Throws `NoKey`, `Unexpected`. */
export async function nextEpoch(account: Account, record: ConversationRecord, { add = [], remove = [], admins }: Next): Promise<void> {
  const { wire } = record;
  const roster = rosterOf(record);
  const users = [...new Set([...wire.participants.map(({ userid }) => userid), ...add])].filter((user) => !remove.includes(user));
  const unexpected = roster ? users.filter((user) => !roster.members.has(user) && !add.includes(user)) : [];
  if (unexpected.length > 0) throw new Unexpected(unexpected);
  const epoch = (roster?.announcement.epoch ?? 0) + 1;
  const head = headOf(record, await beginning(wire.id, record.instance));
  const plan = { conversation: wire.id, users, admins: admins ?? (await adminsAfter(account, record, users)), head, record };
  const name = wire.isgroup ? await groupName(account.cipher, wire.id, wire.secret, wire.displayname, await account.store.epochs(wire.id)) : null;
  const listed = new Set(wire.participants.map(({ userid }) => userid));
  const joining = add.filter((user) => !listed.has(user));
  const after = await withNewestCards(account, users, async () => {
    const { announcement, signature, secrets, secret } = await prepare(account, plan);
    const sealed = name === null ? null : await sealGroupName(account, wire.id, { epoch, secret }, name);
    return rekey(
      account.caller,
      { conversationid: wire.id, instance: record.instance },
      {
        epoch,
        announcement,
        signature,
        secrets,
        ...(sealed !== null && { displaynames: Object.fromEntries(users.map((user) => [user, sealed])) }),
        ...(remove.length > 0 && { removeparticipants: [...remove] }),
        ...(joining.length > 0 && { addparticipants: joining }),
      },
    );
  });
  await take(account, after);
}

/** Shares the secrets of older epochs with a participant, so that they can read earlier messages. */
export async function shareHistory({ store, cipher, caller }: Account, id: ConversationId, user: UserId): Promise<void> {
  const person = await store.person(user);
  if (!person?.publicKey) throw new NoKey([user]);
  const older = (await store.epochs(id)).slice(0, -1).filter(({ epoch }) => epoch > 0);
  for (let from = 0; from < older.length; from += MAX_SHARED) {
    const wrapped = older.slice(from, from + MAX_SHARED).map(async (one) => [one.epoch, await wrapSecret(await cipher.secret(one.wrapped), person.publicKey)] as const);
    await shareEpochs(caller, id, user, Object.fromEntries(await Promise.all(wrapped)));
  }
}
