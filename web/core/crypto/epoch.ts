// Epochs (docs/e2ee.md, Epochs): which secret a conversation has, made by whom, for whom.

import { base64, type Bytes, concat, fromBase64, fromHex, hex, idBytes, sameBytes, sha256, utf8 } from "./bytes.ts";
import { canonical, type Json, NotCanonical, readCanonical } from "./canonical.ts";
import { label, sign, verifies } from "./keys.ts";
import { md5 } from "./md5.ts";

const MAX_PARTICIPANTS = 5000;
const MAX_ANNOUNCEMENT = 3 * 35 * MAX_PARTICIPANTS + 1024;

/** The newest message that somebody saw; `[0, ""]` for a conversation whose instance nobody knows yet. */
export type Head = readonly [seq: number, chain: string];

/** An announcement, with the text that was signed. */
export interface Announcement {
  text: string;
  conversation: string;
  epoch: number;
  /** The hash of the announcement before; empty in the first. */
  prev: string;
  roster: string;
  admins: readonly string[];
  added: readonly string[];
  removed: readonly string[];
  commit: string;
  by: string;
  head: Head;
}

/** On the wire. */
export interface SignedAnnouncement {
  announcement: string;
  signature: string;
}

/** Why an epoch is refused. */
export class InvalidEpoch extends Error {
  constructor(readonly why: "form" | "order" | "author" | "signature" | "changes" | "roster" | "secret") {
    super(`an epoch is refused: ${why}`);
    this.name = "InvalidEpoch";
  }
}

/** What the next announcement names as its predecessor, and each message as its epoch. */
export const announcementHash = async (text: string): Promise<string> => hex(await sha256(utf8(text)));

/** What fits one secret only. */
export const commitment = async (secret: Bytes): Promise<string> => hex(await sha256(label("secret"), secret));

/** The hash over the members and their keys: H(card), or H(RSA key) for members without a card; both in hex. */
export async function rosterHash(members: ReadonlyMap<string, string>): Promise<string> {
  const sorted = [...members].sort(([one], [other]) => (one < other ? -1 : 1));
  return hex(await sha256(...sorted.flatMap(([user, key]) => [idBytes(user), fromHex(key, 32)])));
}

function users(value: Json | undefined): readonly string[] {
  if (!Array.isArray(value) || value.length > MAX_PARTICIPANTS) throw new InvalidEpoch("form");
  const list = value as readonly Json[];
  list.forEach((user, i) => {
    if (typeof user !== "string" || !/^[0-9a-f]{32}$/.test(user)) throw new InvalidEpoch("form");
    const before = list[i - 1];
    if (typeof before === "string" && before >= user) throw new InvalidEpoch("form");
  });
  return list as readonly string[];
}

const isHash = (value: Json | undefined): value is string => typeof value === "string" && /^[0-9a-f]{64}$/.test(value);

/** Reads an announcement's text; throws `InvalidEpoch` or `NotCanonical`. */
export function parseAnnouncement(text: string): Announcement {
  const fields = readCanonical(text, MAX_ANNOUNCEMENT);
  if (Object.keys(fields).sort().join(" ") !== "added admins by commit conversation epoch head prev removed roster v") {
    throw new InvalidEpoch("form");
  }
  const { v, conversation, epoch, prev, roster, commit, by, head } = fields;
  const [admins, added, removed] = [users(fields["admins"]), users(fields["added"]), users(fields["removed"])];
  if (v !== 1 || typeof conversation !== "string" || !/^[0-9a-f]{32}$/.test(conversation)) throw new InvalidEpoch("form");
  if (typeof epoch !== "number" || epoch < 1 || epoch > 0xffffffff) throw new InvalidEpoch("form");
  if (!isHash(roster) || !isHash(commit) || typeof by !== "string" || !/^[0-9a-f]{32}$/.test(by)) throw new InvalidEpoch("form");
  if (typeof prev !== "string" || (epoch === 1 ? prev !== "" : !isHash(prev))) throw new InvalidEpoch("order");
  if (!Array.isArray(head) || head.length !== 2) throw new InvalidEpoch("form");
  const [seq, chain] = head as readonly Json[];
  if (typeof seq !== "number" || seq < 0 || typeof chain !== "string") throw new InvalidEpoch("form");
  if (chain === "" ? seq !== 0 : !isHash(chain)) throw new InvalidEpoch("form");
  if (removed.some((user) => added.includes(user) || admins.includes(user))) throw new InvalidEpoch("form");
  if (epoch === 1) {
    const inIt = new Set(added);
    if (removed.length > 0 || !inIt.has(by) || !admins.every((user) => inIt.has(user))) throw new InvalidEpoch("form");
  }
  const lists = { admins, added, removed };
  return { text, conversation, epoch, prev, roster, ...lists, commit, by, head: [seq, chain] };
}

