// What is shown: kept up to date by hints, always read from the store, so that it is the same in every tab.

import { showAsked } from "../sync/asked.ts";
import type { ConversationId, UserId } from "../model/ids.ts";
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
import { addTo, asksToRead, both, type Due } from "./due.ts";
import { isSame, reuse, reuseList } from "../model/equal.ts";
import { openWaiting } from "./log.ts";
import { OpenLog } from "./open-log.ts";
import { chosenOf, Names, showPerson } from "./people.ts";
import type { Shown } from "./state.ts";
import { groupName } from "../sync/group-name.ts";

/** Conversations that fit on a screen: before these are drawn nothing is shown. */
const FIRST = 16;
/** Conversations that are drawn at the same time after these: few, so that a key waits for few. */
const WIDTH = 4;
/** After a look that took as long, what comes next is not looked at for as long. */
const MIN_REST_MS = 8;
const MAX_REST_MS = 500;
/** How long somebody is shown as writing after their last sign of it. */
const WRITING_MS = 6000;

/** What is shown of one account. */
export class AccountShown {
  readonly log: OpenLog;
  private readonly work = new Serial();
  private records = new Map<ConversationId, ConversationRecord>();
  private shown = new Map<ConversationId, Conversation>();
  private people = new Map<UserId, PersonRecord>();
  private waiting = new Map<ConversationId, Waiting[]>();
  private drafts = new Map<string, string>();
  private names: Names;
  private readonly writers = new Map<ConversationId, Map<UserId, () => void>>();
  private due: Due | null = null;
  private ended = false;
  /** Looks that are under way, or rest. */
  private looks = 0;
  private firstIsDrawn = (): void => undefined;

  constructor(
    private readonly account: Account,
    private readonly out: Shown,
  ) {
    this.names = new Names(this.people, account.session);
    this.log = new OpenLog(account, out, (id) => ({ names: this.names, people: this.people, waiting: this.waiting.get(id) ?? [] }));
  }

  /** Reads everything; resolves once the first conversations are shown. */
  start(): Promise<void> {
    const first = new Promise<void>((resolve) => {
      this.firstIsDrawn = resolve;
    });
    return Promise.race([first, this.noticed({ list: true, outbox: true })]);
  }

  /** Nothing is shown after this. */
  stop(): void {
    this.ended = true;
    for (const users of this.writers.values()) for (const cancel of users.values()) cancel();
  }

  /** Something changed. What comes while the last change is being read is read together. */
  noticed(hint: Hint): Promise<void> {
    for (const { conversationid, userid } of hint.typing ?? []) this.isWriting(conversationid, userid);
    if (!asksToRead(hint)) return Promise.resolve();
    this.due = addTo(this.due, hint);
    return this.look();
  }

  private async look(): Promise<void> {
    this.looks += 1;
    try {
      await this.work.run(async () => {
        const begun = this.account.clock.now();
        if (await this.readDue()) await this.rest(this.account.clock.now() - begun);
      });
    } finally {
      this.looks -= 1;
    }
  }

  /** Rows are being written: while little happens, who looks at them need not wait for that. */
  async arriving(record: ConversationRecord, rows: readonly WireMessage[], after: number): Promise<void> {
    if (this.looks === 0 && !this.ended) await this.log.append(record, rows, after);
  }

  /** Reads what has changed; false if nothing has. */
  private async readDue(): Promise<boolean> {
    const { due } = this;
    this.due = null;
    if (!due || this.ended) return false;
    try {
      await this.read(due);
    } catch (error) {
      // It is still due: the next change reads it as well.
      this.due = both(due, this.due);
      throw error;
    }
    return true;
  }

  // While much happens, looking takes half of the time at most, however long a look takes.
  private async rest(ms: number): Promise<void> {
    const begun = this.account.clock.now();
    await this.pause(ms);
    // What was read was drawn meanwhile, which takes its time as well.
    await this.pause(this.account.clock.now() - begun - ms);
  }

  private pause(ms: number): Promise<void> {
    if (ms < MIN_REST_MS) return Promise.resolve();
    return new Promise((resolve) => this.account.clock.after(Math.min(ms, MAX_REST_MS), resolve));
  }

  private async read({ list, outbox, conversations }: Due): Promise<void> {
    if (outbox) await this.readOutbox();
    const listed = list ? await this.readList() : new Set<ConversationId>();
    const { id } = this.log;
    const extent = id === null ? undefined : listed.has(id) ? "conversations" : conversations.get(id);
    // The log comes first: it is what somebody looks at.
    if (extent && extent !== "heads") await this.log.refresh(extent === "grown");
    const rest = [...conversations.keys()].filter((one) => !listed.has(one));
    await Promise.all(rest.map((one) => this.readOne(one)));
    await this.draw([...listed, ...rest]);
  }

