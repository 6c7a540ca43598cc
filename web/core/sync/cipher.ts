// Encrypts and decrypts messages. Secrets are unwrapped when they are needed, and kept in memory only.

import { type Bytes, fromHex, random } from "../crypto/bytes.ts";
import { parseCard } from "../crypto/card.ts";
import { beginning } from "../crypto/chain.ts";
import { announcementHash, parseAnnouncement } from "../crypto/epoch.ts";
import { type Followed, UNKNOWN } from "../crypto/log.ts";
import { unwrapWithAny } from "../crypto/keys.ts";
import { epochOf, open, seal, Unreadable } from "../crypto/message.ts";
import { openPublished, sealPublished } from "../crypto/published.ts";
import { type Body, MalformedBody, NewerVersion, readBody, readSigned, typeOf, writeBody } from "../model/body.ts";
import type { ConversationId, UserId } from "../model/ids.ts";
import { disappearsAt, endOf } from "../model/keep.ts";
import { checkReading, isAdminIn, outsiders } from "../model/reading.ts";
import type { Row } from "../model/timeline.ts";
import type { Trouble } from "../model/view.ts";
import type { Unsealed } from "../model/written.ts";
import { type ConversationRecord, type EpochRecord, headOf, type SealedRecord, type SessionRecord } from "../store/records.ts";
import type { Store } from "../store/store.ts";
import type { WireMessage } from "../wire/conversation.ts";
import { wireTime } from "../wire/time.ts";

/** Decrypted rows in the cache besides those that are shown, so that a new row does not decrypt all others again. */
const MAX_CACHED = 400;

/** The secret of an epoch; number 0 in a conversation without epochs. */
interface Secret {
  epoch: number;
  secret: Bytes;
}

/** An epoch, with the hash of its announcement once somebody has asked for it. */
interface Announced extends EpochRecord {
  hash: Promise<string> | null;
}

/** What rows of a conversation are read with: fetched once for all of them. */
interface Reading {
  record: ConversationRecord;
  epochs: Promise<ReadonlyMap<number, Announced>> | null;
  signKeys: Map<UserId, Promise<readonly Bytes[]>>;
  /** The chain at the rows that are read. */
  chains: ReadonlyMap<number, string>;
}

/** Reads and writes messages of one account. */
export class Cipher {
  private readonly unwrapped = new Map<string, Promise<Bytes>>();
  private readonly read = new Map<string, Promise<Row>>();
  /** The signing keys of each user that were used last. */
  private readonly signers = new Map<UserId, readonly Bytes[]>();
  /** The newest epoch of each conversation. */
  private readonly newest = new Map<ConversationId, Announced>();
  shown = 0; // rows of the open log
  /** The key log, as far as this tab knows it. */
  log: Followed | null = null;

  constructor(
    private readonly store: Store,
    private readonly session: SessionRecord,
  ) {}

  /** A wrapped secret, opened; rejects if it is not for this account's key. */
  secret(wrapped: string): Promise<Bytes> {
    const known = this.unwrapped.get(wrapped);
    if (known) return known;
    const opened = unwrapWithAny(wrapped, this.session.keys);
    this.unwrapped.set(wrapped, opened);
    return opened;
  }

  /** The same; null if it is not for this account's key, as after a loss of keys. */
  secretOrNull(wrapped: string): Promise<Bytes | null> {
    return this.secret(wrapped).catch(() => null);
  }

  /** Whether new messages can be encrypted: the secret for them is here, and can be opened. */
  async hasSecret(record: ConversationRecord): Promise<boolean> {
    if (!record.roster) return (await this.secretOrNull(record.wire.secret)) !== null;
    return (await this.newestEpoch(record)) !== null;
  }

  /** The secret that new messages lie under. */
  async current(record: ConversationRecord): Promise<Secret> {
    if (!record.roster) return { epoch: 0, secret: await this.secret(record.wire.secret) };
    const newest = await this.newestEpoch(record);
    if (!newest) throw new Unreadable("noSecret");
    return { epoch: newest.epoch, secret: await this.secret(newest.wrapped) };
  }

  // The one that was announced last, if its secret is here. An announcement names its secret: it stays the one that it was.
  private async newestEpoch(record: ConversationRecord): Promise<Announced | null> {
    return this.knownEpoch(record) ?? this.keepNewest(record, await this.store.epochs(record.wire.id));
  }

  private knownEpoch({ wire, roster }: ConversationRecord): Announced | null {
    const known = this.newest.get(wire.id);
    return known && known.announcement === roster?.announcement ? known : null;
  }