/** What is to be announced. Lists in any order. */
export interface Changes {
  conversation: string;
  roster: string;
  admins: readonly string[];
  added: readonly string[];
  removed: readonly string[];
  secret: Bytes;
  by: string;
  head: Head;
}

/** Announces the first epoch, or the one after `before`, and signs it. */
export async function announce(changes: Changes, before: Announcement | null, signer: CryptoKey): Promise<SignedAnnouncement> {
  const announcement = canonical({
    v: 1,
    conversation: changes.conversation,
    epoch: (before?.epoch ?? 0) + 1,
    prev: before ? await announcementHash(before.text) : "",
    roster: changes.roster,
    admins: [...changes.admins].sort(),
    added: [...changes.added].sort(),
    removed: [...changes.removed].sort(),
    commit: await commitment(changes.secret),
    by: changes.by,
    head: changes.head,
  });
  const signature = await sign(signer, concat(label("epoch"), utf8(announcement)));
  return { announcement, signature: base64(signature) };
}

/** The members of an epoch: users with the hash of their key, in hex. */
export interface Roster {
  announcement: Announcement;
  members: ReadonlyMap<string, string>;
}

/** What a reader knows of people: the signing keys of all their pinned cards, and what stands for them in a roster. */
export interface Known {
  signKeys: (user: string) => readonly Bytes[];
  /** One after the other, the newest first; none if they are not known. */
  memberKeys: (user: string) => readonly string[];
}

async function checkSignature(one: Announcement, signature: string, known: Known): Promise<void> {
  const text = concat(label("epoch"), utf8(one.text));
  const bytes = fromBase64(signature);
  for (const key of known.signKeys(one.by)) if (await verifies(key, bytes, text)) return;
  throw new InvalidEpoch("signature");
}

/** A group always has an admin, a direct conversation never. */
export const isGroup = ({ admins }: Announcement): boolean => admins.length > 0;

/** The id of the direct conversation of two users (docs/api.md, Identifiers). */
export const directId = (one: string, other: string): string => md5([one, other].sort().join(";"));

/**
 * Checks the first epoch that a client sees of a conversation; `older` are all that were announced before, newest first. Who takes
 * part follows from them, not from the server's list.
 */
export async function firstSeen(
  conversation: string,
  signed: SignedAnnouncement,
  older: readonly Announcement[],
  known: Known,
): Promise<Roster> {
  const announcement = parse(signed);
  if (announcement.conversation !== conversation) throw new InvalidEpoch("order");
  await checkOlder(announcement, older);
  const [all, ever] = [new Set<string>(), new Set<string>()];
  for (const [i, { epoch, added, removed }] of [...older].reverse().concat(announcement).entries()) {
    if (epoch !== i + 1 || added.some((user) => all.has(user)) || !removed.every((user) => all.has(user))) throw new InvalidEpoch("roster");
    for (const user of removed) all.delete(user);
    for (const user of added) {
      all.add(user);
      ever.add(user);
    }
  }
  // Without admins it is a direct conversation. The signer of its first epoch could add a third user.
  const [one = "", other = ""] = ever;
  if (!isGroup(announcement) && (ever.size !== 2 || directId(one, other) !== conversation)) throw new InvalidEpoch("roster");
  if (!all.has(announcement.by)) throw new InvalidEpoch("author");
  if (!announcement.admins.every((user) => all.has(user))) throw new InvalidEpoch("roster");
  const members = await membersOf(announcement, all, new Map(), known);
  await checkSignature(announcement, signed.signature, known);
  return { announcement, members };
}

/** Checks the epochs after a known one, in their order. Only the last one's roster can be compared with today's cards. */
export async function nextEpochs(before: Roster, signed: readonly SignedAnnouncement[], known: Known): Promise<Roster> {
  let newest = before.announcement;
  const users = new Set(before.members.keys());
  for (const one of signed) {
    const next = parse(one);
    if (next.conversation !== newest.conversation || next.epoch !== newest.epoch + 1) throw new InvalidEpoch("order");
    if (next.prev !== (await announcementHash(newest.text))) throw new InvalidEpoch("order");
    if (!users.has(next.by)) throw new InvalidEpoch("author");
    await checkSignature(next, one.signature, known);
    if (!fits(users, next) || !mayChange(newest, next, users)) throw new InvalidEpoch("changes");
    for (const user of next.removed) users.delete(user);
    for (const user of next.added) users.add(user);
    newest = next;
  }
  return signed.length === 0 ? before : { announcement: newest, members: await membersOf(newest, users, before.members, known) };
}

