// When a conversation needs a new secret without anyone asking for it: somebody left, somebody's keys were renewed, the secret is a month old or was
// used for ten thousand messages. Every client waits for a random time before it begins one; the server accepts the first.

import type { Roster } from "../crypto/epoch.ts";
import type { ConversationId, UserId } from "../model/ids.ts";
import type { ConversationRecord, PersonRecord } from "../store/records.ts";
import { isPassing, isRefusedAs } from "../wire/refusal.ts";
import type { Account } from "./account.ts";
import { memberKey, peopleOf } from "./cards.ts";
import { rosterOf } from "./epochs.ts";
import { nextEpoch, Unexpected } from "./rekey.ts";
import { NoKey } from "./secrets.ts";

const MONTH_MS = 30 * 86_400_000;
const MAX_MESSAGES = 10_000;
/** The maximum of the random delay, the same for all clients. */
const MAX_DELAY_MS = 60_000;

const isSubset = (some: readonly string[], all: readonly string[]): boolean => some.every((one) => all.includes(one));

/** Whether somebody has renewed keys since the secret was wrapped: they could not read new messages. */
export async function hasOtherKeys(roster: Roster, people: readonly PersonRecord[]): Promise<boolean> {
  for (const person of people) {
    const key = await memberKey(person);
    if (key !== null && key !== roster.members.get(person.id)) return true;
  }
  return false;
}

/** Whether a new epoch is due; false while changed keys have to be reviewed. */
export async function isDue(record: ConversationRecord, people: readonly PersonRecord[], me: string, now: number): Promise<boolean> {
  const roster = rosterOf(record);
  if (record.gone || !roster || roster.announcement.epoch !== record.wire.epoch) return false;
  const listed = new Set<string>(record.wire.participants.map(({ userid }) => userid));
  const unexpected = [...listed].filter((user) => !roster.members.has(user));
  if (!roster.members.has(me) || people.some(({ trust }) => trust === "changed")) return false;
  if (unexpected.length > 0) return isSubset(unexpected, newcomers(record, me));
  if ([...roster.members.keys()].some((user) => !listed.has(user))) return true;
  if (await hasOtherKeys(roster, people)) return true;
  const messages = (record.head?.seq ?? 0) - roster.announcement.head[0];
  const since = record.rosterAt ?? now;
  // An epoch without messages protects nothing that a new one would not.
  return messages > 0 && (messages >= MAX_MESSAGES || now - since >= MONTH_MS);
}

/** Users whom this admin has invited, and who have accepted. */
function newcomers(record: ConversationRecord, me: string): UserId[] {
  const roster = rosterOf(record);
  if (!roster?.announcement.admins.includes(me)) return [];
  const listed = new Set(record.wire.participants.map(({ userid }) => userid));
  return record.invited.filter((user) => listed.has(user) && !roster.members.has(user));
}

/** Begins a new epoch of a conversation if one is due. If another client was faster, its epoch serves as well. */
export async function renewIfDue(account: Account, id: ConversationId): Promise<void> {
  const record = await account.store.conversation(id);
  if (!record) return;
  const people = await peopleOf(account, record.wire.participants.map(({ userid }) => userid));
  if (!(await isDue(record, people, account.session.user, account.clock.now()))) return;
  try {
    await nextEpoch(account, record, { add: newcomers(record, account.session.user) });
  } catch (error) {
    const isLate = isRefusedAs(error, "stale_epoch", "stale_roster", "stale_instance");
    if (!isLate && !isPassing(error) && !(error instanceof NoKey) && !(error instanceof Unexpected)) throw error;
  }
}

/** The conversations in which one is due. */
export async function allDue(account: Account): Promise<ConversationId[]> {
  const known = await account.store.peopleById();
  const due: ConversationId[] = [];
  for (const record of await account.store.conversations()) {
    if (!record.roster) continue;
    const people = record.wire.participants.flatMap(({ userid }) => known.get(userid) ?? []);
    if (await isDue(record, people, account.session.user, account.clock.now())) due.push(record.wire.id);
  }
  return due;
}

/** How long to wait before it; `random` from 0 to 1. */
export const renewDelayMs = (random: number): number => Math.round(MAX_DELAY_MS * random);
