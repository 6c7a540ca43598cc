// The cases of vectors/, which the Rust client passes, too: what is good is accepted with the outcome that they name,
// everything else is refused.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { base64, type Bytes, concat, fromBase64, fromHex, hex, sha256 } from "../../core/crypto/bytes.ts";
import { acceptCards, type Card, cardHash, parseCard, type SignedCard } from "../../core/crypto/card.ts";
import {
  announcementHash,
  checkSecret,
  difference,
  firstSeen,
  InvalidEpoch,
  type Known,
  nextEpochs,
  parseAnnouncement,
  type SignedAnnouncement,
} from "../../core/crypto/epoch.ts";
import { rootOf as rootOfPassword } from "../../core/crypto/kdf.ts";
import { publicOfRsa, publicOfSeed } from "../../core/crypto/keys.ts";
import { append, checkLogged, checkMark, EMPTY, ENTRY_LENGTH, type Followed, followLog, InvalidLog, rootOf, tagOf, UNKNOWN } from "../../core/crypto/log.ts";
import { open, openName, Unreadable } from "../../core/crypto/message.ts";
import { provesInvitation, readScanCode, safetyNumber } from "../../core/crypto/number.ts";
import { digestOf, fileKey, FileDecryptor, padme, PLAIN, recordsOf, sealRecord } from "../../core/crypto/file.ts";
import { apikeyOfRoot, boxKeyOf, checkVersion, openBox, openSlot, readRecovery, readVault } from "../../core/crypto/vault.ts";
import { checkReading } from "../../core/model/reading.ts";
import { type Body, NewerVersion, readSigned } from "../../core/model/body.ts";
import { readInvitation } from "../../core/model/invitation.ts";

const folder = process.env["VECTORS"] ?? join(process.cwd(), "../vectors");

interface Common {
  name: string;
  refused?: string;
  outcome?: unknown;
}

class Refusal extends Error {}

/** Errors that mean a refusal; any other one is a bug. */
const refusals = ["Unreadable", "InvalidCard", "InvalidEpoch", "InvalidLog", "NotCanonical", "MalformedBody", "InvalidEncoding", "OldVault", "OperationError", "UnsafeKdf", "DamagedFile", "Error"];

function play<Case extends Common>(file: string, task: (one: Case) => Promise<unknown>): void {
  const path = join(folder, `${file}.json`);
  if (!existsSync(path)) {
    test(`${file}: there are no vectors yet`, { skip: true }, () => undefined);
    return;
  }
  const { cases } = JSON.parse(readFileSync(path, "utf8")) as { cases: Case[] };
  for (const one of cases) {
    test(`${file}: ${one.name}`, async () => {
      if (one.name.startsWith("good: ")) {
        assert.deepEqual(await task(one), one.outcome);
        return;
      }
      await assert.rejects(task(one), (error: Error) => error instanceof Refusal || refusals.includes(error.name));
    });
  }
}

const cardsOf = (texts: readonly string[]): Map<string, Card[]> => {
  const found = new Map<string, Card[]>();
  for (const card of texts.map(parseCard)) found.set(card.user, [...(found.get(card.user) ?? []), card]);
  return found;
};

function entriesOf(bytes: Bytes): Bytes[] {
  if (bytes.length % ENTRY_LENGTH !== 0) throw new InvalidLog("form");
  return Array.from({ length: bytes.length / ENTRY_LENGTH }, (_, i) => bytes.slice(ENTRY_LENGTH * i, ENTRY_LENGTH * (i + 1)));
}

/** A log as somebody has followed it. */
async function followed(entries: readonly Bytes[], serverKey: string): Promise<Followed> {
  let tree = EMPTY;
  const [roots, newest]: [string[], Map<string, { n: number; card: string }>] = [[], new Map()];
  for (const entry of entries) {
    tree = await append(tree, entry);
    roots.push(await rootOf(tree));
    const n = Number(new DataView(entry.buffer).getBigUint64(32));
    newest.set(hex(entry.slice(0, 32)), { n, card: hex(entry.slice(40)) });
  }
  return { ...UNKNOWN, tree, newest, roots, serverKey: fromBase64(serverKey) };
}

interface MessageCase extends Common {
  cards: string[];
  secret: string;
  data: string;
  conversation: string;
  instance: string;
  id: string;
  user: string;
  station: string;
  type: string;
  view?: { announcement: string; chain: Record<string, string>; last: number; seq: number; log: { entries: string; key: string } };
}

/** Null if it needs a newer client, which is no refusal. */
function readKnown(body: string): Body | null {
  try {
    return readSigned(body);
  } catch (error) {
    if (error instanceof NewerVersion) return null;
    throw error;
  }
}

