// Makes a client from the ports: opens the session, and implements the calls.

import type { Open } from "./actions/context.ts";
import * as messages from "./actions/messages.ts";
import { attempt, withTimeout, failed, notOffered, ok } from "./actions/outcome.ts";
import type { Client, IncomingMessage } from "./api.ts";
import { conversationCalls, loadActions } from "./calls.ts";
import type { KeptDraft } from "./model/draft.ts";
import { type ConversationId, conversationId, messageId, userId } from "./model/ids.ts";
import type { Invitation, Me, Outcome } from "./model/view.ts";
import type { Ports } from "./ports.ts";
import type { LoggedIn } from "./session/login-context.ts";
import { OpenSession } from "./session/open.ts";
import { fingerprintOf, suggestPassword } from "./session/record.ts";
import { StateStore } from "./show/state.ts";
import type { PersonRecord, SessionRecord } from "./store/records.ts";
import { change, Store } from "./store/store.ts";
import { newPerson } from "./sync/people.ts";

/** Minimum interval between two typing notices. */
const TYPING_MS = 2000;

/** Why the password is required. */
const loadKeyActions = (): Promise<typeof import("./actions/keys.ts")> => import("./actions/keys.ts");

class PortsClient {
  readonly stateStore = new StateStore();
  readonly messageListeners = new Set<(message: IncomingMessage) => void>();
  private readonly store: Store;
  private open: OpenSession | null = null;
  /** A new account whose recovery sheet was not kept yet. */
  private pending: { login: LoggedIn; invitation: Invitation | null } | null = null;
  private fingerprint = "";
  private typedAt = 0;

  constructor(private readonly ports: Ports) {
    this.store = new Store(ports.backend);
  }

  /** Opens the stored session, if there is one. */
  async resume(): Promise<void> {
    const session = await this.store.session();
    if (session) await this.begin(session);
    else this.stateStore.reset({ kind: "out", why: null });
  }

  private async begin(session: SessionRecord): Promise<void> {
    this.fingerprint = await fingerprintOf(session);
    this.open = new OpenSession(this.ports, session, this.stateStore, {
      onMessage: (message) => {
        for (const listener of [...this.messageListeners]) listener(message);
      },
      onEnded: (why) => this.end(why),
    });
    this.showMe(session);
    await this.open.start();
  }

  private showMe({ user, name, email, hasSheet, fileLimit = null }: SessionRecord): void {
    const me: Me = { id: user, name, email, hasSheet, fileLimit };
    this.stateStore.set({ session: { kind: "in", me } });
  }

  private async end(why: "signedOut" | "disabled" | null): Promise<void> {
    const { open } = this;
    if (!open) return;
    this.open = null;
    await open.stop();
    try {
      const now = await this.store.session();
      // The user may have logged in again in another tab.
      if (!now || now.station === open.account.session.station) await this.store.forgetAll();
    } finally {
      this.stateStore.reset({ kind: "out", why });
      this.ports.channel.post({ post: "hint", hint: { session: true } });
    }
  }

  /** Begins a session; `pinned` is known besides what the vault says. */
  private async keep({ session, contents }: LoggedIn, pinned: readonly PersonRecord[] = []): Promise<void> {
    await this.store.forgetAll();
    const people = Object.entries(contents?.pins ?? {}).map(([id, pin]) => ({ ...newPerson(userId(id)), pin, trust: pin[2] }));
    await this.store.writeOwn(
      change.session(session),
      ...[...people, ...pinned].map(change.person),
      { put: "meta", key: "heads", value: contents?.heads ?? {} },
    );
    await this.begin(session);
  }

  /** The session; throws if nobody is logged in. */
  session(): Open {
    if (!this.open) throw new Error("nobody is logged in");
    return this.open;
  }

  async close(): Promise<void> {
    await this.open?.stop();
    this.open = null;
    this.ports.backend.close();
  }

