// The epochs of a conversation that this device has accepted. A refused epoch changes nothing: messages under its secret stay unread,
// and nothing is sent.

import type { Bytes } from "../crypto/bytes.ts";
import {
  checkOlder,
  checkSecret,
  directId,
  firstSeen,
  InvalidEpoch,
  isGroup,
  type Known,
  nextEpochs,
  parseAnnouncement,
  type Roster,
  type SignedAnnouncement,
} from "../crypto/epoch.ts";
import { epochOf } from "../crypto/message.ts";
import { type ConversationId, userId } from "../model/ids.ts";
import type { ConversationRecord, EpochRecord } from "../store/records.ts";
import { change } from "../store/store.ts";
import { epochs as fetchEpochs, type WireEpoch } from "../wire/conversation.ts";
import type { Account } from "./account.ts";
import { knownOfAll } from "./cards.ts";

const signedOf = ({ announcement, signature }: WireEpoch): SignedAnnouncement => ({ announcement, signature });

/** What a conversation's record keeps of a roster, and back. */
export const keepRoster = ({ announcement, members }: Roster): NonNullable<ConversationRecord["roster"]> => ({
  announcement: announcement.text,
  members: [...members].map(([user, key]) => [userId(user), key]),
});
export const rosterOf = (record: ConversationRecord): Roster | null =>
  record.roster && { announcement: parseAnnouncement(record.roster.announcement), members: new Map(record.roster.members) };

/** Epochs from the newest on, down to the one after `known`; all of them if nothing is known. */
async function fetchDownTo(account: Account, id: ConversationId, known: number): Promise<WireEpoch[]> {
  const found: WireEpoch[] = [];
  let before: number | null = null;
  for (;;) {
    const page = await fetchEpochs(account.caller, id, before);
    found.push(...page.epochs.filter(({ epoch }) => epoch > known));
    const last = page.epochs.at(-1);
    if (!last || !page.hasmore || last.epoch <= known + 1) return found;
    before = last.epoch;
  }
}

/** What was accepted. */
export interface AcceptedEpochs {
  roster: Roster;
  epochs: EpochRecord[];
}

/**
 * Checks epochs, newest first, against what is known; throws `InvalidEpoch`. `open` unwraps a secret, or answers null. Where the
 * server has no usable copy of the newest secret, the epoch is accepted all the same, so that the next one can replace it.
 */
export async function accept(
  conversation: string,
  held: Roster | null,
  fetched: readonly WireEpoch[],
  known: Known,
  open: (wrapped: string) => Promise<Bytes | null>,
): Promise<AcceptedEpochs> {
  const [newest, ...older] = fetched;
  if (!newest) throw new InvalidEpoch("order");
  const roster = held
    ? await nextEpochs(held, [...fetched].reverse().map(signedOf), known)
    : await firstSeen(conversation, signedOf(newest), older.map((one) => parseAnnouncement(one.announcement)), known);
  return { roster, epochs: await secretsOf(fetched, open) };
}

/** The user has joined, and no member of the newest epoch has announced it yet. */
export class NotInRosterYet extends Error {}

/**
 * The secrets of these epochs that can be opened and match the announcement. `open` resolves to null for a secret that is not wrapped
 * for this user. A secret that does not match is never used.
 */
async function secretsOf(fetched: readonly WireEpoch[], open: (wrapped: string) => Promise<Bytes | null>): Promise<EpochRecord[]> {
  const found: EpochRecord[] = [];
  for (const { epoch, announcement, secret } of fetched) {
    // A later member has no older secrets; after a loss of keys none can be opened.
    const opened = secret === "" ? null : await open(secret);
    if (!opened) continue;
    if (await isAnnounced(announcement, opened)) found.push({ epoch, announcement, wrapped: secret });
  }
  return found;
}

async function isAnnounced(announcement: string, secret: Bytes): Promise<boolean> {
  try {
    await checkSecret(parseAnnouncement(announcement), secret);
    return true;
  } catch (error) {
    if (error instanceof InvalidEpoch) return false;
    throw error;
  }
}

