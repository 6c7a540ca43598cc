// Drains the outbox: in each conversation one message after the other, in the order in which they were written; a message
// that cannot be sent now blocks those behind it. The next one goes as soon as the server has the one before, whose row, with
// its number and its link, may come later. Runs in the tab that leads, only.

import { randomUnit } from "../crypto/bytes.ts";
import { type Content, typeOf } from "../model/body.ts";
import type { FileInfo } from "../model/file.ts";
import type { ConversationId, MessageId } from "../model/ids.ts";
import { type Change, LostLead } from "../store/backend.ts";
import type { Outgoing, OutgoingRecord, SealedRecord } from "../store/records.ts";
import { change } from "../store/store.ts";
import type { Account, Hint } from "../sync/account.ts";
import { delayMs } from "../sync/connection.ts";
import { catchUp } from "../sync/fill.ts";
import { isUnauthorized, isPassing, Refused } from "../wire/refusal.ts";
import { type Batch, batchesOf, isSealed, type Ready, requestOf } from "./batch.ts";
import { settleFiles } from "./files.ts";
import { judge } from "./outgoing.ts";
import { type ConversationQueue, newQueue } from "./conversation-queue.ts";
import { contentOf } from "./queue.ts";
import { drop, hold, settleIfStored } from "./settle.ts";
import { Sealer } from "./sealer.ts";
import { Cancelled, FileGone, upload } from "./upload.ts";

/** How long the socket may take to bring what was just stored, before it is fetched. */
const ECHO_MS = 1500;
/** As many may be stored without their rows being here; then the socket is not what brings them, and they are fetched. */
const MAX_UNSETTLED = 50;

/** What a sender tells. */
export interface SenderEvents {
  /** The station is not let in any more. */
  onUnauthorized: () => void;
  /** Something is wrong that no retry mends; the message stays. */
  onFault: (error: unknown) => void;
  /** The conversation has another secret, or others take part, than this device knows: everything is compared. */
  onStale: () => Promise<void>;
}

/** Sends what waits. */
export class Sender {
  private readonly queues = new Map<ConversationId, ConversationQueue>();
  private readonly listeners = new Set<() => void>();
  /** Messages whose files are all there. */
  private readonly uploaded = new Set<MessageId>();
  private readonly sealer: Sealer;
  private stopped = false;
  /** What waited when this tab began to lead is known. */
  private isAwake = false;

  constructor(
    private readonly account: Account,
    private readonly events: SenderEvents,
  ) {
    this.sealer = new Sealer(account);
  }

  /** Looks at the outbox; `anew`: without waiting for what is left of a delay. */
  async wake(anew: boolean): Promise<void> {
    const conversations = new Set((await this.account.store.outbox()).map(({ conversation }) => conversation));
    for (const id of conversations) this.start(id, anew);
    this.isAwake = true;
  }

  /** Something changed: what was written is sent, and whoever waits for an echo looks again. */
  onHint({ outbox, list, grown = [] }: Hint): void {
    if (list) this.sealer.forget();
    if (!outbox) return;
    for (const id of grown) this.start(id, false);
    for (const listener of [...this.listeners]) listener();
  }

  /** Nothing is begun after this. */
  stop(): void {
    this.stopped = true;
    for (const queue of this.queues.values()) queue.cancelTimer();
  }

  /** What `Account.direct` does. */
  async sendDirectly(record: OutgoingRecord, content: Content, also: readonly Change[]): Promise<boolean> {
    const queue = this.queueOf(record.conversation);
    if (!this.isAwake || this.stopped || queue.running || !queue.isEmpty || record.files) return false;
    queue.running = true;
    const ready = await this.sealer.sealNew(record, content, also);
    queue.running = ready !== null;
    if (ready) void this.drain(record.conversation, queue, { ...ready, contents: [], isKnown: false });
    return ready !== null;
  }

  private queueOf(id: ConversationId): ConversationQueue {
    const queue = this.queues.get(id) ?? newQueue();
    this.queues.set(id, queue);
    return queue;
  }

  private start(id: ConversationId, anew: boolean): void {
    const queue = this.queueOf(id);
    queue.again = true;
    queue.isEmpty = false;
    if (this.stopped || queue.running || (queue.tries > 0 && !anew)) return;
    queue.cancelTimer();
    queue.running = true;
    void this.drain(id, queue);
  }

