// Drains the outbox: in each conversation one message after the other, in the order in which they were written; a message
// that cannot be sent now blocks those behind it. The next one goes as soon as the server has the one before, whose row, with
// its number and its link, may come later. Runs in the tab that leads, only.

import { randomUnit } from "../crypto/bytes.ts";
import { type Content, typeOf } from "../model/body.ts";
import type { FileInfo } from "../model/file.ts";
import type { ConversationId, MessageId } from "../model/ids.ts";
import { LostLead } from "../store/backend.ts";
import { change, type Outgoing, type SealedRecord } from "../store/store.ts";
import type { Account, Hint } from "../sync/account.ts";
import { delayMs } from "../sync/connection.ts";
import { catchUp } from "../sync/fill.ts";
import { add } from "../wire/conversation.ts";
import { isBarred, isPassing, Refused } from "../wire/refusal.ts";
import { settleFiles } from "./files.ts";
import { judge } from "./outgoing.ts";
import { contentOf, hold } from "./queue.ts";
import { Sealer } from "./sealer.ts";
import { Cancelled, FileGone, upload } from "./upload.ts";

/** How long the socket may take to bring what was just stored, before it is fetched. */
const ECHO_MS = 1500;
/** As many may be stored without their rows being here; then the socket is not what brings them, and they are fetched. */
const MAX_UNSETTLED = 50;

/** What a sender tells. */
export interface SenderEvents {
  /** The station is not let in any more. */
  onBarred: () => void;
  /** Something is wrong that no retry mends; the message stays. */
  onFault: (error: unknown) => void;
  /** The conversation has another secret, or others take part, than this device knows: everything is compared. */
  onStale: () => Promise<void>;
}

/** What waits in one conversation. */
interface Line {
  running: boolean;
  /** Something was written, or decided, since the outbox was read. */
  again: boolean;
  tries: number;
  cancelTimer: () => void;
  /** The server has these; their rows may not be here yet. */
  stored: Outgoing[];
}