/** Rosters that are compared with an announced one. Few cards are newer than an announcement that is to be followed yet. */
const MAX_ROSTERS = 1000;

/** Those who take part, each with one of their cards from the one before on: the maker did not know of newer ones yet. */
async function membersOf(
  one: Announcement,
  users: ReadonlySet<string>,
  before: ReadonlyMap<string, string>,
  known: Known,
): Promise<ReadonlyMap<string, string>> {
  const choices = new Map<string, readonly string[]>();
  for (const user of users) {
    const keys = known.memberKeys(user);
    const last = before.get(user);
    const since = last === undefined ? keys : [...keys.slice(0, keys.includes(last) ? keys.indexOf(last) : undefined), last];
    if (since.length === 0) throw new InvalidEpoch("roster");
    choices.set(user, since);
  }
  const at = (index: (keys: readonly string[]) => number) => new Map([...choices].map(([user, keys]) => [user, keys.at(index(keys)) ?? ""]));
  const newest = at(() => 0);
  // The common case needs no search: nobody has renewed a card since.
  for (const members of [newest, at(() => -1)]) if ((await rosterHash(members)) === one.roster) return members;
  let left = MAX_ROSTERS;
  for (const members of older(newest, [...choices].filter(([, keys]) => keys.length > 1))) {
    if (left-- === 0) break;
    if ((await rosterHash(members)) === one.roster) return members;
  }
  throw new InvalidEpoch("roster");
}

/** Rosters with older cards, from those on in which the fewest are replaced. */
function* older(newest: ReadonlyMap<string, string>, renewed: readonly (readonly [string, readonly string[]])[]): Generator<ReadonlyMap<string, string>> {
  const back = function* (members: Map<string, string>, from: number, steps: number): Generator<ReadonlyMap<string, string>> {
    const one = renewed[from];
    if (steps === 0) yield members;
    if (steps === 0 || !one) return;
    const [user, keys] = one;
    for (let i = Math.min(steps, keys.length - 1); i >= 0; i--) {
      yield* back(new Map(members).set(user, keys[i] ?? ""), from + 1, steps - i);
    }
  };
  const most = renewed.reduce((sum, [, keys]) => sum + keys.length - 1, 0);
  for (let steps = 1; steps <= most; steps++) yield* back(new Map(newest), 0, steps);
}

/** Whether the changes are consistent, regardless of who makes them. */
function fits(members: ReadonlySet<string>, next: Announcement): boolean {
  const stays = (user: string): boolean => members.has(user) && !next.removed.includes(user);
  return (
    next.removed.every((user) => members.has(user)) &&
    !next.added.some((user) => members.has(user)) &&
    stays(next.by) &&
    next.admins.every((user) => stays(user) || next.added.includes(user))
  );
}

/** Anyone may remove; only an admin adds people or changes admins; if all admins are removed, one of those who stay is named. */
function mayChange(last: Announcement, next: Announcement, members: ReadonlySet<string>): boolean {
  if (isGroup(last) !== isGroup(next)) return false;
  if (last.admins.includes(next.by)) return true;
  if (next.added.length > 0) return false;
  const left = last.admins.filter((user) => !next.removed.includes(user));
  if (left.join() === next.admins.join()) return true;
  const [only] = next.admins;
  return left.length === 0 && next.admins.length === 1 && only !== undefined && members.has(only);
}

/** Checks that epochs before a known one are those that it names, newest first. */
export async function checkOlder(known: Announcement, older: readonly Announcement[]): Promise<void> {
  let after = known;
  for (const one of older) {
    const isBefore = one.conversation === after.conversation && one.epoch === after.epoch - 1;
    if (!isBefore || after.prev !== (await announcementHash(one.text))) throw new InvalidEpoch("order");
    after = one;
  }
}

function parse(signed: SignedAnnouncement): Announcement {
  try {
    return parseAnnouncement(signed.announcement);
  } catch (error) {
    if (error instanceof NotCanonical) throw new InvalidEpoch("form");
    throw error;
  }
}

/** Checks that a secret is the announced one. */
export async function checkSecret(announcement: Announcement, secret: Bytes): Promise<void> {
  const [one, other] = [fromHex(announcement.commit, 32), fromHex(await commitment(secret), 32)];
  if (!sameBytes(one, other)) throw new InvalidEpoch("secret");
}

/** Users who are listed but not in the roster, and the reverse. Both must be empty before anything is sent. */
export function difference(roster: Roster, listed: ReadonlySet<string>): { unexpected: string[]; missing: string[] } {
  return {
    unexpected: [...listed].filter((user) => !roster.members.has(user)),
    missing: [...roster.members.keys()].filter((user) => !listed.has(user)),
  };
}
