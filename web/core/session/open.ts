// A session that is open in this tab: it shows what is in the store, and leads when no other tab does.

import type { IncomingMessage } from "../api.ts";
import { randomUnit } from "../crypto/bytes.ts";
import type { ConversationId, MessageId, UserId } from "../model/ids.ts";
import type { Connection, Upload } from "../model/view.ts";
import type { Ports } from "../ports.ts";
import { incomingOf } from "../show/incoming.ts";
import { AccountView } from "../show/account-view.ts";
import type { StateStore } from "../show/state.ts";
import type { SessionRecord } from "../store/records.ts";
import { Store } from "../store/store.ts";
import type { Account, Hint } from "../sync/account.ts";
import { type LeaderRequest, type TabMessage, readTabMessage } from "../sync/tab-messages.ts";
import { Cipher } from "../sync/cipher.ts";
import { type ConnectionState, delayMs } from "../sync/connection.ts";
import type { Engine } from "../sync/engine.ts";
import { faultsTo } from "../sync/fault.ts";
import { Serial } from "../sync/serial.ts";
import type { WireMessage } from "../wire/conversation.ts";
import { groupInvitations } from "../wire/group.ts";
import { callerOf } from "./record.ts";

/** How long a tab waits for the leading tab to handle a request. */
const ANSWER_MS = 5000;

/** Events of a session. */
export interface SessionEvents {
  onMessage: (message: IncomingMessage) => void;
  /** The session has ended: in another tab (null), from another device, or by the server. */
  onEnded: (why: "signedOut" | "disabled" | null) => Promise<void>;
}

function connectionOf(state: ConnectionState): Connection {
  switch (state.kind) {
    case "live":
      return { kind: "live" };
    case "waiting":
      return { kind: "waiting", until: state.until };
    case "replaced":
      return { kind: "elsewhere" };
    case "outdated":
      return { kind: "outdated" };
    case "idle":
    case "connecting":
    case "catchingUp":
    case "unauthorized":
      return { kind: "connecting" };
  }
}

/** One tab's part of a session. */
export class OpenSession {
  readonly account: Account;
  /** The session's own store: it refuses writes after the session has ended. */
  private readonly store: Store;
  readonly view: AccountView;
  private engine: Engine | null = null;
  private readonly endings: (() => void)[] = [];
  private readonly waiting = new Set<() => void>();
  private readonly fault: (error: unknown) => void;

  constructor(
    private readonly ports: Ports,
    session: SessionRecord,
    private readonly out: StateStore,
    private readonly events: SessionEvents,
  ) {
    this.fault = faultsTo(ports.onFault);
    const store = new Store(ports.backend);
    this.store = store;
    const cipher = new Cipher(store, session);
    const caller = callerOf(ports, session);
    const notify = (hint: Hint): void => this.notify(hint);
    const progress = (message: MessageId, upload: Upload | null): void => {
      this.uploaded(message, upload);
      this.post({ post: "upload", message, upload });
    };
    const arriving: Account["arriving"] = (record, rows, after) => {
      this.view.arriving(record, rows, after).catch(this.fault);
    };
    const arrived = (id: ConversationId, rows: readonly WireMessage[]): void => {
      this.processUpdates(id, rows).catch(this.fault);
    };
    this.account = { session, store, caller, cipher, clock: ports.clock, serial: ports.exclusive, sent: new Map(), submitting: new Serial(), sendDirectly: null, uploading: new Map(), progress, notify, arriving, arrived };
    this.view = new AccountView(this.account, out);
  }

  /** Shows what is stored, then leads or follows. */
  async start(): Promise<void> {
    await this.view.start();
    this.endings.push(
      this.ports.channel.listen((message) => this.onTabMessage(readTabMessage(message))),
      this.ports.onHint(() => this.askInBackground({ kind: "wake" })),
      this.ports.onOutdated(() => this.outdated()),
      this.ports.lead((ended) => this.lead(ended).catch(this.fault)),
    );
    this.post({ post: "ask", ask: { kind: "state" } });
  }

  /** Ends this tab's part. */
  stop(): Promise<void> {
    for (const end of this.endings.splice(0)) end();
    this.engine?.stop();
    this.engine = null;
    this.view.stop();
    this.store.end();
    return Promise.resolve();
  }

  /** Sends a request to the leading tab. If another tab leads, it resolves with the next hint, or after a while. */
  ask = async (ask: LeaderRequest): Promise<void> => {
    if (this.engine) return this.engine.answer(ask);
    this.post({ post: "ask", ask });
    if (ask.kind === "typing" || ask.kind === "state") return undefined;
    return new Promise((resolve) => {
      const end = (): void => {
        cancel();
        this.waiting.delete(end);
        resolve();
      };
      const cancel = this.ports.clock.after(ANSWER_MS, end);
      this.waiting.add(end);
    });
  };

  /** The same in the background; errors are reported as faults. */
  askInBackground(ask: LeaderRequest): void {
    this.ask(ask).catch(this.fault);
  }

  /** Marks a message, and those before it, as seen. */
  seenUpTo(id: ConversationId, message: MessageId): void {
    const ask = async (): Promise<void> => {
      const seq = await this.store.seqOf(id, message);
      if (seq !== undefined) await this.ask({ kind: "seen", id, seq });
    };
    ask().catch(this.fault);
  }

