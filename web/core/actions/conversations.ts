// Actions on conversations and groups.

import { random } from "../crypto/bytes.ts";
import { parseAnnouncement } from "../crypto/epoch.ts";
import { sealPublishedName } from "../crypto/published.ts";
import { type ConversationId, messageId, type UserId } from "../model/ids.ts";
import type { Conversation, Keep, Member, Outcome } from "../model/view.ts";
import { enqueue } from "../outbox/queue.ts";
import { showPerson } from "../show/people.ts";
import { takeConversation } from "../sync/list.ts";
import { updateEpochs } from "../sync/epochs.ts";
import { forgetConversationOf } from "../sync/erase.ts";
import { newPerson } from "../sync/people.ts";
import { arrange, type Arrangement, clear as clearAll, createDirect } from "../wire/conversation.ts";
import * as group from "../wire/group.ts";
import { isRefusedAs } from "../wire/refusal.ts";
import type { Open } from "./context.ts";
import {
  addable,
  createSignedDirect,
  createSignedGroup,
  inviteTo,
  type Next,
  nextEpoch,
  sealGroupName,
  shareHistory,
  signs,
  Unexpected,
} from "../sync/rekey.ts";
import { attempt, failed, ok } from "./outcome.ts";
import { NoKey, wrapFor } from "../sync/secrets.ts";
import { keepAsContent, keepHere } from "../sync/shared.ts";

/** How often a new epoch is tried against others who begin one at the same moment. */
const MAX_TRIES = 3;
/** How long a message that carries a setting is kept. */
const FOREVER_MS = 36_500 * 86_400_000;

/** The settings of a conversation that a user can change. */
export type Settings = Partial<Pick<Conversation, "favorite" | "muted" | "hidden" | "color">>;

function arrangements({ favorite, muted, hidden, color }: Settings): Arrangement[] {
  const found: Arrangement[] = [];
  if (favorite !== undefined) found.push({ action: favorite ? "favorite" : "unfavorite" });
  if (muted !== undefined) found.push({ action: muted ? "mute" : "unmute" });
  if (hidden !== undefined) found.push({ action: hidden ? "hide" : "unhide" });
  if (color !== undefined) found.push({ action: "setlistitembackgroundcolor", color: color || "#ffffff" });
  return found;
}

/** Changes the user's own settings of a conversation. */
export const changeSettings = ({ account }: Open, id: ConversationId, to: Settings): Promise<Outcome> =>
  attempt(async () => {
    for (const one of arrangements(to)) await takeConversation(account, await arrange(account.caller, id, one));
    return null;
  });

/** Sets how long the user's messages in a conversation are kept. Where messages are signed, their other devices are told. */
export async function setKeep(open: Open, id: ConversationId, keep: Keep): Promise<Outcome> {
  const { account } = open;
  // On this device first: it must hold for the next message, however long the message to the other devices takes.
  await account.serial.run(async () => account.store.writeOwn(...(await keepHere(account, id, keep))));
  account.notify({ conversations: [id] });
  if (!signs(account)) return ok(null);
  const place = await saved(open);
  if (!place.ok) return place;
  const until = account.caller.now() + FOREVER_MS;
  const message = { conversation: place.value, id: messageId(crypto.randomUUID()), content: keepAsContent(id, keep), until };
  await account.serial.run(() => enqueue(account, message));
  return ok(null);
}

/** Deletes all messages, for everyone. */
export const clear = ({ account, ask }: Open, id: ConversationId): Promise<Outcome> =>
  attempt(async () => {
    const record = await account.store.conversation(id);
    if (record) await clearAll(account.caller, { conversationid: id, instance: record.instance });
    await ask({ kind: "resync" });
    return null;
  });

/** Leaves a group, or deletes what is left here of a group that the user is no longer in. */
export const leave = ({ account, ask }: Open, id: ConversationId): Promise<Outcome> =>
  attempt(async () => {
    const record = await account.store.conversation(id);
    if (!record?.gone) await group.leave(account.caller, id);
    await account.serial.run(async () => account.store.writeOwn(...(await forgetConversationOf(account, id))));
    account.notify({ list: true });
    await ask({ kind: "resync" });
    return null;
  });

/** Turns errors about missing keys into a failure that names the people. */
async function withKeys<T>(open: Open, task: () => Promise<T>): Promise<Outcome<T>> {
  try {
    return await attempt(task);
  } catch (error) {
    if (!(error instanceof NoKey) && !(error instanceof Unexpected)) throw error;
    return failed({ kind: error instanceof NoKey ? "noKey" : "unexpected", names: error.users.map((user) => open.view.nameOf(user)) });
  }
}

/** The direct conversation with a friend. */
export const writeTo = (open: Open, user: UserId): Promise<Outcome<ConversationId>> =>
  withKeys(open, async () => {
    const { account } = open;
    const known = await account.store.directWith(user);
    if (known) return known.wire.id;
    if (signs(account)) return createSignedDirect(account, user);
    const secrets = await wrapFor(account, random(32), [user]);
    const made = await createDirect(account.caller, user, secrets, null);
    await takeConversation(account, made);
    await open.ask({ kind: "resync" });
    return made.id;
  });