  logIn(email: string, password: string, isRestored = false): Promise<Outcome> {
    return attempt(async () => {
      const { logIn } = await import("./session/log-in.ts");
      await this.keep(await logIn(this.ports, this.store, email, password, isRestored));
      return null;
    });
  }

  createAccount(of: { invitation: Invitation; email: string; name: string; password: string }): Promise<Outcome<string>> {
    const { invitation, ...registration } = of;
    return attempt(async () => {
      const { createAccount } = await import("./session/create.ts");
      const { recovery, ...login } = await createAccount(this.ports, this.store, { ...registration, code: invitation.code });
      this.pending = { login, invitation };
      return recovery;
    });
  }

  async recover(email: string, key: string, password: string): Promise<Outcome<string>> {
    const outcome = await attempt(async () => {
      const { recover } = await import("./session/recover.ts");
      return recover(this.ports, this.store, { email, key, password });
    });
    if (!outcome.ok) return outcome.failure.kind === "login" ? failed({ kind: "recoveryKey" }) : outcome;
    if (typeof outcome.value === "string") return outcome.value === "noKey" ? failed({ kind: "recoveryKey" }) : notOffered;
    const { recovery, ...login } = outcome.value;
    this.pending = { login, invitation: null };
    return ok(recovery);
  }

  async enter(sheetKept: boolean): Promise<ConversationId | null> {
    if (!this.pending) return null;
    const { login, invitation } = this.pending;
    const session = { ...login.session, hasSheet: sheetKept && login.session.hasSheet };
    // The link came by another way than the server's: the inviter's key is the one that it names.
    const { befriend, invitations } = await loadActions();
    const pinned = invitation?.from && invitation.card ? [invitations.pinnedBy(invitation)] : [];
    await this.keep({ ...login, session }, pinned);
    // Not before: where there was no room, the person tries again.
    this.pending = null;
    if (!invitation?.from) return null;
    const conversation = await befriend(this.session(), invitation);
    return conversation.ok ? conversation.value : null;
  }

  async logOut(): Promise<void> {
    if (!this.open) return;
    const { account } = this.open;
    const { clock } = this.ports;
    // What was verified a moment ago must not be lost.
    await withTimeout(clock, async () => (await loadActions()).keepVault(account));
    // Everything is deleted here, whatever the server answers.
    await withTimeout(clock, async () => (await loadActions()).endStation(account.caller, { stationid: account.session.station }));
    await this.end(null);
  }

  async loadOlder(id: string): Promise<void> {
    const open = this.session();
    const { log } = open.view;
    if (log.id !== conversationId(id) || (await log.more())) return;
    await open.ask({ kind: "older", id: conversationId(id) });
    await log.more();
  }

  async reveal(id: string, message: string): Promise<boolean> {
    const { account, view, ask } = this.session();
    const [conversation, wanted] = [conversationId(id), messageId(message)];
    for (let pages = 0; pages < 100; pages++) {
      const seq = await account.store.seqOf(conversation, wanted);
      if (seq !== undefined) {
        if (view.log.id !== conversation) await view.log.open(conversation);
        await view.log.reach(seq);
        return true;
      }
      if ((await account.store.conversation(conversation))?.complete !== false) return false;
      await ask({ kind: "older", id: conversation });
    }
    return false;
  }

  // A screen that is being closed may still call, after the session has ended.
  closeLog(id: string): void {
    if (this.open?.view.log.id === conversationId(id)) this.open.view.log.close();
  }

  async prepareDraft(id: string, draft: KeptDraft): Promise<() => Promise<void>> {
    return this.open ? messages.prepareDraft(this.open, conversationId(id), draft) : () => Promise.resolve();
  }

  seenUpTo(id: string, message: string, isAtEnd = false): void {
    const { log } = this.open?.view ?? {};
    if (log?.id === conversationId(id)) log.isAtEnd = isAtEnd;
    this.open?.seenUpTo(conversationId(id), messageId(message));
  }