play<MessageCase>("message", async (one) => {
  const { conversation, instance, id, user, station, type, data, view } = one;
  const epoch = fromBase64(data)[5] ?? 0;
  const cards = cardsOf(one.cards).get(user) ?? [];
  const place = { conversation, instance, message: id, user, station, type };
  const { body, signed } = await open({ epoch, secret: fromHex(one.secret) }, cards.map(({ sign }) => sign), place, data);
  if (!signed) throw new Refusal("not signed");
  const read = readKnown(body);
  if (view && read) {
    const log = await followed(entriesOf(fromBase64(view.log.entries)), view.log.key);
    const announcement = await announcementHash(view.announcement);
    const chainAt = (seq: number): string | null => view.chain[seq] ?? null;
    const trouble = await checkReading(read, { conversation, instance, seq: view.seq, announcement, chainAt, lastN: view.last, log });
    if (trouble) throw new Refusal(trouble);
  }
  const signers = await Promise.all(
    cards.map(async (card) => ((await open({ epoch, secret: fromHex(one.secret) }, [card.sign], place, data)).signed ? card : null)),
  );
  const signer = signers.find((card) => card !== null);
  return { body, card: signer && (await cardHash(signer.text)), epoch };
});

interface NameCase extends Common {
  cards: string[];
  secret: string;
  conversation: string;
  displayname: string;
}

play<NameCase>("name", async ({ cards, secret, conversation, displayname }) => {
  const known = cardsOf(cards);
  const read = (body: string): { by: string; name: string; v: number } => JSON.parse(body) as { by: string; name: string; v: number };
  const keysOf = (body: string): Bytes[] => (known.get(read(body).by) ?? []).map(({ sign }) => sign);
  const epoch = fromBase64(displayname)[5] ?? 0;
  const { body, signed } = await openName({ epoch, secret: fromHex(secret) }, keysOf, conversation, displayname);
  const { by, name, v } = read(body);
  if (!signed || v !== 1) throw new Refusal("not signed, or another version");
  return { by, epoch, name };
});

interface CardCase extends Common {
  user: string;
  server: string;
  publickey: string;
  pinned?: SignedCard[];
  offered: SignedCard[];
}

play<CardCase>("card", async ({ user, server, publickey, pinned = [], offered }) => {
  const held = pinned.map(({ card }) => parseCard(card));
  const { cards, is } = await acceptCards(held, offered, { user, server, publicKey: publickey });
  if (is === "newIdentity") throw new Refusal("sending stops");
  const newest = cards.at(-1);
  assert.ok(newest);
  return { card: await cardHash(newest.text), is, n: newest.n };
});

interface EpochCase extends Common {
  known?: string;
  conversation?: string;
  members: Record<string, { card?: string; rsa?: string }>;
  cards: string[];
  announcements: SignedAnnouncement[];
  secret?: string;
  participants?: string[];
}

play<EpochCase>("epoch", async (one) => {
  const cards = cardsOf(one.cards);
  const keys = new Map<string, string[]>();
  for (const [user, list] of cards) keys.set(user, await Promise.all([...list].reverse().map(({ text }) => cardHash(text))));
  const known: Known = {
    signKeys: (user) => (cards.get(user) ?? []).map(({ sign }) => sign),
    memberKeys: (user) => keys.get(user) ?? [],
  };
  const members = new Map(Object.entries(one.members).map(([user, { card, rsa }]) => [user, card ?? rsa ?? ""]));
  const last = one.announcements.at(-1);
  assert.ok(last);
  const roster = one.known
    ? await nextEpochs({ announcement: parseAnnouncement(one.known), members }, one.announcements, known)
    : await firstSeen(one.conversation ?? "", last, one.announcements.slice(0, -1).reverse().map((each) => parseAnnouncement(each.announcement)), known);
  if (one.secret) await checkSecret(roster.announcement, fromHex(one.secret));
  if (one.participants) {
    const { unexpected, missing } = difference(roster, new Set(one.participants));
    if (unexpected.length + missing.length > 0) throw new InvalidEpoch("roster");
  }
  const { epoch, text } = roster.announcement;
  return { epoch, hash: await announcementHash(text), members: [...roster.members.keys()].sort() };
});

interface VaultCase extends Common {
  user: string;
  server: string;
  rsakey: string;
  seen: number;
  root?: string;
  password?: string;
  recovery?: string;
  kdf?: { m: number; t: number; p: number; salt: string };
}

async function rootOfCase({ password, kdf, root }: VaultCase): Promise<Bytes> {
  if (password !== undefined && kdf) return rootOfPassword(password, { ...kdf, salt: fromHex(kdf.salt) });
  return fromHex(root ?? "");
}

