// The engine of the leading tab: it holds the socket, processes its events, resyncs, and runs the sender.

import { randomUnit } from "../crypto/bytes.ts";
import { groupBy } from "../model/group-by.ts";
import type { ConversationId } from "../model/ids.ts";
import { discard, retry } from "../outbox/settle.ts";
import { Sender } from "../outbox/sender.ts";
import type { OpenSocket, Socket } from "../ports.ts";
import { LostLead } from "../store/backend.ts";
import type { WireMessage } from "../wire/conversation.ts";
import { fromJson } from "../wire/decode.ts";
import { groupInvitations } from "../wire/group.ts";
import { type Frame, frame, pingFrame, mergeFrames, typingFrame } from "../wire/notification.ts";
import { isUnauthorized, isPassing, isUnknownCall, Refused } from "../wire/refusal.ts";
import type { Account, Hint } from "./account.ts";
import { arrive } from "./arrive.ts";
import type { LeaderRequest } from "./tab-messages.ts";
import { isDisabled, whyUnauthorized } from "./unauthorized.ts";
import { type ConnectionEvent, type ConnectionState, step } from "./connection.ts";
import { NotInRosterYet } from "./epochs.ts";
import { takeErased } from "./erase.ts";
import { catchUp, fetchOlder } from "./fill.ts";
import { markSeen } from "./inbox.ts";
import { comparePeople, resync } from "./list.ts";
import { Gathered } from "./gathered.ts";
import { Serial } from "./serial.ts";
import { Silence } from "./silence.ts";
import { compareStations } from "./stations.ts";
import { Maintenance } from "./maintenance.ts";

/** Events of the engine. */
export interface EngineEvents {
  onConnection: (state: ConnectionState) => void;
  onProgress: (progress: { done: number; all: number } | null) => void;
  onIncoming: (id: ConversationId, fresh: WireMessage[]) => void;
  /** This station is not authorized any more: it was signed out, or the account is disabled or deleted. */
  onUnauthorized: (why: "signedOut" | "disabled") => void;
  onFault: (error: unknown) => void;
}

/** Runs while this tab leads. */
export class Engine {
  state: ConnectionState = { kind: "idle" };
  private readonly frames = new Serial();
  private readonly received: Gathered<string>;
  private readonly sender: Sender;
  private readonly maintenance: Maintenance;
  private socket: Socket | null = null;
  private cancelTimer = (): void => undefined;
  private readonly silence: Silence;

  constructor(
    private readonly account: Account,
    private readonly openSocket: OpenSocket,
    private readonly events: EngineEvents,
  ) {
    const ping = (): void => {
      if (this.state.kind === "live") this.socket?.send(pingFrame);
    };
    this.silence = new Silence(account.clock, ping, () => this.closed(1006));
    this.received = new Gathered(account.clock, this.frames, (texts) => this.receiveOrClose(texts));
    this.maintenance = new Maintenance(account, (error) => this.fault(error));
    this.sender = new Sender(account, {
      onUnauthorized: () => this.unauthorized(),
      onFault: (error) => this.fault(error),
      onStale: () => this.frames.run(() => this.compare()),
    });
  }

  /** Begins. */
  start(): void {
    this.dispatch({ kind: "start" });
    this.wakeSender();
    this.account.sendDirectly = (record, content, also) => this.sender.sendDirectly(record, content, also);
  }

  /** Ends: no timer, no socket is left. */
  stop(): void {
    this.account.sendDirectly = null;
    this.sender.stop();
    this.maintenance.stop();
    this.received.stop();
    this.dispatch({ kind: "stop" });
  }

  /** Something changed in the store, in this tab or another. */
  onHint(hint: Hint): void {
    if (hint.list) this.maintenance.peopleChanged();
    this.sender.onHint(hint);
  }

  /** Does what a tab asks for. */
  async answer(ask: LeaderRequest): Promise<void> {
    switch (ask.kind) {
      case "older":
        await fetchOlder(this.account, ask.id);
        return;
      case "seen":
        await this.account.serial.run(() => markSeen(this.account, ask.id, ask.seq));
        this.maintenance.receiptsSoon(ask.id);
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
        if (this.state.kind === "live") this.silence.hint();
        else this.dispatch({ kind: "wake" });
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
        this.drop();
        void this.connect();
        return;
      case "catchingUp":
        void this.frames.run(() => this.catchUpAll());
        return;
      case "live":
        this.wakeSender();
        return;
      case "waiting":
        this.drop();
        this.cancelTimer = this.account.clock.after(Math.max(0, state.until - this.account.clock.now()), () => this.dispatch({ kind: "due" }));
        return;
      default:
        this.drop();
    }
  }

