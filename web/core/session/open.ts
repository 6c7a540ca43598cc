// A session that is open in this tab: it shows what the store has, and leads when no other tab does.

import type { News } from "../api.ts";
import { randomUnit } from "../crypto/bytes.ts";
import type { ConversationId, MessageId, UserId } from "../model/ids.ts";
import type { Connection, Upload } from "../model/view.ts";
import type { Ports } from "../ports.ts";
import { newsOf } from "../show/news.ts";
import { AccountShown } from "../show/shown.ts";
import type { Shown } from "../show/state.ts";
import type { SessionRecord } from "../store/records.ts";
import { Store } from "../store/store.ts";
import type { Account, Hint } from "../sync/account.ts";
import { type Ask, type Post, readPost } from "../sync/ask.ts";
import { Cipher } from "../sync/cipher.ts";
import { type ConnectionState, delayMs } from "../sync/connection.ts";
import type { Engine } from "../sync/engine.ts";
import { faultsTo } from "../sync/fault.ts";
import { Serial } from "../sync/serial.ts";
import type { WireMessage } from "../wire/conversation.ts";
import { groupInvitations } from "../wire/group.ts";
import { callerOf } from "./record.ts";

/** How long a tab waits for the one that leads to do what it was asked. */
const ANSWER_MS = 5000;

/** What a session tells. */
export interface SessionEvents {
  onNews: (news: News) => void;
  /** Signed out in another tab (null), from another device, or by the server. */
  onEnded: (why: "signedOut" | "disabled" | null) => Promise<void>;
}

function shownAs(state: ConnectionState): Connection {
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
    case "barred":
      return { kind: "connecting" };
  }
}

/** One tab's part of a session. */
export class OpenSession {
  readonly account: Account;
  /** This session's own: when it ends, nothing is written by way of it any more. */
  private readonly store: Store;
  readonly shown: AccountShown;
  private engine: Engine | null = null;
  private readonly endings: (() => void)[] = [];
  private readonly waiting = new Set<() => void>();
  private readonly fault: (error: unknown) => void;

  constructor(
    private readonly ports: Ports,
    session: SessionRecord,
    private readonly out: Shown,
    private readonly events: SessionEvents,
  ) {
    this.fault = faultsTo(ports.onFault);
    const store = new Store(ports.backend);
    this.store = store;
    const cipher = new Cipher(store, session);
    const caller = callerOf(ports, session);
    const tell = (hint: Hint): void => this.tell(hint);
    const progress = (message: MessageId, upload: Upload | null): void => {
      this.uploaded(message, upload);
      this.post({ post: "upload", message, upload });
    };
    const arriving: Account["arriving"] = (record, rows, after) => {
      this.shown.arriving(record, rows, after).catch(this.fault);
    };
    const arrived = (id: ConversationId, rows: readonly WireMessage[]): void => {
      this.lookInto(id, rows).catch(this.fault);
    };
    this.account = { session, store, caller, cipher, clock: ports.clock, serial: ports.exclusive, sent: new Map(), saying: new Serial(), direct: null, uploading: new Map(), progress, tell, arriving, arrived };
    this.shown = new AccountShown(this.account, out);
  }