  typing(id: string): void {
    const now = this.ports.clock.now();
    if (!this.open || now - this.typedAt < TYPING_MS) return;
    this.typedAt = now;
    this.open.askInBackground({ kind: "typing", id: conversationId(id) });
  }

  async setName(name: string): Promise<Outcome> {
    const outcome = await (await loadActions()).own.setName(this.session(), name);
    if (outcome.ok) this.showMe({ ...this.session().account.session, name });
    return outcome;
  }

  async newSheet(password: string): Promise<Outcome<string>> {
    const outcome = await (await loadKeyActions()).newSheet(this.session(), password);
    if (outcome.ok) this.showMe(this.session().account.session);
    return outcome;
  }

  async newKeys(password: string): Promise<Outcome> {
    const outcome = await (await loadKeyActions()).newKeys(this.session(), password);
    if (outcome.ok) this.fingerprint = await fingerprintOf(this.session().account.session);
    return outcome;
  }

  async deleteAccount(word: string): Promise<Outcome> {
    const outcome = await (await loadKeyActions()).deleteAccount(this.session(), word);
    if (outcome.ok) await this.end(null);
    return outcome;
  }

  /** The client, as others see it. */
  client(): Client {
    const session = (): Open => this.session();
    const { stateStore } = this;
    return {
      ...this.clientOfAccount(session),
      ...conversationCalls(session, this),
      // Last, and here: a getter that is spread is read once.
      get state() {
        return stateStore.state;
      },
    };
  }

  private clientOfAccount(session: () => Open): Omit<Client, "state" | keyof ReturnType<typeof conversationCalls>> {
    const { stateStore, messageListeners } = this;
    return {
      subscribe: (listener) => stateStore.subscribe(listener),
      onMessage: (listener) => {
        messageListeners.add(listener);
        return () => messageListeners.delete(listener);
      },
      close: () => this.close(),
      suggestPassword,
      logIn: (email, password, isRestored) => this.logIn(email, password, isRestored),
      createAccount: (of) => this.createAccount(of),
      recover: (email, key, password) => this.recover(email, key, password),
      enter: (sheetKept) => this.enter(sheetKept),
      logOut: () => this.logOut(),
      devices: async () => (await loadActions()).own.devices(session()),
      signOut: async (device) => (await loadActions()).own.signOut(session(), device),
      signOutOthers: async () => (await loadActions()).own.signOutOthers(session()),
      knowDevice: async (device) => (await loadActions()).knowStation(session().account, device),
      setName: (name) => this.setName(name),
      setPresence: async (presence) => (await loadActions()).setPresence(session(), presence),
      changePassword: async (present, next, othersOut) => (await loadKeyActions()).changePassword(session(), present, next, othersOut),
      newSheet: (password) => this.newSheet(password),
      newKeys: (password) => this.newKeys(password),
      acceptRestored: async () => (await loadKeyActions()).acceptRestored(session()),
      exportData: async () => (await loadActions()).own.exportData(session()),
      deleteAccount: (password) => this.deleteAccount(password),
      pushStatus: async () => (await loadActions()).push.pushStatus(session()),
      enablePush: async (endpoint) => (await loadActions()).push.enablePush(session(), endpoint),
      disablePush: async () => (await loadActions()).push.disablePush(session()),
      setPushSettings: async (settings) => (await loadActions()).push.setPushSettings(session(), settings),
      fingerprint: () => this.fingerprint,
      connectNow: () => this.open?.askInBackground({ kind: "wake" }),
      useHere: () => this.open?.askInBackground({ kind: "useHere" }),
      invite: async () => (await loadActions()).invitations.invite(session()),
      invitations: async () => (await loadActions()).invitations.invitations(session()),
      withdraw: async (code) => (await loadActions()).invitations.withdraw(session(), code),
    };
  }
}

/** Starts a client; it opens the session that lies in the store, if there is one. */
export async function startClient(ports: Ports): Promise<Client> {
  const client = new PortsClient(ports);
  await client.resume();
  return client.client();
}
