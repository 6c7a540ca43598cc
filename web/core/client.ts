// Makes a client of the ports: which session there is, and what each of its calls does.

import type { Open } from "./actions/context.ts";
import * as messages from "./actions/messages.ts";
import { attempt, briefly, failed, notOffered, ok } from "./actions/outcome.ts";
import type { Client, News } from "./api.ts";
import { conversationCalls, inside } from "./calls.ts";
import type { KeptDraft } from "./model/draft.ts";
import { type ConversationId, conversationId, messageId, userId } from "./model/ids.ts";
import type { Invitation, Me, Outcome } from "./model/view.ts";
import type { Ports } from "./ports.ts";
import type { Entered } from "./session/door.ts";
import { OpenSession } from "./session/open.ts";
import { fingerprintOf, suggestPassword } from "./session/record.ts";
import { Shown } from "./show/state.ts";
import type { PersonRecord, SessionRecord } from "./store/records.ts";
import { change, Store } from "./store/store.ts";
import { stranger } from "./sync/people.ts";
import { signOut } from "./wire/login.ts";

/** Shown as typing at most so often. */
const TYPING_MS = 2000;

/** What the password is asked for. */
const later = (): Promise<typeof import("./actions/keys.ts")> => import("./actions/keys.ts");

class ClientOfPorts {
  readonly shown = new Shown();
  readonly news = new Set<(news: News) => void>();
  private readonly store: Store;
  private open: OpenSession | null = null;
  /** An account that was made and waits for its sheet to be kept. */
  private made: { entered: Entered; invitation: Invitation | null } | null = null;
  private fingerprint = "";
  private typedAt = 0;

  constructor(private readonly ports: Ports) {
    this.store = new Store(ports.backend);
  }

  /** Opens the session that lies here, if there is one. */
  async resume(): Promise<void> {
    const session = await this.store.session();
    if (session) await this.begin(session);
    else this.shown.reset({ kind: "out", why: null });
  }

  private async begin(session: SessionRecord): Promise<void> {
    this.fingerprint = await fingerprintOf(session);
    this.open = new OpenSession(this.ports, session, this.shown, {
      onNews: (news) => {
        for (const listener of [...this.news]) listener(news);
      },
      onEnded: (why) => this.end(why),
    });
    this.showMe(session);
    await this.open.start();
  }

  private showMe({ user, name, email, hasSheet, fileLimit = null }: SessionRecord): void {
    const me: Me = { id: user, name, email, hasSheet, fileLimit };
    this.shown.set({ session: { kind: "in", me } });
  }

  private async end(why: "signedOut" | "disabled" | null): Promise<void> {
    const { open } = this;
    if (!open) return;
    this.open = null;
    await open.stop();
    try {
      const now = await this.store.session();
      // In another tab somebody may have logged in again meanwhile.
      if (!now || now.station === open.account.session.station) await this.store.forgetAll();
    } finally {
      this.shown.reset({ kind: "out", why });
      this.ports.channel.post({ post: "hint", hint: { session: true } });
    }
  }

  /** Begins a session; `pinned` is known besides what the vault says. */
  private async keep({ session, contents }: Entered, pinned: readonly PersonRecord[] = []): Promise<void> {
    await this.store.forgetAll();
    const people = Object.entries(contents?.pins ?? {}).map(([id, pin]) => ({ ...stranger(userId(id)), pin, trust: pin[2] }));
    await this.store.writeOwn(
      change.session(session),
      ...[...people, ...pinned].map(change.person),
      { put: "meta", key: "heads", value: contents?.heads ?? {} },
    );
    await this.begin(session);
  }

