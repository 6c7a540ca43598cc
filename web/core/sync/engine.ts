// What the tab that leads does: it holds the socket, takes in what that tells, fetches what it does not, sends what waits.

import { randomUnit } from "../crypto/bytes.ts";
import type { ConversationId } from "../model/ids.ts";
import { discard, retry } from "../outbox/queue.ts";
import { Sender } from "../outbox/sender.ts";
import type { OpenSocket, Socket } from "../ports.ts";
import { LostLead } from "../store/backend.ts";
import type { WireMessage } from "../wire/conversation.ts";
import { fromJson } from "../wire/decode.ts";
import { groupInvitations } from "../wire/group.ts";
import { type Frame, frame, pingFrame, typingFrame } from "../wire/notification.ts";
import { isBarred, isPassing, Refused } from "../wire/refusal.ts";
import type { Account, Hint } from "./account.ts";
import { arrive, byConversation } from "./arrive.ts";
import type { Ask } from "./ask.ts";
import { type ConnectionEvent, type ConnectionState, step } from "./connection.ts";
import { catchUp, fetchOlder } from "./fill.ts";
import { markSeen } from "./inbox.ts";
import { comparePeople, resync } from "./list.ts";
import { tellReceipts } from "./receipts.ts";
import { allDue, renewDelayMs, renewIfDue } from "./renew.ts";
import { Serial } from "./serial.ts";

/** Silence after which the socket is asked for an answer, and then given up. */
const SILENCE_MS = 40_000;
const ANSWER_MS = 10_000;
/** Receipts wait for more of the same. */
const RECEIPTS_MS = 300;

/** What the engine tells. */
export interface EngineEvents {
  onConnection: (state: ConnectionState) => void;
  onProgress: (progress: { done: number; all: number } | null) => void;
  onFresh: (id: ConversationId, fresh: WireMessage[]) => void;
  /** This station is not let in any more: signed out from elsewhere, or the account is gone. */
  onBarred: () => void;
  onFault: (error: unknown) => void;
}

/** Leads. */
export class Engine {
  state: ConnectionState = { kind: "idle" };
  private readonly frames = new Serial();
  private readonly sender: Sender;
  private readonly receipts = new Map<ConversationId, () => void>();
  private readonly renewals = new Map<ConversationId, () => void>();
  private socket: Socket | null = null;
  private cancelTimer = (): void => undefined;
  private cancelSilence = (): void => undefined;

  constructor(
    private readonly account: Account,
    private readonly openSocket: OpenSocket,
    private readonly events: EngineEvents,
  ) {
    this.sender = new Sender(account, {
      onBarred: () => this.barred(),
      onFault: (error) => this.fault(error),
      onStale: () => this.frames.run(() => this.compare()),
    });
  }

  /** Begins. */
  start(): void {
    this.dispatch({ kind: "start" });
    void this.sender.wake(true);
  }

  /** Ends: no timer, no socket is left. */
  stop(): void {
    this.sender.stop();
    for (const cancel of [...this.receipts.values(), ...this.renewals.values()]) cancel();
    this.dispatch({ kind: "stop" });
  }

  /** Something changed in the store, in this tab or another. */
  noticed(hint: Hint): void {
    if (hint.list) this.sender.forget();
    if (!hint.outbox) return;
    this.sender.noticed();
    void this.sender.wake(false);
  }

  /** Does what a tab asks for. */
  async answer(ask: Ask): Promise<void> {
    switch (ask.kind) {
      case "older":
        await fetchOlder(this.account, ask.id);
        return;
      case "seen":
        await this.account.serial.run(() => markSeen(this.account, ask.id, ask.seq));
        this.receiptsSoon(ask.id);
        return;
      case "typing":
        if (this.state.kind === "live") this.socket?.send(typingFrame(ask.id));
        return;
      case "retry":
        return retry(this.account, ask.message);
      case "discard":
        await discard(this.account, ask.message);
        return;
      case "resync":
        return this.frames.run(() => this.compare());
      case "wake":
        this.dispatch({ kind: "wake" });
        return this.sender.wake(true);
      case "useHere":
        this.dispatch({ kind: "start" });
        return;
      case "state":
        this.events.onConnection(this.state);
    }
  }

  private dispatch(event: ConnectionEvent): void {
    const before = this.state;
    this.state = step(before, event);
    if (this.state === before) return;
    this.cancelTimer();
    this.events.onConnection(this.state);
    this.enter(this.state);
  }

  private enter(state: ConnectionState): void {
    switch (state.kind) {
      case "connecting":
        void this.connect();
        return;
      case "catchingUp":
        void this.frames.run(() => this.catchUpAll());
        return;
      case "live":
        void this.sender.wake(true);
        return;
      case "waiting":
        this.drop();
        this.cancelTimer = this.account.clock.after(Math.max(0, state.until - this.account.clock.now()), () => this.dispatch({ kind: "due" }));
        return;
      default:
        this.drop();
    }
  }