  /** Sends what waits in a conversation, after `first`, before which nothing does. */
  private async drain(id: ConversationId, queue: ConversationQueue, first: Ready | null = null): Promise<void> {
    try {
      if (first) {
        queue.again = true;
        await this.send(first, queue, null);
      }
      while (queue.again && !this.stopped) {
        queue.again = false;
        await this.sendAll(id, queue);
      }
      queue.running = false;
      // Also where what had failed was taken back: the next one does not wait for it.
      queue.tries = 0;
    } catch (error) {
      queue.running = false;
      this.failed(id, queue, error);
    }
  }

  private failed(id: ConversationId, queue: ConversationQueue, error: unknown): void {
    if (this.stopped || error instanceof LostLead) return;
    if (isUnauthorized(error)) {
      this.events.onUnauthorized();
      return;
    }
    this.events.onFault(error);
    queue.tries += 1;
    const delay = delayMs(queue.tries, randomUnit());
    queue.cancelTimer = this.account.clock.after(delay, () => this.start(id, true));
  }

  /** Sends what waits in a conversation, up to one that is held. Throws if the rest is to be tried again later. */
  private async sendAll(id: ConversationId, queue: ConversationQueue): Promise<void> {
    const all = (await this.account.store.outbox()).filter(({ conversation }) => conversation === id);
    const held = all.findIndex((one) => one.held);
    const isStored = ({ order }: Outgoing): boolean => queue.stored.some((one) => one.order === order);
    const waiting = all.slice(0, held < 0 ? undefined : held).filter((one) => !isStored(one));
    // Where something was held or taken back meanwhile, what waits is read anew.
    if (!(await this.sendBatches(queue, batchesOf(waiting), all.findLast(isStored)?.sealed ?? null))) queue.again = true;
    if (this.stopped) return;
    if (this.unsettled(queue).length > 0) await this.echo(() => queue.again || this.unsettled(queue).length === 0);
    if (queue.again) return;
    await this.settle(id, queue);
    queue.isEmpty = held < 0;
  }

  /** Sends one after the other; false if one is not stored, and is not to be tried again as it is. */
  private async sendBatches(queue: ConversationQueue, batches: readonly Batch[], last: SealedRecord | null): Promise<boolean> {
    let before = last;
    let ahead: Promise<Ready[]> | null = null;
    for (const [i, batch] of batches.entries()) {
      const ready: Ready[] = await (ahead ?? this.prepare(batch, before));
      const isWhole = ready.length === batch.length;
      before = ready.at(-1)?.sealed ?? before;
      const next = batches[i + 1];
      ahead = isWhole && next && !next[0].files ? this.prepare(next, before) : null;
      // It is awaited when it is needed.
      ahead?.catch(() => undefined);
      for (const one of ready) {
        if (this.stopped || !(await this.send(one, queue, ahead))) return false;
        queue.tries = 0;
        if (this.unsettled(queue).length >= MAX_UNSETTLED) await this.echo(() => this.unsettled(queue).length < MAX_UNSETTLED);
        if (this.unsettled(queue).length >= MAX_UNSETTLED) await this.settle(one.conversation, queue);
      }
      if (!isWhole) return false;
    }
    return true;
  }

  /** Makes messages ready, up to one that is not to be sent now: their files are there, they are sealed, and being signed. */
  private async prepare(batch: Batch, before: SealedRecord | null): Promise<Ready[]> {
    const [first] = batch;
    // What was sent before may be stored, and its files gone since.
    if (first.files && first.sealed && (await settleIfStored(this.account, first))) return [];
    const files = await this.filesOf(first);
    if (!(await this.upload(first, files))) return [];
    const known = batch.filter(isSealed);
    const sealed = known.length > 0 ? known : await this.sealer.seal(batch, before);
    return sealed.map((one) => ({ ...one, contents: files, isKnown: known.length > 0, request: requestOf(this.account.caller, one) }));
  }

