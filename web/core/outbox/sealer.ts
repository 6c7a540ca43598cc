// Seals messages for exactly the present participants: if somebody has joined, left or has new keys, fetches or begins an epoch first.

import { difference, InvalidEpoch, type Roster } from "../crypto/epoch.ts";
import type { Content } from "../model/body.ts";
import type { ConversationId, UserId } from "../model/ids.ts";
import type { Change } from "../store/backend.ts";
import type { ConversationRecord, Held, Outgoing, OutgoingRecord, SealedRecord } from "../store/records.ts";
import { change } from "../store/store.ts";
import type { Account } from "../sync/account.ts";
import { peopleOf } from "../sync/cards.ts";
import { rosterOf, updateEpochs } from "../sync/epochs.ts";
import { canBegin, nextEpoch, Unexpected } from "../sync/rekey.ts";
import { hasOtherKeys } from "../sync/renew.ts";
import { NoKey } from "../sync/secrets.ts";
import { type Ready, requestOf, type Sealed } from "./batch.ts";
import { contentOf } from "./queue.ts";
import { hold, holdNow } from "./settle.ts";

/** How often the epoch is fetched or begun before a message is tried again later. */
const MAX_TRIES = 3;

/** The epoch has to be fetched, or begun, before anything can be sealed: somebody has left since it was announced. */
class NotReady extends Error {
  constructor(readonly needs: "update" | "next") {
    super(`the epoch needs ${needs}`);
  }
}

/** Seals messages of one account. */
export class Sealer {
  private changed: Set<UserId> | null = null;
  /** The epochs that are known to be for everybody's present keys. */
  private readonly checked = new Map<ConversationId, number>();

  constructor(private readonly account: Account) {}

  /**
   * Seals messages of one conversation, in their order; `before` is this station's previous message, whose row may not be here yet.
   * Resolves to those before the first one that was discarded or held meanwhile.
   */
  async seal(batch: readonly Outgoing[], before: SealedRecord | null): Promise<Sealed[]> {
    const [first] = batch;
    if (!first) return [];
    for (let tries = 1; ; tries++) {
      try {
        return await this.sealNow(first, batch, before);
      } catch (error) {
        // An epoch that was fetched may still have to be followed by another one.
        if (!(error instanceof NotReady) || tries === MAX_TRIES) throw error;
        if (error.needs === "update") await this.update(first);
        else await this.renew(first);
      }
    }
  }

  /**
   * Seals a message that nothing waits before, and writes it down while its request is signed. Null if it cannot be sealed yet: then
   * the caller has to put it into the outbox, which retries or holds it.
   */
  async sealNew(record: OutgoingRecord, content: Content, also: readonly Change[]): Promise<Omit<Ready, "contents" | "isKnown"> | null> {
    const { store, cipher, caller, serial } = this.account;
    try {
      return await serial.run(async () => {
        const where = await store.conversation(record.conversation);
        if (!where || where.gone || (await this.barrier(where))) return null;
        const sealed = await cipher.seal(where, { id: record.id, content, until: record.until, n: where.n + 1 }, caller.now());
        // First, as a browser may sign on the thread that has to begin the write.
        const order = store.enqueue({ ...record, sealed }, ...also);
        const request = requestOf(caller, { ...record, sealed });
        return { ...record, sealed, request, order: await order };
      });
    } catch {
      return null;
    }
  }

  /** Unseals the messages behind one that was not stored: they may need another number or another epoch. */
  unsealAfter({ conversation, order }: Outgoing): Promise<void> {
    const { store, serial } = this.account;
    return serial.run(async () => {
      const later = (await store.outbox(order + 1)).filter((one) => one.conversation === conversation && one.sealed);
      await store.write(...later.map((one) => change.outgoing({ ...one, sealed: null })));
    });
  }

  /** Drops cached keys of people, as they may have changed. */
  forget(): void {
    this.changed = null;
    this.checked.clear();
  }