  /** Shows what is here, then leads or follows. */
  async start(): Promise<void> {
    await this.shown.start();
    this.endings.push(
      this.ports.channel.listen((message) => this.heard(readPost(message))),
      this.ports.onHint(() => this.askFor({ kind: "wake" })),
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
    this.shown.stop();
    this.store.end();
    return Promise.resolve();
  }

  /** Asks the tab that leads. In another tab it resolves when something has changed, or after a while. */
  ask = async (ask: Ask): Promise<void> => {
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

  /** The same, where nobody waits for it. */
  askFor(ask: Ask): void {
    this.ask(ask).catch(this.fault);
  }

  /** Says that a message was looked at, and those before it. */
  seenUpTo(id: ConversationId, message: MessageId): void {
    const ask = async (): Promise<void> => {
      const seq = await this.store.seqOf(id, message);
      if (seq !== undefined) await this.ask({ kind: "seen", id, seq });
    };
    ask().catch(this.fault);
  }

  private async lead(ended: AbortSignal): Promise<void> {
    if (ended.aborted) return;
    const inside = await import("./inside.ts").catch(() => null);
    // The server has the files of another version by now.
    if (!inside) return this.outdated();
    if (ended.aborted) return;
    await this.takeTerm(ended);
    // The session may have ended meanwhile: what began now would go on for ever.
    if (ended.aborted) return;
    const engine = new inside.Engine(this.account, this.ports.openSocket, {
      onConnection: (state) => {
        this.connection(state);
        if (state.kind !== "live") return;
        inside.takeAllShared(this.account).catch(this.fault);
      },
      onProgress: (firstSync) => this.out.set({ firstSync }),
      onFresh: (id, fresh) => { this.fresh(id, fresh).catch(this.fault); },
      onBarred: (why) => { this.barred(why, engine).catch(this.fault); },
      onFault: this.fault,
    });
    this.engine = engine;
    engine.start();
    inside.sweepFiles(this.account).catch(this.fault);
    const endExpiry = inside.followExpiry(this.account, this.fault);
    await new Promise<void>((resolve) => ended.addEventListener("abort", () => resolve(), { once: true }));
    endExpiry();
    engine.stop();
    this.engine = null;
    this.store.term = undefined;
  }

  // As while the disk is full: as long as this tab has the lead, no other one can take it.
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

  /** Takes over what another tab has written of the session, as new keys. */
  private async readSession(): Promise<void> {
    const { session, serial } = this.account;
    const stored = await serial.run(() => this.store.session());
    if (stored?.station === session.station) Object.assign(session, stored);
  }

  // New keys may have taken the place of those that the refused request was signed with.
  private async barred(why: "signedOut" | "disabled", engine: Engine): Promise<void> {
    await this.readSession();
    const isIn = await groupInvitations(this.account.caller).then(() => true, () => false);
    if (isIn) await engine.answer({ kind: "useHere" });
    else await this.events.onEnded(why);
  }

  private async lookInto(id: ConversationId, rows: readonly WireMessage[]): Promise<void> {
    if (!rows.some(({ Type }) => Type === "Update")) return;
    const { invitations, takeShared } = await import("./inside.ts");
    await this.shown.looked();
    await invitations.checkProofs(this.account, id, rows);
    await takeShared(this.account, id);
  }

  private async checkProofsAgain(): Promise<void> {
    const { invitations } = await import("./inside.ts");
    await invitations.checkProofsAgain(this.account);
  }

  private connection(state: ConnectionState): void {
    const minutes = Math.round(this.account.caller.clockOffset / 60_000);
    this.out.set({ connection: shownAs(state), clockOff: minutes });
    this.post({ post: "connection", state });
  }

  private outdated(): void {
    void this.stop();
    this.out.set({ connection: { kind: "outdated" } });
  }

  private tell(hint: Hint): void {
    this.noticed(hint);
    this.post({ post: "hint", hint });
  }

  private noticed(hint: Hint): void {
    if (hint.restored) this.account.cipher.forgetAll();
    else if (hint.list) this.account.cipher.forgetPeople();
    if (hint.files?.length) this.out.set({ forgotten: new Set([...this.out.state.forgotten, ...hint.files]) });
    this.shown.noticed(hint).catch(this.fault);
    this.engine?.noticed(hint);
    if (this.engine && hint.list) this.checkProofsAgain().catch(this.fault);
  }

  private uploaded(message: MessageId, upload: Upload | null): void {
    const uploads = new Map(this.out.state.uploads);
    if (upload) uploads.set(message, upload);
    else uploads.delete(message);
    this.out.set({ uploads });
  }

  private post(post: Post): void {
    this.ports.channel.post(post);
  }

  private heard(post: Post | null): void {
    switch (post?.post) {
      case undefined:
        return;
      case "hint":
        if (post.hint.session) this.events.onEnded(null).catch(this.fault);
        if (post.hint.keys || post.hint.restored) this.readSession().catch(this.fault);
        this.noticed(post.hint);
        for (const end of [...this.waiting]) end();
        return;
      case "upload":
        this.uploaded(post.message, post.upload);
        return;
      case "ask":
        this.engine?.answer(post.ask).catch(this.fault);
        return;
      case "connection":
        if (!this.engine) this.out.set({ connection: shownAs(post.state) });
    }
  }

  private async fresh(id: ConversationId, fresh: readonly WireMessage[]): Promise<void> {
    for (const { User } of fresh) this.shown.wrote(id, User);
    await this.shown.looked();
    const called = { where: this.shown.conversationName(id), nameOf: (user: UserId) => this.shown.nameOf(user) };
    for (const news of await newsOf(this.account, id, fresh, called)) this.events.onNews(news);
  }
}