  /** Sends one; false if it is not stored, and is not to be tried again as it is. `ahead` is being made ready to follow it. */
  private async send(ready: Ready, queue: ConversationQueue, ahead: Promise<unknown> | null): Promise<boolean> {
    const { request, isKnown, contents, ...outgoing } = ready;
    // From now on its row settles it. One that was sent before may be here already.
    this.account.sent.set(outgoing.id, outgoing.order);
    if (isKnown && (await settleIfStored(this.account, outgoing))) return true;
    try {
      await (await request)();
    } catch (error) {
      this.uploaded.delete(outgoing.id);
      await this.refused(outgoing, error, ahead);
      return false;
    }
    await settleFiles(this.account, contents);
    this.uploaded.delete(outgoing.id);
    queue.stored.push(outgoing);
    return true;
  }

  private async filesOf(outgoing: Outgoing): Promise<readonly FileInfo[]> {
    if (!outgoing.files) return [];
    const content: Content = await contentOf(this.account, outgoing);
    return content.kind === "file" ? content.files : [];
  }

  /** Sends the files of a message before it; false if it is held by now, or was taken back. */
  private async upload(outgoing: Outgoing, files: readonly FileInfo[]): Promise<boolean> {
    if (files.length === 0 || this.uploaded.has(outgoing.id)) return true;
    try {
      await upload(this.account, outgoing, files);
    } catch (error) {
      if (error instanceof Cancelled) return false;
      const { code, sentence } = error instanceof Refused ? error : { code: "", sentence: "" };
      if (error instanceof FileGone) await hold(this.account, outgoing, { code: "file_gone", sentence: "" });
      // A message that is too large has the same code.
      else if (code === "too_large") await hold(this.account, outgoing, { code: "file_too_large", sentence });
      else await this.refused(outgoing, error, null);
      return false;
    }
    this.uploaded.add(outgoing.id);
    return true;
  }

  /** Those that are stored, and whose rows are not here yet. */
  private unsettled(queue: ConversationQueue): Outgoing[] {
    queue.stored = queue.stored.filter(({ id }) => this.account.sent.has(id));
    return queue.stored;
  }

  /** Fetches the rows of what is stored, where the socket has not brought them. */
  private async settle(id: ConversationId, queue: ConversationQueue): Promise<void> {
    if (this.unsettled(queue).length === 0) return;
    const record = await this.account.store.conversation(id);
    if (record && !record.gone) await this.fetch(id);
    // What still is not here was stored, and cleared since: nothing is left to be done for it.
    for (const one of this.unsettled(queue)) await drop(this.account, one);
  }

  private async fetch(id: ConversationId): Promise<void> {
    try {
      await catchUp(this.account, id);
    } catch (error) {
      // Cleared or left a moment ago: the list says how it stands.
      if (!(error instanceof Refused) || isPassing(error) || isUnauthorized(error)) throw error;
      await this.events.onStale();
    }
  }

  private echo(isHere: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        cancel();
        this.listeners.delete(look);
        resolve();
      };
      const look = (): void => {
        if (isHere()) end();
      };
      const cancel = this.account.clock.after(ECHO_MS, end);
      this.listeners.add(look);
    });
  }

  /** Does what is to be done about a refusal; throws if the same is to be sent again. */
  private async refused(outgoing: Outgoing, error: unknown, ahead: Promise<unknown> | null): Promise<void> {
    const verdict = judge(error);
    if (verdict.kind !== "retry") {
      await ahead?.catch(() => undefined);
      await this.sealer.unsealAfter(outgoing);
    }
    switch (verdict.kind) {
      case "retry":
        throw error;
      case "sealAgain":
        await this.account.store.write(change.outgoing({ ...outgoing, sealed: null }));
        await this.events.onStale();
        throw error;
      case "lookUp":
        await catchUp(this.account, outgoing.conversation);
        if (!(await settleIfStored(this.account, outgoing))) await hold(this.account, outgoing, { code: "message_id_conflict", sentence: "" });
        return;
      case "hold":
        // What it was about has gone with the conversation's content.
        if (verdict.held.code === "stale_instance" && (await this.isUpdate(outgoing))) await drop(this.account, outgoing);
        else await hold(this.account, outgoing, verdict.held);
    }
  }

  private async isUpdate(outgoing: Outgoing): Promise<boolean> {
    return typeOf(await contentOf(this.account, outgoing)) === "Update";
  }
}
