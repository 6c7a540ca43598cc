// Makes a client of the ports: which session there is, and what each of its calls does.

import * as own from "./actions/account.ts";
import { befriend } from "./actions/befriend.ts";
import type { Open } from "./actions/context.ts";
import * as groups from "./actions/conversations.ts";
import * as invitations from "./actions/invitations.ts";
import * as messages from "./actions/messages.ts";
import { attempt, failed, notOffered, ok } from "./actions/outcome.ts";
import * as people from "./actions/people.ts";
import { setPresence } from "./actions/presence.ts";
import { search } from "./actions/search.ts";
import type { Client, News } from "./api.ts";
import { readRecovery } from "./crypto/vault.ts";
import { type ConversationId, conversationId, messageId, userId } from "./model/ids.ts";
import type { Invitation, Me, Outcome } from "./model/view.ts";
import type { Ports } from "./ports.ts";
import * as enter from "./session/enter.ts";
import { OpenSession } from "./session/open.ts";
import { Shown } from "./show/shown.ts";
import { change, type SessionRecord, Store } from "./store/store.ts";
import { signOut } from "./wire/login.ts";

/** Shown as typing at most so often. */
const TYPING_MS = 2000;

class ClientOfPorts {
  readonly shown = new Shown();
  readonly news = new Set<(news: News) => void>();
  private readonly store: Store;
  private open: OpenSession | null = null;
  /** An account that was made and waits for its sheet to be kept. */
  private made: { session: SessionRecord; invitation: Invitation | null } | null = null;
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
    this.fingerprint = await enter.fingerprintOf(session);
    this.open = new OpenSession(this.ports, this.store, session, this.shown, {
      onNews: (news) => {
        for (const listener of [...this.news]) listener(news);
      },
      onEnded: (why) => this.end(why),
    });
    this.showMe(session);
    await this.open.start();
  }

  private showMe({ user, name, email, hasSheet, presence = "available" }: SessionRecord): void {
    const me: Me = { id: user, name, email, presence, hasSheet };
    this.shown.set({ session: { kind: "in", me } });
  }

  private async end(why: "signedOut" | null): Promise<void> {
    const { open } = this;
    if (!open) return;
    this.open = null;
    await open.stop();
    await this.store.forgetAll();
    this.shown.reset({ kind: "out", why });
    this.ports.channel.post({ post: "hint", hint: { session: true } });
  }

  private async keep(session: SessionRecord): Promise<void> {
    await this.store.forgetAll();
    await this.store.writeOwn(change.session(session));
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

  logIn(email: string, password: string): Promise<Outcome> {
    return attempt(async () => {
      await this.keep(await enter.logIn(this.ports, email, password));
      return null;
    });
  }

  createAccount(of: { invitation: Invitation; email: string; name: string; password: string }): Promise<Outcome<string>> {
    const { invitation, ...newcomer } = of;
    return attempt(async () => {
      const { session, recovery } = await enter.createAccount(this.ports, { ...newcomer, code: invitation.code });
      this.made = { session, invitation };
      return recovery;
    });
  }

  async recover(email: string, key: string, password: string): Promise<Outcome<string>> {
    const bytes = readRecovery(key);
    if (!bytes) return failed({ kind: "recoveryKey" });
    const outcome = await attempt(() => enter.recover(this.ports, email, bytes, password));
    if (!outcome.ok) return outcome.failure.kind === "login" ? failed({ kind: "recoveryKey" }) : outcome;
    if (!outcome.value) return notOffered;
    this.made = { session: outcome.value.session, invitation: null };
    return ok(outcome.value.recovery);
  }

  async enter(sheetKept: boolean): Promise<ConversationId | null> {
    if (!this.made) return null;
    const { session, invitation } = this.made;
    this.made = null;
    await this.keep({ ...session, hasSheet: sheetKept && session.hasSheet });
    if (!invitation?.from) return null;
    const conversation = await befriend(this.session(), invitation);
    return conversation.ok ? conversation.value : null;
  }

  async logOut(): Promise<void> {
    if (!this.open) return;
    const { caller, session } = this.open.account;
    // Whatever the server says, nothing stays here.
    await attempt(() => signOut(caller, { stationid: session.station })).catch(() => undefined);
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

  async seenUpTo(id: string, message: string): Promise<void> {
    const { account, ask } = this.session();
    const seq = await account.store.seqOf(conversationId(id), messageId(message));
    if (seq !== undefined) await ask({ kind: "seen", id: conversationId(id), seq });
  }

  typing(id: string): void {
    const now = this.ports.clock.now();
    if (now - this.typedAt < TYPING_MS) return;
    this.typedAt = now;
    void this.session().ask({ kind: "typing", id: conversationId(id) });
  }

  async setPresence(presence: Me["presence"]): Promise<Outcome> {
    const outcome = await setPresence(this.session(), presence);
    if (!outcome.ok) return outcome;
    this.showMe(this.session().account.session);
    return outcome;
  }

  async setName(name: string): Promise<Outcome> {
    const outcome = await own.setName(this.session(), name);
    if (outcome.ok) this.showMe({ ...this.session().account.session, name });
    return outcome;
  }

  async deleteAccount(word: string): Promise<Outcome> {
    const outcome = await own.deleteAccount(this.session(), word);
    if (outcome.ok) await this.end(null);
    return outcome;
  }

  /** The client, as others see it. */
  client(): Client {
    const session = (): Open => this.session();
    const { shown } = this;
    return {
      ...this.clientOfAccount(session),
      ...this.clientOfConversations(session),
      // Last, and here: a getter that is spread is read once.
      get state() {
        return shown.state;
      },
    };
  }

  private clientOfAccount(session: () => Open): Omit<Client, "state" | keyof ReturnType<ClientOfPorts["clientOfConversations"]>> {
    const { shown, news } = this;
    return {
      subscribe: (listener) => shown.subscribe(listener),
      onNews: (listener) => {
        news.add(listener);
        return () => news.delete(listener);
      },
      close: () => this.close(),
      suggestPassword: enter.suggestPassword,
      inviter: () => Promise.resolve(null),
      logIn: (email, password) => this.logIn(email, password),
      createAccount: (of) => this.createAccount(of),
      recover: (email, key, password) => this.recover(email, key, password),
      enter: (sheetKept) => this.enter(sheetKept),
      logOut: () => this.logOut(),
      devices: () => own.devices(session()),
      signOut: (device) => own.signOut(session(), device),
      signOutOthers: () => own.signOutOthers(session()),
      setName: (name) => this.setName(name),
      setPresence: (presence) => this.setPresence(presence),
      changePassword: (present, next, othersOut) => own.changePassword(session(), present, next, othersOut),
      newSheet: (password) => own.newSheet(session(), password),
      exportData: (as) => own.exportData(session(), as),
      deleteAccount: (password) => this.deleteAccount(password),
      fingerprint: () => this.fingerprint,
      connectNow: () => void session().ask({ kind: "wake" }),
      useHere: () => void session().ask({ kind: "useHere" }),
      invite: () => invitations.invite(session()),
      invitations: () => invitations.invitations(session()),
      withdraw: (code) => invitations.withdraw(session(), code),
    };
  }

  private clientOfConversations(session: () => Open) {
    const id = conversationId;
    return {
      open: (of: string) => session().shown.log.open(id(of)),
      closeLog: () => session().shown.log.close(),
      loadOlder: (of: string) => this.loadOlder(of),
      reveal: (of: string, message: string) => this.reveal(of, message),
      seenUpTo: (of: string, message: string) => void this.seenUpTo(of, message),
      typing: (of: string) => this.typing(of),
      saveDraft: (of, text) => messages.saveDraft(session(), id(of), text),
      send: (of, draft) => messages.send(session(), id(of), draft),
      edit: (of, message, draft) => messages.edit(session(), id(of), message, draft),
      erase: (of, message) =>
        attempt(async () => {
          await messages.erase(session(), id(of), message);
          return null;
        }),
      react: (of, message, emoji, on) => messages.react(session(), id(of), message, emoji, on),
      retry: (_of, message) => session().ask({ kind: "retry", message }),
      discard: (_of, message) => messages.discard(session(), message),
      info: (of, message) => messages.info(session(), id(of), message),
      change: (of, to) => groups.changeSettings(session(), id(of), to),
      clear: (of) => groups.clear(session(), id(of)),
      leave: (of) => groups.leave(session(), id(of)),
      rename: (of, name) => groups.rename(session(), id(of), name),
      members: (of) => groups.members(session(), id(of)),
      addMembers: (of, users) => groups.addMembers(session(), id(of), groups.userIds(users)),
      removeMember: (of, user) => groups.removeMember(session(), id(of), userId(user)),
      setAdmin: (of, user, admin) => groups.setAdmin(session(), id(of), userId(user), admin),
      renewKeys: (of) => (session().account.session.keys.sign ? groups.renewKeys(session(), id(of)) : Promise.resolve(notOffered)),
      befriend: (invitation) => befriend(session(), invitation),
      request: (email) => people.request(session(), email),
      answer: ({ kind, id: of }, accept) => people.answer(session(), kind, of, accept),
      writeTo: (user) => groups.writeTo(session(), userId(user)),
      createGroup: (name, users) => groups.createGroup(session(), name, groups.userIds(users)),
      saved: () => groups.saved(session()),
      block: (user, on) => people.block(session(), userId(user), on),
      safetyNumber: (user) => people.safetyNumber(session(), userId(user)),
      verify: (user) => people.verify(session(), userId(user)),
      acceptKeys: (user) => people.acceptKeys(session(), userId(user)),
      search: (text, within) => search(session(), text, within === null ? null : id(within)),
    } satisfies Partial<Client>;
  }
}

/** Starts a client; it opens the session that lies in the store, if there is one. */
export async function startClient(ports: Ports): Promise<Client> {
  const client = new ClientOfPorts(ports);
  await client.resume();
  return client.client();
}