play<VaultCase>("vault", async (one) => {
  const owner = { server: one.server, user: one.user };
  const recovery = one.recovery === undefined ? null : readRecovery(one.recovery);
  if (one.recovery !== undefined && !recovery) throw new Unreadable("altered");
  const root = recovery ?? (await rootOfCase(one));
  const vault = readVault(one.rsakey);
  checkVersion(vault, one.seen);
  const contents = await openBox(vault, await boxKeyOf(await openSlot(vault, root, owner, recovery ? "recovery" : "password")), owner);
  const { keys, pins, heads } = contents;
  const publickey = await publicOfRsa(keys.rsa);
  const sign = Buffer.from(await publicOfSeed(keys.seed)).toString("base64");
  return { apikey: await apikeyOfRoot(root, owner), heads, pins, publickey, sign, version: vault.version };
});

interface LogCase extends Common {
  before: string;
  entries: string;
  head: string;
  signature: string;
  key: string;
  server: string;
  user: string;
  own: Record<string, string>;
  card?: string;
  mark?: [number, string];
  seenkey?: string;
}

play<LogCase>("log", async (one) => {
  const held = await followed(entriesOf(fromBase64(one.before)), one.key);
  const log = await followLog(held, {
    server: one.server,
    serverKey: fromBase64(one.key),
    entries: entriesOf(fromHex(one.entries)),
    head: { head: one.head, signature: one.signature },
    own: { tag: await tagOf(one.server, one.user), cards: new Set(Object.values(one.own)) },
  });
  if (one.mark) checkMark(log, one.mark);
  if (one.card) {
    const card = parseCard(one.card);
    await checkLogged(log, card.server, card.user, await cardHash(card.text));
  }
  return { root: await rootOf(log.tree), size: log.tree.size };
});

interface CompareCase extends Common {
  numbers?: [string, string];
  code?: string;
  link?: string;
  mac?: string;
  newcomer?: string;
}

play<CompareCase>("compare", async ({ numbers, code, link, mac, newcomer, outcome }) => {
  if (numbers) {
    const [one, other] = numbers.map(parseCard);
    assert.ok(one && other);
    return (await safetyNumber(one, other)).join(" ");
  }
  if (code !== undefined) {
    const read = readScanCode(code);
    if (!read) throw new Refusal("no code");
    return { card: read.card, seq: read.seq, user: read.user };
  }
  const invitation = readInvitation(new URL(link ?? "").hash);
  if (!invitation) throw new Refusal("no invitation");
  const isRight = await provesInvitation(invitation.secret, newcomer ?? "", invitation.card, mac ?? "");
  if (!isRight) throw new Refusal("no proof");
  assert.ok(outcome !== undefined);
  return { code: invitation.code, from: invitation.from };
});

interface FileCase extends Common {
  key: string;
  length: number;
  step: number;
  padded: boolean;
  /** A record that is sealed as the last one, although it is not. */
  lasttoo?: number;
  /** What a server hands out: which records, and a bit of which byte is another one. */
  order?: number[];
  flipped?: [record: number, byte: number];
  /** What the message says, where that is not so. */
  size?: number;
  openkey?: string;
  digest?: string;
}

play<FileCase>("files", async (one) => {
  const { length, step } = one;
  const content = new Uint8Array(one.padded ? padme(length) : length);
  for (let i = 0; i < length; i++) content[i] = (i * step) % 251;
  const count = recordsOf(content.length);
  const sealing = await fileKey(fromHex(one.key, 32));
  const numbers = Array.from({ length: count }, (_, n) => n);
  const records = await Promise.all(numbers.map((n) => sealRecord(sealing, n, n === count - 1 || one.lasttoo === n, content.slice(n * PLAIN, (n + 1) * PLAIN))));
  const digest = async (of: readonly Bytes[]): Promise<string> => hex(await digestOf(await Promise.all(of.map((record) => sha256(record)))));
  const served = (one.order ?? numbers).map((n) => (records[n] ?? new Uint8Array(0)).slice());
  if (one.flipped) {
    const [record, byte] = one.flipped;
    const changed = served[record];
    if (changed) changed[byte] = (changed[byte] ?? 0) ^ 1;
  }
  const key = base64(fromHex(one.openkey ?? one.key, 32));
  const opening = await FileDecryptor.of({ key, size: one.size ?? length, records: count, digest: one.digest ?? (await digest(records)) });
  const parts: Bytes[] = [];
  for (const record of served) parts.push(await opening.open(record));
  if (!opening.isDone) throw new Refusal("records are missing");
  return {
    records: count,
    stored: records.reduce((sum, record) => sum + record.length, 0),
    hashes: await Promise.all(records.map(async (record) => hex(await sha256(record)))),
    digest: await digest(records),
    content: hex(await sha256(concat(...parts))),
  };
});