  private drop(): void {
    this.cancelSilence();
    const { socket } = this;
    this.socket = null;
    socket?.close();
  }

  private closed(code: number): void {
    this.dispatch({ kind: "closed", code, now: this.account.clock.now(), random: randomUnit() });
    if (this.state.kind === "barred") this.events.onBarred();
  }

  private async connect(): Promise<void> {
    try {
      // A browser does not say why a socket was refused; a request does, and it corrects the clock.
      if (this.state.kind === "connecting" && this.state.tries > 0) await groupInvitations(this.account.caller);
      const path = await this.account.caller.socketPath();
      if (this.state.kind !== "connecting") return;
      this.open(path);
    } catch (error) {
      if (isBarred(error)) this.barred();
      else this.closed(1006);
    }
  }

  private open(path: string): void {
    // What an older socket still tells is not for us.
    const mine = (then: () => void): void => {
      if (this.socket === socket) then();
    };
    const socket = this.openSocket(path, {
      onOpen: () => mine(() => this.dispatch({ kind: "opened" })),
      onFrame: (text) =>
        mine(() => {
          this.heard();
          void this.frames.run(() => this.receiveOrClose(text));
        }),
      onClose: (code) => mine(() => this.closed(code)),
    });
    this.socket = socket;
    this.heard();
  }

  private heard(): void {
    this.cancelSilence();
    this.cancelSilence = this.account.clock.after(SILENCE_MS, () => {
      if (this.state.kind === "live") this.socket?.send(pingFrame);
      this.cancelSilence = this.account.clock.after(ANSWER_MS, () => this.closed(1006));
    });
  }

  // Whatever goes wrong here, nothing is lost: the next connection compares everything.
  private async guarded(task: () => Promise<void>): Promise<boolean> {
    try {
      await task();
      return true;
    } catch (error) {
      if (error instanceof LostLead) return false;
      if (isBarred(error)) this.barred();
      else {
        this.fault(error);
        this.closed(1006);
      }
      return false;
    }
  }

  private async catchUpAll(): Promise<void> {
    if (await this.guarded(() => this.compare())) this.dispatch({ kind: "caughtUp" });
  }

  private async compare(): Promise<void> {
    await resync(this.account, {
      onProgress: (done, all) => this.events.onProgress({ done, all }),
      onFresh: (id, fresh) => this.took(id, fresh),
      onRefused: (error) => this.fault(error),
    });
    this.events.onProgress(null);
    for (const { gone, wire, head, deliveredTold } of await this.account.store.conversations()) {
      if (!gone && head && head.seq > deliveredTold) this.receiptsSoon(wire.id);
    }
    await this.renewLater();
  }

  private async renewLater(): Promise<void> {
    for (const id of await allDue(this.account)) {
      if (this.renewals.has(id)) continue;
      const cancel = this.account.clock.after(renewDelayMs(randomUnit()), () => {
        this.renewals.delete(id);
        renewIfDue(this.account, id).catch((error: unknown) => this.fault(error));
      });
      this.renewals.set(id, cancel);
    }
  }

  private async receiveOrClose(text: string): Promise<void> {
    await this.guarded(() => this.receive(fromJson(text, frame)));
  }

  private async receive({ events, conversations, typing, friends, resync: isResync }: Frame): Promise<void> {
    if (typing.length > 0) this.account.tell({ typing });
    if (isResync) {
      await this.compare();
      return;
    }
    if (friends.length > 0) await comparePeople(this.account);
    const groups = byConversation(events);
    for (const id of new Set([...groups.keys(), ...conversations])) {
      this.took(id, await this.one(id, () => arrive(this.account, id, groups.get(id) ?? [])));
    }
  }

  private async one(id: ConversationId, task: () => Promise<WireMessage[]>): Promise<WireMessage[]> {
    try {
      return await task();
    } catch (error) {
      // Cleared or left a moment ago: the list says how it stands.
      if (!(error instanceof Refused) || isPassing(error) || isBarred(error)) throw error;
      await this.compare();
      const record = await this.account.store.conversation(id);
      return record && !record.gone ? catchUp(this.account, id) : [];
    }
  }

  private took(id: ConversationId, fresh: WireMessage[]): void {
    if (fresh.length === 0) return;
    this.receiptsSoon(id);
    this.events.onFresh(id, fresh);
  }

  private receiptsSoon(id: ConversationId): void {
    this.receipts.get(id)?.();
    const cancel = this.account.clock.after(RECEIPTS_MS, () => {
      this.receipts.delete(id);
      // What fails is told after the next connection: the numbers are in the store.
      tellReceipts(this.account, id).catch((error: unknown) => this.fault(error));
    });
    this.receipts.set(id, cancel);
  }

  private barred(): void {
    this.dispatch({ kind: "barred" });
    this.events.onBarred();
  }

  private fault(error: unknown): void {
    if (error instanceof LostLead || isPassing(error)) return;
    this.events.onFault(error);
  }
}