/** Sends what waits. */
export class Sender {
  private readonly lines = new Map<ConversationId, Line>();
  private readonly listeners = new Set<() => void>();
  /** Messages whose files are all there. */
  private readonly uploaded = new Set<MessageId>();
  private readonly sealer: Sealer;
  private stopped = false;

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
  }

  /** Something changed: what was written is sent, and whoever waits for an echo looks again. */
  noticed({ outbox, list, conversations = [] }: Hint): void {
    if (list) this.sealer.forget();
    if (!outbox) return;
    for (const listener of [...this.listeners]) listener();
    for (const id of conversations) this.start(id, false);
  }

  /** Nothing is begun after this. */
  stop(): void {
    this.stopped = true;
    for (const line of this.lines.values()) line.cancelTimer();
  }

  private start(id: ConversationId, anew: boolean): void {
    const line = this.lines.get(id) ?? { running: false, again: false, tries: 0, cancelTimer: () => undefined, stored: [] };
    this.lines.set(id, line);
    line.again = true;
    if (this.stopped || line.running || (line.tries > 0 && !anew)) return;
    line.cancelTimer();
    line.running = true;
    void this.drain(id, line);
  }

  private async drain(id: ConversationId, line: Line): Promise<void> {
    try {
      while (line.again && !this.stopped) {
        line.again = false;
        await this.sendAll(id, line);
      }
      line.running = false;
      // Also where what had failed was taken back: the next one does not wait for it.
      line.tries = 0;
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

  /** Sends what waits in a conversation, up to one that is held. Throws if the rest is to be tried again later. */
  private async sendAll(id: ConversationId, line: Line): Promise<void> {
    const waiting = (await this.account.store.outbox()).filter(({ conversation }) => conversation === id);
    let before: SealedRecord | null = null;
    for (const outgoing of waiting) {
      if (this.stopped) return;
      if (outgoing.held) break;
      const isStored = line.stored.some(({ order }) => order === outgoing.order);
      const sealed: SealedRecord | null = isStored ? outgoing.sealed : await this.send(outgoing, before, line);
      // It is held by now, or was taken back: what waits is read anew.
      if (!sealed) break;
      before = sealed;
      line.tries = 0;
      if (this.unsettled(line).length >= MAX_UNSETTLED) await this.settle(id, line);
    }
    if (this.unsettled(line).length > 0) await this.echo(() => this.unsettled(line).length === 0);
    await this.settle(id, line);
  }

  /** Sends one; null if it is not stored, and is not to be tried again as it is. */
  private async send(outgoing: Outgoing, before: SealedRecord | null, line: Line): Promise<SealedRecord | null> {
    const { caller, sent } = this.account;
    const files = await this.filesOf(outgoing);
    if (!(await this.upload(outgoing, files))) {
      line.again = true;
      return null;
    }
    const sealed = outgoing.sealed ?? (await this.sealer.seal(outgoing, before));
    if (!sealed) {
      line.again = true;
      return null;
    }
    // From now on its row settles it. One that was sent before may be here already.
    sent.set(outgoing.id, outgoing.order);
    if (outgoing.sealed && (await this.settleIfStored(outgoing))) return sealed;
    try {
      await add(caller, { conversationid: outgoing.conversation, instance: sealed.instance }, { id: outgoing.id, ...sealed, files: outgoing.files ?? [] });
    } catch (error) {
      this.uploaded.delete(outgoing.id);
      await this.refused(outgoing, error);
      line.again = true;
      return null;
    }
    await settleFiles(this.account, files);
    this.uploaded.delete(outgoing.id);
    line.stored.push({ ...outgoing, sealed });
    return sealed;
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
      else await this.refused(outgoing, error);
      return false;
    }
    this.uploaded.add(outgoing.id);
    return true;
  }

  /** Those that are stored, and whose rows are not here yet. */
  private unsettled(line: Line): Outgoing[] {
    line.stored = line.stored.filter(({ id }) => this.account.sent.has(id));
    return line.stored;
  }

  /** Fetches the rows of what is stored, where the socket has not brought them. */
  private async settle(id: ConversationId, line: Line): Promise<void> {
    if (this.unsettled(line).length === 0) return;
    const record = await this.account.store.conversation(id);
    if (record && !record.gone) await this.fetch(id);
    // What still is not here was stored, and cleared since: nothing is left to be done for it.
    for (const one of this.unsettled(line)) await this.drop(one);
  }

  private async fetch(id: ConversationId): Promise<void> {
    try {
      await catchUp(this.account, id);
    } catch (error) {
      // Cleared or left a moment ago: the list says how it stands.
      if (!(error instanceof Refused) || isPassing(error) || isBarred(error)) throw error;
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
        if (!(await this.settleIfStored(outgoing))) await hold(this.account, outgoing, { code: "message_id_conflict", sentence: "" });
        return;
      case "hold":
        // What it was about has gone with the conversation's content.
        if (verdict.held.code === "stale_instance" && (await this.isUpdate(outgoing))) await this.drop(outgoing);
        else await hold(this.account, outgoing, verdict.held);
    }
  }

  private async isUpdate(outgoing: Outgoing): Promise<boolean> {
    return typeOf(await contentOf(this.account, outgoing)) === "Update";
  }

  private async drop({ conversation, id, order }: Outgoing): Promise<void> {
    await this.account.store.write(change.settle(order));
    this.account.sent.delete(id);
    this.account.tell({ conversations: [conversation], outbox: true });
  }

  /** Takes it out of the outbox if its row is here. */
  private async settleIfStored(outgoing: Outgoing): Promise<boolean> {
    if ((await this.account.store.seqOf(outgoing.conversation, outgoing.id)) === undefined) return false;
    await this.drop(outgoing);
    return true;
  }
}