  private wakeSender(): void {
    this.sender.wake(true).catch((error: unknown) => this.fault(error));
  }

  private drop(): void {
    this.silence.stop();
    const { socket } = this;
    this.socket = null;
    socket?.close();
  }

  private closed(found: number): void {
    // Servers with a code of their own for "replaced" use 1008 for other reasons.
    const code = found === 1008 && this.account.session.server !== "" ? 1006 : found;
    this.dispatch({ kind: "closed", code, now: this.account.clock.now(), random: randomUnit() });
    // The close code says only that the station is not authorized any more; a request is answered with the reason.
    if (this.state.kind === "unauthorized") void whyUnauthorized(this.account.caller).then((why) => this.events.onUnauthorized(why));
  }

  private async connect(): Promise<void> {
    try {
      // A browser does not disclose why a socket was refused. A request does, and its answer corrects the clock.
      if (this.state.kind === "connecting" && this.state.tries > 0) await groupInvitations(this.account.caller);
      // Servers that have disclosed their id accept the signature outside of the URL.
      const { path, protocols } = await this.account.caller.handshake(this.account.session.server !== "");
      if (this.state.kind !== "connecting") return;
      this.open(path, protocols);
    } catch (error) {
      if (isUnauthorized(error)) this.unauthorized();
      else if (isDisabled(error)) this.unauthorized("disabled");
      else this.closed(1006);
    }
  }

  private open(path: string, protocols: readonly string[]): void {
    // Ignores events of a previous socket.
    const mine = (then: () => void): void => {
      if (this.socket === socket) then();
    };
    const listener = {
      onOpen: () => mine(() => this.dispatch({ kind: "opened" })),
      onFrame: (text: string) =>
        mine(() => {
          this.silence.heard();
          this.received.add(text);
        }),
      onClose: (code: number) => mine(() => this.closed(code)),
    };
    const socket = this.openSocket(path, listener, protocols);
    this.socket = socket;
    this.silence.heard();
  }

  // Nothing is lost when this fails: the next connection resyncs.
  private async guarded(task: () => Promise<void>): Promise<boolean> {
    try {
      await task();
      return true;
    } catch (error) {
      if (error instanceof LostLead) return false;
      if (isUnauthorized(error)) this.unauthorized();
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
      onIncoming: (id, fresh) => this.onReceived(id, fresh),
      onRefused: (error) => this.fault(error),
    });
    this.events.onProgress(null);
    await compareStations(this.account);
    await this.maintenance.compared();
  }

  private receiveOrClose(texts: readonly string[]): Promise<boolean> {
    return this.guarded(() => this.receive(mergeFrames(texts.map((text) => fromJson(text, frame)))));
  }

  private async receive({ events, conversations, typing, friends, erased, stations, resync: isResync }: Frame): Promise<void> {
    if (typing.length > 0) this.account.notify({ typing });
    if (isResync) {
      await this.compare();
      await takeErased(this.account, erased);
      return;
    }
    if (stations.length > 0) await compareStations(this.account);
    if (friends.length > 0) await comparePeople(this.account);
    const groups = groupBy(events, ({ conversationid }) => conversationid);
    for (const id of new Set([...groups.keys(), ...conversations])) {
      this.onReceived(id, await this.one(id, () => arrive(this.account, id, groups.get(id) ?? [])));
    }
    // Last, as it may concern the events above.
    await takeErased(this.account, erased);
  }

  private async one(id: ConversationId, task: () => Promise<WireMessage[]>): Promise<WireMessage[]> {
    try {
      return await task();
    } catch (error) {
      // It was cleared or left a moment ago: the resync finds out.
      if (!(error instanceof Refused) || isPassing(error) || isUnauthorized(error)) throw error;
      await this.compare();
      const record = await this.account.store.conversation(id);
      return record && !record.gone ? catchUp(this.account, id) : [];
    }
  }

  private onReceived(id: ConversationId, fresh: WireMessage[]): void {
    if (fresh.length === 0) return;
    this.maintenance.receiptsSoon(id);
    this.events.onIncoming(id, fresh);
  }

  private unauthorized(why: "signedOut" | "disabled" = "signedOut"): void {
    this.dispatch({ kind: "unauthorized" });
    this.events.onUnauthorized(why);
  }

  private fault(error: unknown): void {
    if (error instanceof LostLead || error instanceof NotInRosterYet || isPassing(error) || isUnknownCall(error)) return;
    // `onUnauthorized` reports that.
    if (this.state.kind === "unauthorized" || isUnauthorized(error)) return;
    this.events.onFault(error);
  }
}