/** Fetches the secrets of older epochs: an admin may have shared them since. */
async function fetchShared(account: Account, id: ConversationId, roster: Roster): Promise<void> {
  const { store, cipher, notify, serial } = account;
  const held = new Set((await store.epochs(id)).map(({ epoch }) => epoch));
  const all = await fetchDownTo(account, id, 0);
  const older = all.filter(({ epoch }) => epoch < roster.announcement.epoch);
  await checkOlder(roster.announcement, older.map(({ announcement }) => parseAnnouncement(announcement)));
  const missing = older.filter(({ epoch }) => !held.has(epoch));
  const fresh = await secretsOf(missing, (wrapped) => cipher.secretOrNull(wrapped));
  if (fresh.length === 0) return;
  await serial.run(() => store.write(...fresh.map((one) => change.epoch(id, one))));
  notify({ conversations: [id] });
}

/** Whether rows that are here lie under epochs whose secrets are not. */
async function lacksSecrets({ store }: Account, record: ConversationRecord, epoch: number): Promise<boolean> {
  const held = new Set((await store.epochs(record.wire.id)).map((one) => one.epoch));
  if (held.size >= epoch) return false;
  const needed = (await store.rows(record.wire.id, 0)).flatMap(({ Data }) => epochOf(Data) ?? []);
  return needed.some((one) => one < epoch && !held.has(one));
}

/** Fetches and accepts new epochs of a conversation; throws `InvalidEpoch` and changes nothing if they are refused. */
export async function updateEpochs(account: Account, id: ConversationId): Promise<void> {
  const { store, session, cipher } = account;
  const before = await store.conversation(id);
  const held = before ? rosterOf(before) : null;
  if (!before) return;
  if (before.wire.epoch === (held?.announcement.epoch ?? 0)) {
    if (held && (await lacksSecrets(account, before, before.wire.epoch))) await fetchShared(account, id, held);
    return;
  }
  const fetched = await fetchDownTo(account, id, held?.announcement.epoch ?? 0);
  const announced = fetched.flatMap((one) => {
    const { by, added } = parseAnnouncement(one.announcement);
    return [by, ...added].map(userId);
  });
  const users = new Set([...before.wire.participants.map(({ userid }) => userid), ...announced]);
  const known = await knownOfAll(account, [...users]);
  const accepted = await accept(id, held, fetched, known, (wrapped) => cipher.secretOrNull(wrapped));
  const { announcement, members } = accepted.roster;
  // The user is shown a group or a direct conversation, as the list says, so the roster has to agree; and only the two of them may
  // have the id of their direct conversation.
  const isDirectId = [...members.keys()].some((user) => user !== session.user && directId(user, session.user) === id);
  if (before.wire.isgroup !== isGroup(announcement) || (before.wire.isgroup && isDirectId)) throw new InvalidEpoch("roster");
  // The server lists a user who has accepted an invitation at once; an admin's client announces them later.
  if (!held && !accepted.roster.members.has(session.user)) throw new NotInRosterYet();
  await account.serial.run(async () => {
    const now = await store.conversation(id);
    if (!now || (rosterOf(now)?.announcement.epoch ?? 0) !== (held?.announcement.epoch ?? 0)) return;
    const record = { ...now, roster: keepRoster(accepted.roster), rosterAt: account.clock.now() };
    await store.write(change.conversation(record), ...accepted.epochs.map((one) => change.epoch(id, one)));
    account.notify({ conversations: [id] });
  });
}

/** The same for a resync, which a refusal must not stop. */
export async function tryEpochs(account: Account, id: ConversationId, onRefused: (error: unknown) => void): Promise<void> {
  try {
    await updateEpochs(account, id);
  } catch (error) {
    if (error instanceof NotInRosterYet) return;
    if (!(error instanceof InvalidEpoch)) throw error;
    onRefused(error);
  }
}