  private keepNewest({ wire, roster }: ConversationRecord, epochs: readonly EpochRecord[]): Announced | null {
    const last = epochs.at(-1);
    if (!last || last.announcement !== roster?.announcement) return null;
    const newest = { ...last, hash: null };
    this.newest.set(wire.id, newest);
    return newest;
  }

  private async signKeys(user: UserId): Promise<readonly Bytes[]> {
    const person = await this.store.person(user);
    const cards = (person?.cards ?? []).map((card) => parseCard(card).sign);
    const keys = user === this.session.user && this.session.signKey ? [...cards, fromHex(this.session.signKey, 32)] : cards;
    this.signers.set(user, keys);
    return keys;
  }

  /** Decrypts rows of a conversation, and checks what can be checked. */
  openAll(record: ConversationRecord, rows: readonly WireMessage[]): Promise<Row[]> {
    const chains = new Map(rows.map(({ Seq, Chain }) => [Seq, Chain]));
    if (record.head) chains.set(record.head.seq, record.head.chain);
    const reading: Reading = { record, epochs: null, signKeys: new Map(), chains };
    const isOutsider = outsiders(record.roster);
    return Promise.all(
      rows.map(async (row) => {
        const found = await this.openOnce(reading, row);
        // The transcript that was shown here does not fit from `broken` on.
        const isForked = record.broken === row.Seq || isOutsider(found);
        return isForked && !found.trouble ? { ...found, trouble: "forked" } : found;
      }),
    );
  }

  /** Starts to decrypt rows while they are being written, so that the next reader finds them in the cache. */
  ahead(record: ConversationRecord, rows: readonly WireMessage[]): void {
    this.openAll(record, rows).catch(() => undefined);
  }

  private async openOnce(reading: Reading, row: WireMessage): Promise<Row> {
    const key = `${reading.record.wire.id}/${row.Seq}/${row.ID}/${row.Data.length}`;
    const known = this.read.get(key);
    if (known) return known;
    if (this.read.size >= MAX_CACHED + this.shown) for (const old of [...this.read.keys()].slice(0, MAX_CACHED / 4)) this.read.delete(old);
    const opening = this.openRow(reading, row);
    this.read.set(key, opening);
    // A row that could not be decrypted is not cached, as its key may arrive.
    const forget = (): void => void this.read.delete(key);
    opening.then(({ trouble }) => trouble && forget(), forget);
    return opening;
  }

  /** Drops cached keys of people, as they may have changed. */
  forgetPeople(): void {
    this.signers.clear();
  }

  /** Drops everything that is cached. */
  forgetAll(): void {
    for (const kept of [this.read, this.newest, this.signers]) kept.clear();
    this.log = null;
  }

  /** Drops the decrypted rows of a conversation. */
  forget(id: ConversationId): void {
    for (const key of [...this.read.keys()]) if (key.startsWith(`${id}/`)) this.read.delete(key);
  }

  private async openRow(reading: Reading, row: WireMessage): Promise<Row> {
    const isErased = row.Data === "";
    const { trouble, body } = isErased ? { trouble: null, body: null } : await this.openBody(reading, row);
    const epoch = trouble === "notProven" ? null : epochOf(row.Data);
    const announced = body?.content.kind === "delete" && epoch !== null ? await this.announced(reading, epoch) : undefined;
    return {
      seq: row.Seq,
      id: row.ID,
      user: row.User,
      at: row.Created,
      until: disappearsAt(row),
      type: row.Type,
      content: body?.content ?? null,
      trouble,
      erased: isErased,
      station: row.Station,
      n: body?.n ?? null,
      epoch,
      byAdmin: isAdminIn(announced?.announcement, row.User),
    };
  }

  private async openBody(reading: Reading, row: WireMessage): Promise<{ body: Body | null; trouble: Trouble | null }> {
    try {
      const { json, signed } = await this.decrypt(reading, row);
      const body = signed ? readSigned(json) : readBody(json);
      // Accounts that sign mark unsigned messages as unproven: a client of the published form cannot be distinguished from a forger.
      if (!signed && (reading.record.roster || this.session.keys.sign)) return { body, trouble: "notProven" };
      return { body, trouble: (await this.isForked(reading, row, body)) ? "forked" : null };
    } catch (error) {
      if (error instanceof NewerVersion) return { body: null, trouble: "newerClient" };
      if (error instanceof MalformedBody) return { body: null, trouble: "neverReadable" };
      if (error instanceof Unreadable && error.why === "noSecret") return { body: null, trouble: "waitingForKey" };
      // Damaged, moved, or under a secret that was never ours: unreadable, unless an admin shares the secret.
      return { body: null, trouble: "neverReadable" };
    }
  }

