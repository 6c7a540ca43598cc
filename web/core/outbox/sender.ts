// Drains the outbox: in each conversation one message after the other, in the order in which they were written; a message
// that cannot be sent now blocks those behind it. Runs in the tab that leads, only.

import { randomUnit } from "../crypto/bytes.ts";
import { difference, InvalidEpoch, type Roster } from "../crypto/epoch.ts";
import { typeOf } from "../model/body.ts";
import type { ConversationId, UserId } from "../model/ids.ts";
import { LostLead } from "../store/backend.ts";
import { change, type ConversationRecord, type Held, type Outgoing, type SealedRecord } from "../store/store.ts";
import type { Account } from "../sync/account.ts";
import { delayMs } from "../sync/connection.ts";
import { peopleOf } from "../sync/cards.ts";
import { rosterOf, updateEpochs } from "../sync/epochs.ts";
import { catchUp } from "../sync/fill.ts";
import { canBegin, nextEpoch, Unexpected } from "../sync/rekey.ts";
import { hasOtherKeys } from "../sync/renew.ts";
import { NoKey } from "../sync/secrets.ts";
import { add } from "../wire/conversation.ts";
import { isBarred } from "../wire/refusal.ts";
import { judge } from "./outgoing.ts";
import { contentOf, waiting } from "./queue.ts";

/** How long the socket may take to bring what was just stored, before it is fetched. */
const ECHO_MS = 1500;

/** What a sender tells. */
export interface SenderEvents {
  /** The station is not let in any more. */
  onBarred: () => void;
  /** Something is wrong that no retry mends; the message stays. */
  onFault: (error: unknown) => void;
  /** The conversation has another secret, or others take part, than this device knows: everything is compared. */
  onStale: () => Promise<void>;
}

/** The epoch has to be fetched, or begun, before anything can be sealed: somebody has left since it was announced. */
class NotReady extends Error {
  constructor(readonly needs: "update" | "next") {
    super(`the epoch needs ${needs}`);
  }
}

interface Line {
  running: boolean;
  tries: number;
  cancelTimer: () => void;
}

/** Sends what waits. */
export class Sender {
  private readonly lines = new Map<ConversationId, Line>();
  private readonly listeners = new Set<() => void>();
  private stopped = false;
  private changed: Set<UserId> | null = null;
  /** The epochs that are known to be for everybody's present keys. */
  private readonly checked = new Map<ConversationId, number>();

  constructor(
    private readonly account: Account,
    private readonly events: SenderEvents,
  ) {}

  /** Looks at the outbox; `anew`: without waiting for what is left of a delay. */
  async wake(anew: boolean): Promise<void> {
    const conversations = new Set((await this.account.store.outbox()).map(({ conversation }) => conversation));
    for (const id of conversations) this.start(id, anew);
  }

  /** Something was settled: whoever waits for an echo looks again. */
  noticed(): void {
    for (const listener of [...this.listeners]) listener();
  }

  /** Nothing is begun after this. */
  stop(): void {
    this.stopped = true;
    for (const line of this.lines.values()) line.cancelTimer();
  }

  private start(id: ConversationId, anew: boolean): void {
    const line = this.lines.get(id) ?? { running: false, tries: 0, cancelTimer: () => undefined };
    this.lines.set(id, line);
    if (this.stopped || line.running || (line.tries > 0 && !anew)) return;
    line.cancelTimer();
    line.running = true;
    void this.drain(id, line);
  }

  private async drain(id: ConversationId, line: Line): Promise<void> {
    try {
      while (!this.stopped && (await this.sendHead(id))) line.tries = 0;
      line.running = false;
      // What was written while the last look was under way.
      if ((await this.head(id)) && line.tries === 0) this.start(id, true);
    } catch (error) {
      line.running = false;
      this.failed(id, line, error);
    }
  }

  private failed(id: ConversationId, line: Line, error: unknown): void {
    if (this.stopped || error instanceof LostLead) return;
    if (isBarred(error)) {
      this.events.onBarred();
      return;
    }
    this.events.onFault(error);
    line.tries += 1;
    const delay = delayMs(line.tries, randomUnit());
    line.cancelTimer = this.account.clock.after(delay, () => this.start(id, true));
  }

  /** The first message of a conversation's line, unless it is held. */
  private async head(id: ConversationId): Promise<Outgoing | null> {
    const first = (await this.account.store.outbox()).find(({ conversation }) => conversation === id);
    return first && !first.held ? first : null;
  }

  /** Sends the first one; false if there is nothing to send. Throws if it is to be tried again later. */
  private async sendHead(id: ConversationId): Promise<boolean> {
    const outgoing = await this.head(id);
    if (!outgoing) return false;
    const sealed = outgoing.sealed ?? (await this.sealOrRenew(outgoing));
    if (!sealed) return true;
    try {
      const where = { conversationid: id, instance: sealed.instance };
      await add(this.account.caller, where, { id: outgoing.id, ...sealed });
    } catch (error) {
      await this.refused(outgoing, error);
      return true;
    }
    // The row itself, with its number and its link, comes by the socket, or else by a download; either settles this.
    if (await this.settleIfStored(outgoing)) return true;
    await this.echo();
    if (!(await this.settleIfStored(outgoing))) {
      await catchUp(this.account, id);
      await this.settleIfStored(outgoing);
    }
    return true;
  }

