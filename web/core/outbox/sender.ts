// Drains the outbox. The messages of a conversation are sent in order, and one that cannot be sent blocks those behind it. The next
// one is sent as soon as the server has stored the previous one, whose row may arrive later. Runs in the leading tab only.

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
import { contentOf, filesOf } from "./queue.ts";
import { eraseContent } from "./erase.ts";
import { drop, hold, settleIfStored } from "./settle.ts";
import { Sealer } from "./sealer.ts";
import { Cancelled, FileGone, upload } from "./upload.ts";

/** How long the socket may take to echo a stored message, before its row is fetched. */
const ECHO_MS = 1500;
/** Stored messages whose rows are missing. With more, the socket is assumed not to deliver them, and they are fetched. */
const MAX_UNSETTLED = 50;

/** Events of a sender. */
export interface SenderEvents {
  /** The station is not authorized any more. */
  onUnauthorized: () => void;
  /** A retry does not help; the message stays in the outbox. */
  onFault: (error: unknown) => void;
  /** The server has another epoch or other participants than this device: resync. */
  onStale: () => Promise<void>;
}

/** Sends the messages of the outbox. */
export class Sender {
  private readonly queues = new Map<ConversationId, ConversationQueue>();
  private readonly listeners = new Set<() => void>();
  /** Messages whose files are uploaded. */
  private readonly uploaded = new Set<MessageId>();
  private readonly sealer: Sealer;
  private stopped = false;
  /** Whether the outbox was read since this tab began to lead. */
  private isAwake = false;

  constructor(
    private readonly account: Account,
    private readonly events: SenderEvents,
  ) {
    this.sealer = new Sealer(account);
  }

  /** Sends what is in the outbox; `anew` skips the remaining retry delay. */
  async wake(anew: boolean): Promise<void> {
    const conversations = new Set((await this.account.store.outbox()).map(({ conversation }) => conversation));
    for (const id of conversations) this.start(id, anew);
    this.isAwake = true;
  }

  /** The store has changed: sends new messages, and checks for awaited echoes. */
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

  /** Sends the queue of a conversation, beginning with `first`, if it is given. */
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
      // Also if the failed message was discarded: the next one must not wait for its retry delay.
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

  /** Sends the queue of a conversation up to the first held message. Throws if the rest has to be retried later. */
  private async sendAll(id: ConversationId, queue: ConversationQueue): Promise<void> {
    const all = (await this.account.store.outbox()).filter(({ conversation }) => conversation === id);
    const held = all.findIndex((one) => one.held);
    const isStored = ({ order }: Outgoing): boolean => queue.stored.some((one) => one.order === order);
    const waiting = all.slice(0, held < 0 ? undefined : held).filter((one) => !isStored(one));
    // If something was held or discarded meanwhile, the outbox is read again.
    if (!(await this.sendBatches(queue, batchesOf(waiting), all.findLast(isStored)?.sealed ?? null))) queue.again = true;
    if (this.stopped) return;
    if (this.unsettled(queue).length > 0) await this.echo(() => queue.again || this.unsettled(queue).length === 0);
    if (queue.again) return;
    await this.settle(id, queue);
    queue.isEmpty = held < 0;
  }

  /** Sends batches in order; false if a message was not stored, and must not be retried unchanged. */
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

  /** Prepares messages, up to one that must not be sent now: uploads files, seals, and starts signing. */
  private async prepare(batch: Batch, before: SealedRecord | null): Promise<Ready[]> {
    const [first] = batch;
    // If it was sent before, it may be stored, and its files deleted since.
    if (first.files && first.sealed && (await settleIfStored(this.account, first))) return [];
    const files = await filesOf(this.account, first);
    if (!(await this.upload(first, files))) return [];
    const known = batch.filter(isSealed);
    const sealed = known.length > 0 ? known : await this.sealer.seal(batch, before);
    return sealed.map((one) => ({ ...one, contents: files, isKnown: known.length > 0, request: requestOf(this.account.caller, one) }));
  }

  /** Sends one; false if it was not stored, and must not be retried unchanged. `ahead` is the batch that is being prepared behind it. */
  private async send(ready: Ready, queue: ConversationQueue, ahead: Promise<unknown> | null): Promise<boolean> {
    const { request, isKnown, contents, ...outgoing } = ready;
    // From here on its row settles it. If it was sent before, its row may be here already.
    this.account.sent.set(outgoing.id, outgoing.order);
    if (isKnown && (await settleIfStored(this.account, outgoing))) return true;
    try {
      // Before it, as this message is what is retried until both are done.
      if (outgoing.erases) await eraseContent(this.account, outgoing.conversation, outgoing.erases);
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

  /** Uploads the files of a message; false if the message was held or discarded. */
  private async upload(outgoing: Outgoing, files: readonly FileInfo[]): Promise<boolean> {
    if (files.length === 0 || this.uploaded.has(outgoing.id)) return true;
    try {
      await upload(this.account, outgoing, files);
    } catch (error) {
      if (error instanceof Cancelled) return false;
      const { code, sentence } = error instanceof Refused ? error : { code: "", sentence: "" };
      if (error instanceof FileGone) await hold(this.account, outgoing, { code: "file_gone", sentence: "" });
      // Mapped, as `too_large` is also the code for a message.
      else if (code === "too_large") await hold(this.account, outgoing, { code: "file_too_large", sentence });
      else await this.refused(outgoing, error, null);
      return false;
    }
    this.uploaded.add(outgoing.id);
    return true;
  }

  /** Stored messages whose rows are not here yet. */
  private unsettled(queue: ConversationQueue): Outgoing[] {
    queue.stored = queue.stored.filter(({ id }) => this.account.sent.has(id));
    return queue.stored;
  }

  /** Fetches rows of stored messages that the socket has not delivered. */
  private async settle(id: ConversationId, queue: ConversationQueue): Promise<void> {
    if (this.unsettled(queue).length === 0) return;
    const record = await this.account.store.conversation(id);
    if (record && !record.gone) await this.fetch(id);
    const isLost = (await this.account.store.conversation(id))?.lost;
    for (const one of this.unsettled(queue)) {
      // Its row is not accepted behind messages that the server no longer has.
      if (isLost) await hold(this.account, one, { code: "lost", sentence: "" });
      // It was cleared since.
      else await drop(this.account, one);
    }
  }

  private async fetch(id: ConversationId): Promise<void> {
    try {
      await catchUp(this.account, id);
    } catch (error) {
      // It was cleared or left a moment ago: the resync finds out.
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

  /** Handles a refusal; throws if the message has to be retried. */
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
        // Its target was deleted when the conversation was cleared.
        if (verdict.held.code === "stale_instance" && (await this.isUpdate(outgoing))) await drop(this.account, outgoing);
        else await hold(this.account, outgoing, verdict.held);
    }
  }

  private async isUpdate(outgoing: Outgoing): Promise<boolean> {
    return typeOf(await contentOf(this.account, outgoing)) === "Update";
  }
}
