// Begins epochs: a new secret for exactly those who take part, announced and signed.

import { type Bytes, hex, random } from "../crypto/bytes.ts";
import { canonical } from "../crypto/canonical.ts";
import { beginning } from "../crypto/chain.ts";
import { announce, type Head, rosterHash } from "../crypto/epoch.ts";
import { md5 } from "../crypto/md5.ts";
import { sealName } from "../crypto/message.ts";
import { type ConversationId, conversationId, type UserId } from "../model/ids.ts";
import { type ConversationRecord, headOf } from "../store/store.ts";
import type { Account } from "./account.ts";
import { memberKey, peopleOf } from "./cards.ts";
import { rosterOf, updateEpochs } from "./epochs.ts";
import { takeConversation } from "./list.ts";
import { createDirect, type NewEpoch, rekey, type WireConversation } from "../wire/conversation.ts";
import { createGroup } from "../wire/group.ts";
import { NoKey, wrapFor } from "./secrets.ts";

/** Whether this account signs: it has an Ed25519 key, on a server that keeps cards. */
export const signs = ({ session }: Account): boolean => session.server !== "" && session.keys.sign !== null;

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

/** Prepares an epoch for these users, oneself among them; throws `NoKey`. */
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

/** A group's name under an epoch's secret. */
export const sealGroupName = (account: Account, id: ConversationId, under: { epoch: number; secret: Bytes }, name: string): Promise<string> =>
  sealName(under, signerOf(account), id, canonical({ v: 1, name, by: account.session.user }), random(12));

/** Takes in what a call made, with its epoch. */
async function take(account: Account, made: WireConversation): Promise<void> {
  await takeConversation(account, made);
  await updateEpochs(account, made.id);
}

/** Begins a direct conversation in its first epoch. */
export async function createSignedDirect(account: Account, user: UserId): Promise<ConversationId> {
  const users = [account.session.user, user];
  const conversation = conversationId(md5([...users].sort().join(";")));
  const { announcement, signature, secrets } = await prepare(account, { conversation, users, admins: [], head: [0, ""], record: null });
  const made = await createDirect(account.caller, user, secrets, { announcement, signature });
  await take(account, made);
  return made.id;
}

/** Makes a group in its first epoch. */
export async function createSignedGroup(account: Account, name: string, others: readonly UserId[]): Promise<ConversationId> {
  // Eight zeros in front: nobody can choose the id of a direct conversation of others.
  const conversation = conversationId(`00000000${hex(random(12))}`);
  const users = [account.session.user, ...others];
  const plan = { conversation, users, admins: [account.session.user], head: [0, ""] as const, record: null };
  const { announcement, signature, secret, secrets } = await prepare(account, plan);
  const displayname = await sealGroupName(account, conversation, { epoch: 1, secret }, name);
  const made = await createGroup(account.caller, { displayname, participantids: [...others], secrets }, { announcement, signature });
  await take(account, made.conversation);
  return made.conversation.id;
}

/** What the next epoch changes. */
export interface Next {
  add?: readonly UserId[];
  remove?: readonly UserId[];
  admins?: readonly string[];
}

/** Begins the next epoch of a conversation; in a group also with others. */
export async function nextEpoch(account: Account, record: ConversationRecord, { add = [], remove = [], admins }: Next): Promise<void> {
  const { wire } = record;
  const listed = wire.participants.map(({ userid }) => userid).filter((user) => !remove.includes(user));
  const users = [...new Set([...listed, ...add])];
  const roster = rosterOf(record);
  const epoch = (roster?.announcement.epoch ?? 0) + 1;
  const present = new Set<string>(users);
  const stay = admins ?? (roster?.announcement.admins ?? (wire.isgroup ? [account.session.user] : [])).filter((user) => present.has(user));
  const head = headOf(record, await beginning(wire.id, record.instance));
  const made = await prepare(account, { conversation: wire.id, users, admins: stay, head, record });
  const name = wire.isgroup ? await account.cipher.name(wire.id, wire.secret, wire.displayname, await account.store.epochs(wire.id)) : null;
  const sealed = name === null ? null : await sealGroupName(account, wire.id, { epoch, secret: made.secret }, name);
  const { announcement, signature, secrets } = made;
  const after = await rekey(
    account.caller,
    { conversationid: wire.id, instance: record.instance },
    {
      epoch,
      announcement,
      signature,
      secrets,
      ...(sealed !== null && { displaynames: Object.fromEntries(users.map((user) => [user, sealed])) }),
      ...(remove.length > 0 && { removeparticipants: [...remove] }),
      ...(add.length > 0 && { addparticipants: [...add] }),
    },
  );
  await take(account, after);
}