  private echo(): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        cancel();
        this.listeners.delete(end);
        resolve();
      };
      const cancel = this.account.clock.after(ECHO_MS, end);
      this.listeners.add(end);
    });
  }

  private async sealOrRenew(outgoing: Outgoing): Promise<SealedRecord | null> {
    try {
      return await this.seal(outgoing);
    } catch (error) {
      if (!(error instanceof NotReady)) throw error;
      if (error.needs === "update") await this.update(outgoing);
      else await this.renew(outgoing);
      return this.seal(outgoing);
    }
  }

  private async renew(outgoing: Outgoing): Promise<void> {
    const record = await this.account.store.conversation(outgoing.conversation);
    if (!record) return;
    try {
      await nextEpoch(this.account, record, {});
    } catch (error) {
      if (!(error instanceof NoKey) && !(error instanceof Unexpected)) throw error;
      await this.hold(outgoing, { code: error instanceof NoKey ? "no_key" : "stranger", sentence: "" });
    }
  }

  private async update(outgoing: Outgoing): Promise<void> {
    try {
      await updateEpochs(this.account, outgoing.conversation);
    } catch (error) {
      if (!(error instanceof InvalidEpoch)) throw error;
      await this.hold(outgoing, { code: "epoch_refused", sentence: "" });
    }
  }

  /** Seals once, and writes the sealed bytes before they are sent for the first time. */
  private async seal(outgoing: Outgoing): Promise<SealedRecord | null> {
    const { store, cipher, caller, serial } = this.account;
    const content = await contentOf(this.account, outgoing);
    return serial.run(async () => {
      // It may have been taken back, or held, meanwhile.
      const now = await waiting(this.account, outgoing.id);
      if (!now || now.held) return null;
      const record = await store.conversation(outgoing.conversation);
      if (!record || record.gone) {
        await this.hold(outgoing, { code: "conversation_not_found", sentence: "" });
        return null;
      }
      const held = await this.barrier(record);
      if (held) {
        await this.hold(outgoing, held);
        return null;
      }
      const sealed = await cipher.seal(record, outgoing.id, content, caller.now(), outgoing.until);
      await store.write(change.outgoing({ ...outgoing, sealed }));
      return sealed;
    });
  }

  /** Why nothing may be encrypted for those who take part at present. */
  private async barrier(record: ConversationRecord): Promise<Held | null> {
    this.changed ??= new Set((await this.account.store.people()).filter(({ trust }) => trust === "changed").map(({ id }) => id));
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
    // Who left still has the secret, and who has new keys has none: the next epoch comes first.
    if (missing.length > 0 || (await this.isForOldKeys(record, roster))) throw new NotReady("next");
    return null;
  }

  private async isForOldKeys({ wire }: ConversationRecord, roster: Roster): Promise<boolean> {
    if (this.checked.get(wire.id) === wire.epoch) return false;
    const others = wire.participants.map(({ userid }) => userid).filter((user) => user !== this.account.session.user);
    if (await hasOtherKeys(roster, await peopleOf(this.account, others))) return true;
    this.checked.set(wire.id, wire.epoch);
    return false;
  }

  /** People, or their keys, may be others by now. */
  forget(): void {
    this.changed = null;
    this.checked.clear();
  }

  private async hold(outgoing: Outgoing, held: Outgoing["held"]): Promise<void> {
    await this.account.store.write(change.outgoing({ ...outgoing, held }));
    this.account.tell({ conversations: [outgoing.conversation], outbox: true });
  }

  private async refused(outgoing: Outgoing, error: unknown): Promise<void> {
    const verdict = judge(error);
    switch (verdict.kind) {
      case "retry":
        throw error;
      case "sealAgain":
        await this.account.store.write(change.outgoing({ ...outgoing, sealed: null }));
        await this.events.onStale();
        throw error;
      case "lookUp":
        await catchUp(this.account, outgoing.conversation);
        if (!(await this.settleIfStored(outgoing))) await this.hold(outgoing, { code: "message_id_conflict", sentence: "" });
        return;
      case "hold":
        // What it was about has gone with the conversation's content.
        if (verdict.held.code === "stale_instance" && (await this.isUpdate(outgoing))) await this.drop(outgoing);
        else await this.hold(outgoing, verdict.held);
    }
  }

  private async isUpdate(outgoing: Outgoing): Promise<boolean> {
    return typeOf(await contentOf(this.account, outgoing)) === "Update";
  }

  private async drop({ conversation, order }: Outgoing): Promise<void> {
    await this.account.store.write(change.settle(order));
    this.account.tell({ conversations: [conversation], outbox: true });
  }

  /** Takes it out of the outbox if its row is here. */
  private async settleIfStored(outgoing: Outgoing): Promise<boolean> {
    if ((await this.account.store.seqOf(outgoing.conversation, outgoing.id)) === undefined) return false;
    await this.drop(outgoing);
    return true;
  }
}
