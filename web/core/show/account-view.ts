// The view of an account: updated by hints, and always read from the store, so that it is the same in every tab.

import { showSentRequests } from "../sync/sent-requests.ts";
import type { ConversationId, UserId } from "../model/ids.ts";
import { shownName } from "../model/name.ts";
import type { Waiting } from "../model/timeline.ts";
import type { Conversation, Request } from "../model/view.ts";
import { unbox } from "../store/box.ts";
import type { ConversationRecord, PersonRecord } from "../store/records.ts";
import type { Account, Hint } from "../sync/account.ts";
import type { AlarmRecord } from "../sync/alarm.ts";
import type { RequestsRecord } from "../sync/list.ts";
import type { StationsRecord } from "../sync/stations.ts";
import { Serial } from "../sync/serial.ts";
import type { WireMessage } from "../wire/conversation.ts";
import { showConversation } from "./conversation.ts";
import { addTo, asksToRead, mergeDue, type Due } from "./due.ts";
import { isSame, reuse, reuseList } from "../model/equal.ts";
import { groupBy } from "../model/group-by.ts";
import { openWaiting } from "./log.ts";
import { OpenLog } from "./open-log.ts";
import { chosenOf, Names, showPerson } from "./people.ts";
import type { StateStore } from "./state.ts";
import { groupName } from "../sync/group-name.ts";

/** Conversations that fit on a screen: nothing is published before these are computed. */
const FIRST = 16;
/** Conversations that are computed at a time after those: few, so that keystrokes need not wait. */
const WIDTH = 4;
/** After a refresh the next one waits for as long as it took, within these limits. */
const MIN_REST_MS = 8;
const MAX_REST_MS = 500;
/** How long somebody is shown as typing after their last `typing` frame. */
const TYPING_MS = 6000;

/** The view of one account. */
export class AccountView {
  readonly log: OpenLog;
  private readonly work = new Serial();
  private records = new Map<ConversationId, ConversationRecord>();
  private shown = new Map<ConversationId, Conversation>();
  private people = new Map<UserId, PersonRecord>();
  private waiting = new Map<ConversationId, Waiting[]>();
  private drafts = new Map<string, string>();
  private names: Names;
  private readonly typing = new Map<ConversationId, Map<UserId, () => void>>();
  private due: Due | null = null;
  private ended = false;
  /** Refreshes that are running or waiting. */
  private refreshes = 0;
  private onFirstPublished = (): void => undefined;
  private endPause = (): void => undefined;

  constructor(
    private readonly account: Account,
    private readonly out: StateStore,
  ) {
    this.names = new Names(this.people, account.session);
    this.log = new OpenLog(account, out, (id) => ({ names: this.names, people: this.people, waiting: this.waiting.get(id) ?? [] }));
  }

  /** Reads everything; resolves once the first conversations are shown. */
  start(): Promise<void> {
    const first = new Promise<void>((resolve) => {
      this.onFirstPublished = resolve;
    });
    return Promise.race([first, this.onHint({ list: true, outbox: true })]);
  }

  /** Publishes nothing after this, and leaves no timer. */
  stop(): void {
    this.ended = true;
    this.endPause();
    this.log.stop();
    for (const users of this.typing.values()) for (const cancel of users.values()) cancel();
  }

  /** The store has changed. Hints that come during a refresh are combined. */
  onHint(hint: Hint): Promise<void> {
    for (const { conversationid, userid } of hint.typing ?? []) this.onTyping(conversationid, userid);
    if (!asksToRead(hint)) return Promise.resolve();
    this.due = addTo(this.due, hint);
    return this.refresh();
  }

  private async refresh(): Promise<void> {
    this.refreshes += 1;
    try {
      await this.work.run(async () => {
        const begun = this.account.clock.now();
        if (await this.readDue()) await this.rest(this.account.clock.now() - begun);
      });
    } finally {
      this.refreshes -= 1;
    }
  }

  /** Rows are being written. Unless a refresh is running, the open log shows them at once. */
  async arriving(record: ConversationRecord, rows: readonly WireMessage[], after: number): Promise<void> {
    if (this.refreshes === 0 && !this.ended) await this.log.append(record, rows, after);
  }