  /** What works on a session; throws where nobody is logged in. */
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
    const { invitation, ...newcomer } = of;
    return attempt(async () => {
      const { createAccount } = await import("./session/create.ts");
      const { recovery, ...entered } = await createAccount(this.ports, this.store, { ...newcomer, code: invitation.code });
      this.made = { entered, invitation };
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
    const { recovery, ...entered } = outcome.value;
    this.made = { entered, invitation: null };
    return ok(recovery);
  }

  async enter(sheetKept: boolean): Promise<ConversationId | null> {
    if (!this.made) return null;
    const { entered, invitation } = this.made;
    const session = { ...entered.session, hasSheet: sheetKept && entered.session.hasSheet };
    // The link came by another way than the server's: the inviter's key is the one that it names.
    const { befriend, invitations } = await inside();
    const pinned = invitation?.from && invitation.card ? [invitations.pinnedBy(invitation)] : [];
    await this.keep({ ...entered, session }, pinned);
    // Not before: where there was no room, the person tries again.
    this.made = null;
    if (!invitation?.from) return null;
    const conversation = await befriend(this.session(), invitation);
    return conversation.ok ? conversation.value : null;
  }

  async logOut(): Promise<void> {
    if (!this.open) return;
    const { account } = this.open;
    const { clock } = this.ports;
    // What was verified a moment ago must not be lost.
    await briefly(clock, async () => (await inside()).keepVault(account));
    // Whatever the server says, and if it says nothing, nothing stays here.
    await briefly(clock, () => signOut(account.caller, { stationid: account.session.station }));
    await this.end(null);
  }

  async loadOlder(id: string): Promise<void> {
    const open = this.session();
    const { log } = open.shown;
    if (log.id !== conversationId(id) || (await log.more())) return;
    await open.ask({ kind: "older", id: conversationId(id) });
    await log.more();
  }

  async reveal(id: string, message: string): Promise<boolean> {
    const { account, shown, ask } = this.session();
    const [conversation, wanted] = [conversationId(id), messageId(message)];
    for (let pages = 0; pages < 100; pages++) {
      const seq = await account.store.seqOf(conversation, wanted);
      if (seq !== undefined) {
        if (shown.log.id !== conversation) await shown.log.open(conversation);
        await shown.log.reach(seq);
        return true;
      }
      if ((await account.store.conversation(conversation))?.complete !== false) return false;
      await ask({ kind: "older", id: conversation });
    }
    return false;
  }

  // What a screen still says while it goes, as the session has ended, is for nobody.
  closeLog(id: string): void {
    if (this.open?.shown.log.id === conversationId(id)) this.open.shown.log.close();
  }

  async prepareDraft(id: string, draft: KeptDraft): Promise<() => Promise<void>> {
    return this.open ? messages.prepareDraft(this.open, conversationId(id), draft) : () => Promise.resolve();
  }

  seenUpTo(id: string, message: string): void {
    this.open?.seenUpTo(conversationId(id), messageId(message));
  }

  typing(id: string): void {
    const now = this.ports.clock.now();
    if (!this.open || now - this.typedAt < TYPING_MS) return;
    this.typedAt = now;
    this.open.askFor({ kind: "typing", id: conversationId(id) });
  }

  async setName(name: string): Promise<Outcome> {
    const outcome = await (await inside()).own.setName(this.session(), name);
    if (outcome.ok) this.showMe({ ...this.session().account.session, name });
    return outcome;
  }

  async newSheet(password: string): Promise<Outcome<string>> {
    const outcome = await (await later()).newSheet(this.session(), password);
    if (outcome.ok) this.showMe(this.session().account.session);
    return outcome;
  }

  async newKeys(password: string): Promise<Outcome> {
    const outcome = await (await later()).newKeys(this.session(), password);
    if (outcome.ok) this.fingerprint = await fingerprintOf(this.session().account.session);
    return outcome;
  }

  async deleteAccount(word: string): Promise<Outcome> {
    const outcome = await (await later()).deleteAccount(this.session(), word);
    if (outcome.ok) await this.end(null);
    return outcome;
  }

  /** The client, as others see it. */
  client(): Client {
    const session = (): Open => this.session();
    const { shown } = this;
    return {
      ...this.clientOfAccount(session),
      ...conversationCalls(session, this),
      // Last, and here: a getter that is spread is read once.
      get state() {
        return shown.state;
      },
    };
  }

  private clientOfAccount(session: () => Open): Omit<Client, "state" | keyof ReturnType<typeof conversationCalls>> {
    const { shown, news } = this;
    return {
      subscribe: (listener) => shown.subscribe(listener),
      onNews: (listener) => {
        news.add(listener);
        return () => news.delete(listener);
      },
      close: () => this.close(),
      suggestPassword,
      logIn: (email, password, isRestored) => this.logIn(email, password, isRestored),
      createAccount: (of) => this.createAccount(of),
      recover: (email, key, password) => this.recover(email, key, password),
      enter: (sheetKept) => this.enter(sheetKept),
      logOut: () => this.logOut(),
      devices: async () => (await inside()).own.devices(session()),
      signOut: async (device) => (await inside()).own.signOut(session(), device),
      signOutOthers: async () => (await inside()).own.signOutOthers(session()),
      knowDevice: async (device) => (await inside()).knowStation(session().account, device),
      setName: (name) => this.setName(name),
      setPresence: async (presence) => (await inside()).setPresence(session(), presence),
      changePassword: async (present, next, othersOut) => (await later()).changePassword(session(), present, next, othersOut),
      newSheet: (password) => this.newSheet(password),
      newKeys: (password) => this.newKeys(password),
      acceptRestored: async () => (await later()).acceptRestored(session()),
      exportData: async () => (await inside()).own.exportData(session()),
      deleteAccount: (password) => this.deleteAccount(password),
      pushed: async () => (await inside()).push.pushed(session()),
      enablePush: async (endpoint) => (await inside()).push.enablePush(session(), endpoint),
      disablePush: async () => (await inside()).push.disablePush(session()),
      setWaking: async (waking) => (await inside()).push.setWaking(session(), waking),
      fingerprint: () => this.fingerprint,
      connectNow: () => this.open?.askFor({ kind: "wake" }),
      useHere: () => this.open?.askFor({ kind: "useHere" }),
      invite: async () => (await inside()).invitations.invite(session()),
      invitations: async () => (await inside()).invitations.invitations(session()),
      withdraw: async (code) => (await inside()).invitations.withdraw(session(), code),
    };
  }
}

/** Starts a client; it opens the session that lies in the store, if there is one. */
export async function startClient(ports: Ports): Promise<Client> {
  const client = new ClientOfPorts(ports);
  await client.resume();
  return client.client();
}