  private epochsOf(reading: Reading): Promise<ReadonlyMap<number, Announced>> {
    const read = async (): Promise<Map<number, Announced>> => {
      const all = await this.store.epochs(reading.record.wire.id);
      this.keepNewest(reading.record, all);
      return new Map(all.map((one) => [one.epoch, { ...one, hash: null }]));
    };
    reading.epochs ??= read();
    return reading.epochs;
  }

  private async announced(reading: Reading, epoch: number): Promise<Announced | undefined> {
    const newest = this.knownEpoch(reading.record);
    return newest?.epoch === epoch ? newest : (await this.epochsOf(reading)).get(epoch);
  }

  private signKeysOf({ signKeys }: Reading, user: UserId): Promise<readonly Bytes[]> {
    const keys = signKeys.get(user) ?? this.signKeys(user);
    signKeys.set(user, keys);
    return keys;
  }

  private async decrypt(reading: Reading, row: WireMessage): Promise<{ json: string; signed: boolean }> {
    const { record } = reading;
    const place = { conversation: record.wire.id, instance: record.instance, message: row.ID, user: row.User, station: row.Station, type: row.Type };
    const epoch = epochOf(row.Data);
    if (epoch !== null) {
      const found = await this.announced(reading, epoch);
      if (found) {
        const under = { epoch, secret: await this.secret(found.wrapped) };
        const known = this.signers.get(row.User);
        const opened = known && (await open(under, known, place, row.Data));
        // By keys that have come since, perhaps.
        const { body, signed } = opened?.signed ? opened : await open(under, await this.signKeysOf(reading, row.User), place, row.Data);
        return { json: body, signed };
      }
      if (record.roster) throw new Unreadable(epoch > parseAnnouncement(record.roster.announcement).epoch ? "noSecret" : "notForMe");
    }
    return { json: await openPublished(await this.publishedSecret(reading), place, row.Data), signed: false };
  }

  /** What messages of the published form lie under: the secret of before the first epoch, if that is known. */
  private async publishedSecret(reading: Reading): Promise<Bytes> {
    const { wire } = reading.record;
    const first = wire.epoch > 0 ? (await this.epochsOf(reading)).get(0) : undefined;
    return this.secret(first?.wrapped ?? wire.secret);
  }

  // Whether its author was shown another transcript, epoch or key log than this device.
  private async isForked(reading: Reading, row: WireMessage, body: Body): Promise<boolean> {
    if (!body.head) return false;
    const { record, chains } = reading;
    const [at, chain] = body.head;
    // Number 0 is the beginning, and no row.
    const held = chains.get(at) ?? (at === 0 ? undefined : (await this.store.rows(record.wire.id, at, at))[0]?.Chain);
    const epoch = epochOf(row.Data);
    const announced = epoch === null ? undefined : await this.announced(reading, epoch);
    if (announced) announced.hash ??= announcementHash(announced.announcement);
    const doubt = await checkReading(body, {
      conversation: record.wire.id,
      instance: record.instance,
      seq: row.Seq,
      announcement: (await announced?.hash) ?? "",
      // A row that is not here, because it is older or its content was deleted, cannot be compared.
      chainAt: () => held ?? chain,
      lastN: null,
      log: await this.keyLog(),
    });
    return doubt !== null;
  }

  private async keyLog(): Promise<Followed> {
    this.log ??= (await this.store.meta<Followed>("log")) ?? UNKNOWN;
    return this.log;
  }

  /** Seals a message for sending; the same bytes are then sent until they are answered. */
  async seal(record: ConversationRecord, { id: message, content, until, n }: Unsealed, now: number): Promise<SealedRecord> {
    const { id } = record.wire;
    const validUntil = until ?? endOf(record, now);
    const [{ epoch, secret }, ep, known, start] = await Promise.all([
      this.current(record),
      record.roster && announcementHash(record.roster.announcement),
      this.keyLog(),
      record.head ? "" : beginning(id, record.instance),
    ]);
    const head = headOf(record, start);
    const log = known.tree.size > 0 ? ([known.tree.size, known.roots.at(-1) ?? ""] as const) : null;
    const json = writeBody(content, { at: wireTime(now), until: wireTime(validUntil), n, head, ep, log });
    const type = typeOf(content);
    const place = { conversation: id, instance: record.instance, message, user: this.session.user, station: this.session.station, type };
    const signer = this.session.keys.sign;
    const data =
      epoch > 0 && signer ? await seal({ epoch, secret }, signer, place, json, random(12)) : await sealPublished(secret, place, json);
    return { instance: record.instance, type, created: now, validUntil, data, epoch, n };
  }
}
