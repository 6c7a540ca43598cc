// Epochs (docs/e2ee.md, Epochs): which secret a conversation has, made by whom, for whom.

import { base64, type Bytes, concat, fromBase64, fromHex, hex, idBytes, sameBytes, sha256, utf8 } from "./bytes.ts";
import { canonical, type Json, NotCanonical, readCanonical } from "./canonical.ts";
import { label, sign, verifies } from "./keys.ts";

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

/** The hash over who takes part, with their keys: H(card), or H(RSA key) of who has no card; both in hex. */
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

/** Who takes part in an epoch. */
export interface Roster {
  announcement: Announcement;
  members: ReadonlySet<string>;
}

/** What a reader knows of people: the signing keys of all their pinned cards, and what stands for them in a roster. */
export interface Known {
  signKeys: (user: string) => readonly Bytes[];
  /** With their newest card; null if they are not known. */
  memberKey: (user: string) => string | null;
}

async function checkSignature(one: Announcement, signature: string, known: Known): Promise<void> {
  const text = concat(label("epoch"), utf8(one.text));
  const bytes = fromBase64(signature);
  for (const key of known.signKeys(one.by)) if (await verifies(key, bytes, text)) return;
  throw new InvalidEpoch("signature");
}

async function checkRoster(one: Announcement, members: ReadonlySet<string>, known: Known): Promise<void> {
  const keys = new Map<string, string>();
  for (const user of members) {
    const key = known.memberKey(user);
    if (key === null) throw new InvalidEpoch("roster");
    keys.set(user, key);
  }
  if ((await rosterHash(keys)) !== one.roster) throw new InvalidEpoch("roster");
}

/** Checks the first epoch that a client sees of a conversation; `listed` are those whom the server lists. */
export async function firstSeen(signed: SignedAnnouncement, listed: ReadonlySet<string>, known: Known): Promise<Roster> {
  const announcement = parse(signed);
  if (!listed.has(announcement.by)) throw new InvalidEpoch("author");
  await checkSignature(announcement, signed.signature, known);
  await checkRoster(announcement, listed, known);
  return { announcement, members: listed };
}

/** Checks the epoch after a known one; `isNewest` says whether its roster can be compared with today's cards. */
export async function nextEpoch(before: Roster, signed: SignedAnnouncement, known: Known, isNewest: boolean): Promise<Roster> {
  const next = parse(signed);
  const last = before.announcement;
  if (next.conversation !== last.conversation || next.epoch !== last.epoch + 1) throw new InvalidEpoch("order");
  if (next.prev !== (await announcementHash(last.text))) throw new InvalidEpoch("order");
  if (!before.members.has(next.by)) throw new InvalidEpoch("author");
  await checkSignature(next, signed.signature, known);
  const members = new Set(before.members);
  for (const user of next.removed) if (!members.delete(user)) throw new InvalidEpoch("changes");
  for (const user of next.added) if (before.members.has(user)) throw new InvalidEpoch("changes");
  if (!mayChange(last, next, members)) throw new InvalidEpoch("changes");
  for (const user of next.added) members.add(user);
  if (!members.has(next.by) || !next.admins.every((user) => members.has(user))) throw new InvalidEpoch("changes");
  if (isNewest) await checkRoster(next, members, known);
  return { announcement: next, members };
}

/** Anyone may remove; only an admin adds people or changes admins; if all admins are removed, one of those who stay is named. */
function mayChange(last: Announcement, next: Announcement, staying: ReadonlySet<string>): boolean {
  if (last.admins.includes(next.by)) return (last.admins.length === 0) === (next.admins.length === 0);
  if (next.added.length > 0) return false;
  const left = last.admins.filter((user) => staying.has(user));
  if (last.admins.length > 0 && left.length === 0) {
    const [only] = next.admins;
    return next.admins.length === 1 && only !== undefined && staying.has(only);
  }
  return left.join() === next.admins.join();
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