/** Creates a group. */
export const createGroup = (open: Open, name: string, users: readonly UserId[]): Promise<Outcome<ConversationId>> =>
  withKeys(open, async () => {
    const { account } = open;
    if (signs(account)) return createSignedGroup(account, name, users);
    const secret = random(32);
    const secrets = await wrapFor(account, secret, users);
    const displayname = await sealPublishedName(secret, name);
    const of = { displayname, participantids: [...users], secrets };
    const made = await group.createGroup(account.caller, of, null);
    await takeConversation(account, made.conversation);
    await open.ask({ kind: "resync" });
    return made.conversation.id;
  });

/** The user's saved messages: a group of one, without a name. */
export const saved = (open: Open): Promise<Outcome<ConversationId>> => {
  const own = open.view.saved();
  return own ? Promise.resolve(ok(own)) : createGroup(open, "", []);
};

/** Renames a group. */
export const rename = (open: Open, id: ConversationId, name: string): Promise<Outcome> =>
  withKeys(open, async () => {
    const { account } = open;
    const record = await account.store.conversation(id);
    if (!record) return null;
    const { epoch, secret } = await account.cipher.current(record);
    const displayname = epoch > 0 ? await sealGroupName(account, id, { epoch, secret }, name) : await sealPublishedName(secret, name);
    const names = record.wire.participants.map(({ userid }) => [userid, displayname]);
    const made = await group.rename(account.caller, id, Object.fromEntries(names));
    await takeConversation(account, made.conversation);
    return null;
  });

/** The members of a group. */
export async function members({ account }: Open, id: ConversationId): Promise<Member[]> {
  const record = await account.store.conversation(id);
  if (!record) return [];
  const admins = new Set<string>(record.roster ? parseAnnouncement(record.roster.announcement).admins : []);
  // All at once: thousands of single reads take seconds.
  const people = await account.store.peopleById();
  return record.wire.participants.map(({ userid, username }) => {
    const person = people.get(userid) ?? { ...newPerson(userid), name: username };
    return { ...showPerson(person), admin: admins.has(userid) };
  });
}

/** Begins the next epoch. If another client has just begun one, begins the one after that. */
async function renew({ account, ask }: Open, id: ConversationId, next: Next): Promise<void> {
  for (let tries = 0; ; tries++) {
    const record = await account.store.conversation(id);
    if (!record) return;
    try {
      await nextEpoch(account, record, next);
      return;
    } catch (error) {
      const isStale = isRefusedAs(error, "stale_epoch", "stale_roster") && !addable(error, next.add ?? []);
      if (!isStale || tries === MAX_TRIES) throw error;
      await ask({ kind: "resync" });
      await updateEpochs(account, id);
    }
  }
}

/** Adds people to a group, with a new secret. Those who cannot be added directly are invited. */
async function addWithEpoch(open: Open, id: ConversationId, users: readonly UserId[]): Promise<UserId[]> {
  try {
    await renew(open, id, { add: users });
    return [...users];
  } catch (error) {
    const added = addable(error, users);
    if (!added) throw error;
    if (added.length > 0) await renew(open, id, { add: added });
    await inviteTo(open.account, id, users.filter((user) => !added.includes(user)));
    return added;
  }
}

/** Adds people to a group. On a server without epochs they can read what was said before, else only if it is shared. */
export const addMembers = (open: Open, id: ConversationId, users: readonly UserId[], share: boolean): Promise<Outcome> =>
  withKeys(open, async () => {
    const { account } = open;
    const record = await account.store.conversation(id);
    if (!record) return null;
    if (record.roster) {
      const added = await addWithEpoch(open, id, users);
      if (share) for (const user of added) await shareHistory(account, id, user);
      return null;
    }
    const { secret } = await account.cipher.current(record);
    const secrets = await wrapFor(account, secret, users);
    const displaynames = Object.fromEntries(users.map((user) => [user, record.wire.displayname]));
    const of = { conversationid: id, participantids: [...users], secrets, displaynames };
    await takeConversation(account, (await group.addParticipants(account.caller, of)).conversation);
    return null;
  });

/** Removes somebody from a group. */
export const removeMember = (open: Open, id: ConversationId, user: UserId): Promise<Outcome> =>
  withKeys(open, async () => {
    const { account } = open;
    const record = await account.store.conversation(id);
    // With a new secret in the same step, so that the removed user cannot read what follows.
    if (record?.roster) {
      await renew(open, id, { remove: [user] });
      return null;
    }
    await takeConversation(account, (await group.removeParticipants(account.caller, id, [user])).conversation);
    return null;
  });

/** Makes a member an admin, or an admin a member. */
export const setAdmin = (open: Open, id: ConversationId, user: UserId, admin: boolean): Promise<Outcome> =>
  withKeys(open, async () => {
    const { account } = open;
    const role = admin ? "admin" : "member";
    await takeConversation(account, (await group.setRole(account.caller, id, user, role)).conversation);
    const record = await account.store.conversation(id);
    if (!record?.roster) return null;
    // Clients do not believe the server about admins, so the change is announced and signed as well.
    const others = parseAnnouncement(record.roster.announcement).admins.filter((one) => one !== user);
    await renew(open, id, { admins: admin ? [...others, user] : others });
    return null;
  });

/** Begins a new epoch by hand. */
export const renewKeys = (open: Open, id: ConversationId): Promise<Outcome> =>
  withKeys(open, async () => {
    await renew(open, id, {});
    return null;
  });