  /** Reads what is due; false if nothing is. */
  private async readDue(): Promise<boolean> {
    const { due } = this;
    this.due = null;
    if (!due || this.ended) return false;
    try {
      await this.read(due);
    } catch (error) {
      // It stays due for the next refresh.
      this.due = mergeDue(due, this.due);
      throw error;
    }
    return true;
  }

  // Under load, refreshes take at most half of the time, however long one takes.
  private async rest(ms: number): Promise<void> {
    const begun = this.account.clock.now();
    await this.pause(ms);
    // The UI has rendered meanwhile, which takes its time as well.
    await this.pause(this.account.clock.now() - begun - ms);
  }

  private pause(ms: number): Promise<void> {
    const { clock } = this.account;
    // In a hidden tab no keystroke waits, but a notification does.
    if (ms < MIN_REST_MS || this.ended || clock.isLate?.()) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = clock.after(Math.min(ms, MAX_REST_MS), resolve);
      this.endPause = () => {
        cancel();
        resolve();
      };
    });
  }

  private async read({ list, outbox, conversations }: Due): Promise<void> {
    if (outbox) await this.readOutbox();
    const listed = list ? await this.readList() : new Set<ConversationId>();
    const { id } = this.log;
    const extent = id === null ? undefined : listed.has(id) ? "conversations" : conversations.get(id);
    // The open log comes first: the user is looking at it.
    if (extent && extent !== "heads") await this.log.refresh(extent === "grown");
    const rest = [...conversations.keys()].filter((one) => !listed.has(one));
    await Promise.all(rest.map((one) => this.readOne(one)));
    await this.compute([...listed, ...rest]);
  }

  /** Resolves when all changes up to now are shown. */
  settled(): Promise<void> {
    return this.work.run(() => Promise.resolve());
  }

  private async readOutbox(): Promise<void> {
    const all = await this.account.store.outbox();
    const known = new Map([...this.waiting.values()].flat().map((one) => [one.id, one]));
    this.waiting = groupBy(await openWaiting(this.account, all, known), ({ conversation }) => conversation);
    this.out.set({ waiting: all.length });
  }

  /** Reads everything; returns the conversations that have to be recomputed. */
  private async readList(): Promise<Set<ConversationId>> {
    const { store, session } = this.account;
    const [records, people, drafts, requests, stations, alarm] = await Promise.all([
      store.conversations(),
      store.people(),
      store.drafts(),
      store.meta<RequestsRecord>("requests"),
      store.meta<StationsRecord>("stations"),
      store.meta<AlarmRecord>("alarm"),
    ]);
    const [recordsBefore, peopleBefore] = [this.records, this.people];
    this.records = new Map(records.map((record) => [record.wire.id, record]));
    for (const id of [...this.shown.keys()]) if (!this.records.has(id)) this.shown.delete(id);
    this.people = new Map(people.map((person) => [person.id, person]));
    this.names = new Names(this.people, session);
    const opened = [...drafts].map(async ([id, boxed]) => [id, await unbox(session.box, boxed)] as const);
    this.drafts = new Map(await Promise.all(opened));
    const before = this.out.state.people;
    // Of some people only a pin is known: they are no contacts at present.
    const others = people.filter(({ id, name, email }) => id !== session.user && (name !== "" || email !== ""));
    this.out.set({
      people: reuse(before, new Map(others.map((person) => [person.id, reuse(before.get(person.id), showPerson(person))]))),
      presence: chosenOf(this.people.get(session.user)?.availability),
      requests: reuse(this.out.state.requests, await this.requests(requests)),
      newDevices: reuse(this.out.state.newDevices, stations?.fresh ?? []),
      alarm: reuse(this.out.state.alarm, alarm ?? []),
    });
    const changed = new Set(people.filter((person) => !isSame(peopleBefore.get(person.id), person)).map(({ id }) => id));
    const isOther = (record: ConversationRecord): boolean =>
      !isSame(recordsBefore.get(record.wire.id), record) || record.wire.participants.some(({ userid }) => changed.has(userid));
    return new Set(records.filter(isOther).map(({ wire }) => wire.id));
  }

  private async requests(record: RequestsRecord | undefined): Promise<Request[]> {
    const friends = (record?.friends ?? []).map(
      ({ id, name, alike = false }): Request => ({ kind: "friend", id, name, user: id, group: "", alike }),
    );
    const groups = (record?.groups ?? []).map(async (one): Promise<Request> => {
      const { conversationid, inviterid, invitername, secret, displayname } = one;
      const group = shownName((await groupName(this.account.cipher, conversationid, secret, displayname, [])) ?? "");
      return { kind: "group", id: conversationid, name: invitername, user: inviterid, group, alike: false };
    });
    const asked = await showSentRequests(this.account, (id) => this.people.get(id)?.friend ?? false);
    return [...friends, ...(await Promise.all(groups)), ...asked];
  }

  private async readOne(id: ConversationId): Promise<void> {
    const { store, session } = this.account;
    const [record, draft] = await Promise.all([store.conversation(id), store.draft(id, session.box)]);
    if (record) this.records.set(id, record);
    else {
      this.records.delete(id);
      this.shown.delete(id);
    }
    this.drafts.set(id, draft);
  }

  private async compute(ids: readonly ConversationId[]): Promise<void> {
    const known = ids.flatMap((id) => this.records.get(id) ?? []);
    known.sort((one, other) => other.wire.lastaccess - one.wire.lastaccess);
    const sorted = known.map(({ wire }) => wire.id);
    const isFirst = this.shown.size === 0;
    let publishAt = FIRST;
    for (let done = 0; done < sorted.length && !this.ended; ) {
      const begun = this.account.clock.now();
      const some = sorted.slice(done, done + (done === 0 ? FIRST : WIDTH));
      done += some.length;
      await this.log.opening;
      await Promise.all(some.map((id) => this.computeOne(id, "whole")));
      // The first ones are published at once; all others are brief until they are computed.
      if (done < publishAt) {
        if (done > FIRST) await this.rest(this.account.clock.now() - begun);
        if (done > FIRST) await this.readDue();
        continue;
      }
      if (isFirst && publishAt === FIRST) await Promise.all(sorted.slice(done).map((id) => this.computeOne(id, "brief")));
      this.publish();
      publishAt *= 4;
    }
    this.publish();
  }

  private async computeOne(id: ConversationId, detail: "brief" | "whole"): Promise<void> {
    const record = this.records.get(id);
    if (!record) return;
    const context = { people: this.people, names: this.names, waiting: this.waiting.get(id) ?? [], draft: this.drafts.get(id) ?? "" };
    const now = await showConversation(this.account, record, context, detail);
    this.shown.set(id, reuse(this.shown.get(id), now));
  }

  private publish(): void {
    if (this.ended) return;
    const list = [...this.shown.values()].sort((one, other) => other.lastAt - one.lastAt || (one.id < other.id ? -1 : 1));
    this.out.set({ conversations: reuseList(this.out.state.conversations, list) });
    this.onFirstPublished();
  }

  private onTyping(id: ConversationId, user: UserId): void {
    const users = this.typing.get(id) ?? new Map<UserId, () => void>();
    this.typing.set(id, users);
    users.get(user)?.();
    const end = (): void => {
      users.delete(user);
      this.publishTyping();
    };
    users.set(user, this.account.clock.after(TYPING_MS, end));
    this.publishTyping();
  }

  /** A message has come from somebody: they have stopped typing. */
  stoppedTyping(id: ConversationId, user: UserId): void {
    this.typing.get(id)?.get(user)?.();
    if (this.typing.get(id)?.delete(user)) this.publishTyping();
  }

  private publishTyping(): void {
    const now = [...this.typing].filter(([, users]) => users.size > 0);
    this.out.set({ writing: new Map(now.map(([id, users]) => [id, [...users.keys()].map(this.names.of)])) });
  }

  /** The name of a conversation. */
  conversationName(id: ConversationId): string {
    return this.shown.get(id)?.name ?? "";
  }

  /** The user's saved messages, if they exist. */
  saved(): ConversationId | undefined {
    return [...this.shown.values()].find(({ kind }) => kind === "saved")?.id;
  }

  /** The name of somebody. */
  nameOf(user: UserId): string {
    return this.names.of(user);
  }
}