  /** Resolves when what has changed up to now is shown. */
  looked(): Promise<void> {
    return this.work.run(() => Promise.resolve());
  }

  private async readOutbox(): Promise<void> {
    const all = await this.account.store.outbox();
    const known = new Map([...this.waiting.values()].flat().map((one) => [one.id, one]));
    const opened = await openWaiting(this.account, all, known);
    this.waiting = new Map();
    for (const [i, { conversation }] of all.entries()) {
      const one = opened[i];
      const list = this.waiting.get(conversation);
      if (one && list) list.push(one);
      else if (one) this.waiting.set(conversation, [one]);
    }
    this.out.set({ waiting: all.length });
  }

  /** Reads everything; returns the conversations that are to be drawn anew. */
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
    // Of some only a pin is known: they are nobody's contacts at present.
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
      const group = (await groupName(this.account.cipher, conversationid, secret, displayname, [])) ?? "";
      return { kind: "group", id: conversationid, name: invitername, user: inviterid, group, alike: false };
    });
    const asked = await showAsked(this.account, (id) => this.people.get(id)?.friend ?? false);
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

  private async draw(ids: readonly ConversationId[]): Promise<void> {
    const known = ids.flatMap((id) => this.records.get(id) ?? []);
    known.sort((one, other) => other.wire.lastaccess - one.wire.lastaccess);
    const sorted = known.map(({ wire }) => wire.id);
    const isFirst = this.shown.size === 0;
    let shownAt = FIRST;
    for (let done = 0; done < sorted.length && !this.ended; ) {
      const begun = this.account.clock.now();
      const some = sorted.slice(done, done + (done === 0 ? FIRST : WIDTH));
      done += some.length;
      await this.log.opening;
      await Promise.all(some.map((id) => this.drawOne(id, "whole")));
      // The first ones need not wait for all others, which are there without what they say.
      if (done < shownAt) {
        if (done > FIRST) await this.rest(this.account.clock.now() - begun);
        if (done > FIRST) await this.readDue();
        continue;
      }
      if (isFirst && shownAt === FIRST) await Promise.all(sorted.slice(done).map((id) => this.drawOne(id, "brief")));
      this.publish();
      shownAt *= 4;
    }
    this.publish();
  }

  private async drawOne(id: ConversationId, detail: "brief" | "whole"): Promise<void> {
    const record = this.records.get(id);
    if (!record) return;
    const around = { people: this.people, names: this.names, waiting: this.waiting.get(id) ?? [], draft: this.drafts.get(id) ?? "" };
    const now = await showConversation(this.account, record, around, detail);
    this.shown.set(id, reuse(this.shown.get(id), now));
  }

  private publish(): void {
    if (this.ended) return;
    const list = [...this.shown.values()].sort((one, other) => other.lastAt - one.lastAt || (one.id < other.id ? -1 : 1));
    this.out.set({ conversations: reuseList(this.out.state.conversations, list) });
    this.firstIsDrawn();
  }

  private isWriting(id: ConversationId, user: UserId): void {
    const users = this.writers.get(id) ?? new Map<UserId, () => void>();
    this.writers.set(id, users);
    users.get(user)?.();
    const end = (): void => {
      users.delete(user);
      this.publishWriting();
    };
    users.set(user, this.account.clock.after(WRITING_MS, end));
    this.publishWriting();
  }

  /** A message has come from somebody: they are not writing it any more. */
  wrote(id: ConversationId, user: UserId): void {
    this.writers.get(id)?.get(user)?.();
    if (this.writers.get(id)?.delete(user)) this.publishWriting();
  }

  private publishWriting(): void {
    const now = [...this.writers].filter(([, users]) => users.size > 0);
    this.out.set({ writing: new Map(now.map(([id, users]) => [id, [...users.keys()].map(this.names.of)])) });
  }

  /** What a conversation is called. */
  conversationName(id: ConversationId): string {
    return this.shown.get(id)?.name ?? "";
  }

  /** The place for messages to oneself, if there is one. */
  saved(): ConversationId | undefined {
    return [...this.shown.values()].find(({ kind }) => kind === "saved")?.id;
  }

  /** What somebody is called. */
  nameOf(user: UserId): string {
    return this.names.of(user);
  }
}