  private async lead(ended: AbortSignal): Promise<void> {
    if (ended.aborted) return;
    const actions = await import("./lazy-actions.ts").catch(() => null);
    // The chunk is gone: the server has another version by now.
    if (!actions) return this.outdated();
    if (ended.aborted) return;
    await this.takeTerm(ended);
    // The session may have ended meanwhile, and then nothing would ever stop the engine.
    if (ended.aborted) return;
    const engine = new actions.Engine(this.account, this.ports.openSocket, {
      onConnection: (state) => {
        this.connection(state);
        if (state.kind !== "live") return;
        actions.takeAllShared(this.account).catch(this.fault);
      },
      onProgress: (firstSync) => this.out.set({ firstSync }),
      onIncoming: (id, fresh) => { this.fresh(id, fresh).catch(this.fault); },
      onUnauthorized: (why) => { this.unauthorized(why, engine).catch(this.fault); },
      onFault: this.fault,
    });
    this.engine = engine;
    engine.start();
    actions.sweepFiles(this.account).catch(this.fault);
    const endExpiry = actions.followExpiry(this.account, this.fault);
    await new Promise<void>((resolve) => ended.addEventListener("abort", () => resolve(), { once: true }));
    endExpiry();
    engine.stop();
    this.engine = null;
    this.store.term = undefined;
  }

  // Retried, as it fails while the disk is full, and no other tab can lead as long as this one holds the lock.
  private async takeTerm(ended: AbortSignal): Promise<void> {
    for (let tries = 0; !ended.aborted; tries++) {
      try {
        await this.store.takeTerm();
        return;
      } catch (error) {
        this.fault(error);
        await this.pause(delayMs(tries, randomUnit()), ended);
      }
    }
  }

  private pause(ms: number, ended: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.ports.clock.after(ms, resolve);
      ended.addEventListener("abort", () => {
        cancel();
        resolve();
      });
    });
  }

  /** Reads what another tab has changed in the session, such as new keys. */
  private async readSession(): Promise<void> {
    const { session, serial } = this.account;
    const stored = await serial.run(() => this.store.session());
    if (stored?.station === session.station) Object.assign(session, stored);
  }

  // The request may have been refused because another tab has just replaced the keys.
  private async unauthorized(why: "signedOut" | "disabled", engine: Engine): Promise<void> {
    await this.readSession();
    const isIn = await groupInvitations(this.account.caller).then(() => true, () => false);
    if (isIn) await engine.answer({ kind: "useHere" });
    else await this.events.onEnded(why);
  }

  private async processUpdates(id: ConversationId, rows: readonly WireMessage[]): Promise<void> {
    if (!rows.some(({ Type }) => Type === "Update")) return;
    const { invitations, takeShared } = await import("./lazy-actions.ts");
    await this.view.settled();
    await invitations.checkProofs(this.account, id, rows);
    await takeShared(this.account, id);
  }

  private async checkProofsAgain(): Promise<void> {
    const { invitations } = await import("./lazy-actions.ts");
    await invitations.checkProofsAgain(this.account);
  }

  private connection(state: ConnectionState): void {
    const minutes = Math.round(this.account.caller.clockOffset / 60_000);
    this.out.set({ connection: connectionOf(state), clockOff: minutes });
    this.post({ post: "connection", state });
  }

  private outdated(): void {
    void this.stop();
    this.out.set({ connection: { kind: "outdated" } });
  }

  private notify(hint: Hint): void {
    this.onHint(hint);
    this.post({ post: "hint", hint });
  }

  private onHint(hint: Hint): void {
    if (hint.restored) this.account.cipher.forgetAll();
    else if (hint.list) this.account.cipher.forgetPeople();
    if (hint.files?.length) this.out.set({ forgotten: new Set([...this.out.state.forgotten, ...hint.files]) });
    this.view.onHint(hint).catch(this.fault);
    this.engine?.onHint(hint);
    if (this.engine && hint.list) this.checkProofsAgain().catch(this.fault);
  }

  private uploaded(message: MessageId, upload: Upload | null): void {
    const uploads = new Map(this.out.state.uploads);
    if (upload) uploads.set(message, upload);
    else uploads.delete(message);
    this.out.set({ uploads });
  }

  private post(post: TabMessage): void {
    this.ports.channel.post(post);
  }

  private onTabMessage(post: TabMessage | null): void {
    switch (post?.post) {
      case undefined:
        return;
      case "hint":
        if (post.hint.session) this.events.onEnded(null).catch(this.fault);
        if (post.hint.keys || post.hint.restored) this.readSession().catch(this.fault);
        this.onHint(post.hint);
        for (const end of [...this.waiting]) end();
        return;
      case "upload":
        this.uploaded(post.message, post.upload);
        return;
      case "ask":
        this.engine?.answer(post.ask).catch(this.fault);
        return;
      case "connection":
        if (!this.engine) this.out.set({ connection: connectionOf(post.state) });
    }
  }

  private async fresh(id: ConversationId, fresh: readonly WireMessage[]): Promise<void> {
    for (const { User } of fresh) this.view.stoppedTyping(id, User);
    await this.view.settled();
    const displayNames = { where: this.view.conversationName(id), nameOf: (user: UserId) => this.view.nameOf(user) };
    for (const message of await incomingOf(this.account, id, fresh, displayNames)) this.events.onMessage(message);
  }
}