  private async renew(outgoing: Outgoing): Promise<void> {
    const record = await this.account.store.conversation(outgoing.conversation);
    if (!record) return;
    try {
      await nextEpoch(this.account, record, {});
    } catch (error) {
      if (!(error instanceof NoKey) && !(error instanceof Unexpected)) throw error;
      await hold(this.account, outgoing, { code: error instanceof NoKey ? "no_key" : "stranger", sentence: "" });
      return;
    }
    const now = await this.account.store.conversation(outgoing.conversation);
    // The server returned even the own copy of the new secret altered: beginning further epochs would not help.
    if (now && !(await this.account.cipher.hasSecret(now))) await hold(this.account, outgoing, { code: "epoch_refused", sentence: "" });
  }

  private async update(outgoing: Outgoing): Promise<void> {
    try {
      await updateEpochs(this.account, outgoing.conversation);
    } catch (error) {
      if (!(error instanceof InvalidEpoch)) throw error;
      await hold(this.account, outgoing, { code: "epoch_refused", sentence: "" });
    }
  }

  /** Seals once, and writes the sealed bytes before they are sent for the first time. */
  private async sealNow(first: Outgoing, batch: readonly Outgoing[], before: SealedRecord | null): Promise<Sealed[]> {
    const { store, cipher, caller, serial } = this.account;
    const opened = await Promise.all(batch.map(async (one) => ({ one, content: await contentOf(this.account, one) })));
    return serial.run(async () => {
      const [now, record] = await Promise.all([store.outbox(first.order, batch.at(-1)?.order), store.conversation(first.conversation)]);
      // Some may have been discarded, or held, meanwhile.
      const waits = ({ order }: Outgoing): boolean => now.some((one) => one.order === order && !one.held);
      const missing = opened.findIndex(({ one }) => !waits(one));
      if (missing === 0) return [];
      const held = !record || record.gone ? { code: "conversation_not_found", sentence: "" } : await this.barrier(record);
      if (!record || held) {
        if (held) await holdNow(this.account, first, held);
        return [];
      }
      const counted = before?.instance === record.instance ? Math.max(before.n, record.n) : record.n;
      const sealing = opened.slice(0, missing < 0 ? undefined : missing).map(async ({ one, content }, i): Promise<Sealed> => {
        return { ...one, sealed: await cipher.seal(record, { id: one.id, content, until: one.until, n: counted + 1 + i }, caller.now()) };
      });
      const sealed = await Promise.all(sealing);
      await store.write(...sealed.map(change.outgoing));
      return sealed;
    });
  }

  /** Why nothing may be encrypted for those who take part at present. */
  private async barrier(record: ConversationRecord): Promise<Held | null> {
    this.changed ??= new Set((await this.account.store.people()).filter(({ trust }) => trust === "changed").map(({ id }) => id));
    if (record.lost) return { code: "lost", sentence: "" };
    const listed = record.wire.participants.map(({ userid }) => userid);
    if (listed.some((user) => this.changed?.has(user))) return { code: "keys_changed", sentence: "" };
    const roster = rosterOf(record);
    if ((roster?.announcement.epoch ?? 0) !== record.wire.epoch) throw new NotReady("update");
    if (!roster) {
      if (await canBegin(this.account, record)) throw new NotReady("next");
      return null;
    }
    const { unexpected, missing } = difference(roster, new Set(listed));
    if (unexpected.length > 0) return { code: "stranger", sentence: "" };
    // A user who left still has the secret, and one with new keys has none: begin the next epoch first.
    const isOld = missing.length > 0 || (await this.isForOldKeys(record, roster));
    if (isOld || !(await this.account.cipher.hasSecret(record))) throw new NotReady("next");
    return null;
  }

  private async isForOldKeys({ wire }: ConversationRecord, roster: Roster): Promise<boolean> {
    if (this.checked.get(wire.id) === wire.epoch) return false;
    const others = wire.participants.map(({ userid }) => userid).filter((user) => user !== this.account.session.user);
    if (await hasOtherKeys(roster, await peopleOf(this.account, others))) return true;
    this.checked.set(wire.id, wire.epoch);
    return false;
  }
}
