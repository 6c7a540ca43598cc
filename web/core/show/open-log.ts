// The log of the open conversation: its rows from some row to the newest.

import type { ConversationId, MessageId, UserId } from "../model/ids.ts";
import { checkOrder } from "../model/reading.ts";
import { articles, type Row, type Waiting } from "../model/timeline.ts";
import type { Log } from "../model/view.ts";
import type { ConversationRecord, PersonRecord } from "../store/records.ts";
import type { Account } from "../sync/account.ts";
import { countsAsUnread } from "../sync/unread.ts";
import { Serial } from "../sync/serial.ts";
import type { WireMessage } from "../wire/conversation.ts";
import { reuseList } from "../model/equal.ts";
import { withLines } from "./lines.ts";
import { contextOf } from "./log.ts";
import type { Names } from "./people.ts";
import type { StateStore } from "./state.ts";

/** Rows that are shown at first, and more each time. */
const PAGE = 50;
/** Unread rows that are opened at once. */
const MAX_UNREAD = 500;

/**
 * A log that grows at its end is trimmed at its beginning to this many rows, or as many as the reader has loaded: fewer while the
 * reader is at the end, and nobody would notice; and how many more there may be before it is trimmed.
 */
const [MAX_ROWS, SLACK] = [1000, 500];
const [MAX_ROWS_AT_END, SLACK_AT_END] = [100, 50];

/** A day. */
const MAX_TIMER_MS = 86_400_000;

/** What a log is computed with. */
export interface LogContext {
  names: Names;
  people: ReadonlyMap<UserId, PersonRecord>;
  waiting: readonly Waiting[];
}

/** The open log. */
export class OpenLog {
  id: ConversationId | null = null;
  /** Resolves when the log that was opened last is shown; everything else waits for it. */
  opening: Promise<void> = Promise.resolve();
  private from = 0;
  private instance = "";
  private firstUnread: MessageId | null = null;
  /** The decrypted rows that are shown. */
  private opened: readonly Row[] = [];
  private readonly refreshing = new Serial();
  /** How many rows are shown, and may stay so. */
  private count = 0;
  private loaded = 0;
  /** The reader sees the newest row. */
  isAtEnd = false;
  private cancelTimer = (): void => undefined;

  constructor(
    private readonly account: Account,
    private readonly out: StateStore,
    private readonly context: (id: ConversationId) => LogContext,
  ) {}

  /** Opens a conversation at its newest rows, or at the first unread one. */
  open(id: ConversationId): Promise<void> {
    const opening = this.openAt(id);
    this.opening = opening.catch(() => undefined);
    return opening;
  }

  private async openAt(id: ConversationId): Promise<void> {
    const record = await this.account.store.conversation(id);
    if (!record) return;
    this.leave();
    this.id = id;
    this.loaded = 0;
    this.isAtEnd = false;
    this.instance = record.instance;
    const unread = (await this.account.store.rows(id, record.seen + 1)).filter((row) => countsAsUnread(row, this.account.session.user));
    this.firstUnread = unread[0]?.ID ?? null;
    const newest = await this.account.store.rowsBefore(id, record.head?.seq ?? 0, PAGE);
    const oldest = newest.at(-1)?.Seq ?? 0;
    const wanted = unread.at(-MAX_UNREAD)?.Seq;
    this.from = wanted === undefined || wanted > oldest ? oldest : ((await this.pageBefore(id, wanted, 10)) ?? wanted);
    await this.refresh();
  }

  /** Shows nothing after this, and leaves no timer. */
  stop(): void {
    this.cancelTimer();
    this.id = null;
  }

  /** Nothing is open. */
  close(): void {
    this.cancelTimer();
    this.leave();
    this.id = null;
    this.out.set({ log: null });
  }

  // Drops its decrypted rows.
  private leave(): void {
    this.opened = [];
    this.account.cipher.shown = 0;
    if (this.id) this.account.cipher.forget(this.id);
  }

  /** Shows more of what is here; false if all of it is shown. */
  async more(): Promise<boolean> {
    // Opened before there were any rows, it shows all of them.
    if (!this.id || this.from === 0) return false;
    const from = await this.pageBefore(this.id, this.from - 1, PAGE);
    if (from === undefined) return false;
    this.from = from;
    await this.refreshWith();
    return true;
  }

  /** Shows everything from this row on. */
  async reach(seq: number): Promise<void> {
    if (!this.id) return;
    if (seq < this.from) this.from = (await this.pageBefore(this.id, seq, 10)) ?? seq;
    await this.refreshWith();
  }

  // With everything from `from` on, which stays.
  private async refreshWith(): Promise<void> {
    this.loaded = Number.POSITIVE_INFINITY;
    await this.refresh();
    this.loaded = this.count;
  }

  // Where a page that ends at this row begins, if there is a row.
  private async pageBefore(id: ConversationId, to: number, limit: number): Promise<number | undefined> {
    return (await this.account.store.rowsBefore(id, to, limit)).at(-1)?.Seq;
  }

  /** Reads it again; `isGrown`: only new rows at its end, as the others are unchanged. */
  refresh(isGrown = false): Promise<void> {
    return this.refreshing.run(() => this.refreshNow(isGrown));
  }

  /**
   * Shows rows that are being written; later reads of the store begin behind them. `after` is the number of the row before them, as
   * reports take numbers, too.
   */
  append(record: ConversationRecord, rows: readonly WireMessage[], after: number): Promise<void> {
    return this.refreshing.run(async () => {
      const isNext = (this.opened.at(-1)?.seq ?? 0) === after && this.opened.every(({ trouble }) => trouble === null);
      if (this.id !== record.wire.id || this.instance !== record.instance || !isNext) return;
      await this.show(record.wire.id, record, [...this.opened, ...(await this.account.cipher.openAll(record, rows))]);
    });
  }

  private async refreshNow(isGrown: boolean): Promise<void> {
    const { id } = this;
    if (!id) return;
    // Rows that could not be decrypted may be readable by now.
    const known = isGrown && this.opened.every(({ trouble }) => trouble === null) ? this.opened : [];
    const last = known.at(-1);
    const [record, fresh] = await Promise.all([this.account.store.conversation(id), this.account.store.rows(id, last ? last.seq + 1 : this.from)]);
    if (!record) {
      this.close();
      return;
    }
    // It was cleared, or is being fetched again: the rows that were open are gone.
    const isOther = record.instance !== this.instance || (record.first === null && this.from > 0);
    if (isOther) {
      this.instance = record.instance;
      this.from = 0;
      this.firstUnread = null;
    }
    const rows = isOther ? await this.account.store.rows(id, 0) : fresh;
    await this.show(id, record, [...(isOther ? [] : known), ...(await this.account.cipher.openAll(record, rows))]);
  }

  private async show(id: ConversationId, record: ConversationRecord, opened: readonly Row[]): Promise<void> {
    if (this.id !== id) {
      // It was closed meanwhile.
      this.account.cipher.forget(id);
      return;
    }
    this.opened = opened;
    const log = await this.compute(id, record);
    if (this.id !== id || log === this.out.state.log) return;
    this.out.set({ log });
    this.refreshWhenOver(log);
  }

  /** Refreshes the log when the next message expires. */
  private refreshWhenOver({ id, entries }: Log): void {
    this.cancelTimer();
    const ends = entries.flatMap((entry) => (entry.kind === "article" && entry.until !== null ? [entry.until] : []));
    const left = Math.min(...ends) - this.account.caller.now();
    // Timers cannot wait for arbitrarily long, and a page is rarely open for so long.
    if (left > MAX_TIMER_MS) return;
    this.cancelTimer = this.account.clock.after(Math.max(0, left) + 1, () => this.account.notify({ conversations: [id] }));
  }

  private async compute(id: ConversationId, record: ConversationRecord): Promise<Log> {
    const { names, people, waiting } = this.context(id);
    const [most, slack] = this.isAtEnd ? [MAX_ROWS_AT_END, SLACK_AT_END] : [MAX_ROWS, SLACK];
    const limit = Math.max(most, this.loaded);
    if (this.opened.length > limit + slack) {
      this.opened = this.opened.slice(-limit);
      this.from = this.opened[0]?.seq ?? this.from;
    }
    this.account.cipher.shown = this.opened.length;
    const rows = checkOrder(this.opened, record.hasGaps);
    this.count = rows.length;
    const older = record.first !== null && (this.from > record.first.seq || !record.complete);
    const shown = articles(rows, waiting, contextOf(record, names, this.account));
    const now = await withLines(this.account, record, shown, !older, { names, people, rows });
    const before = this.out.state.log;
    const { firstUnread } = this;
    if (before?.id !== id) return { id, entries: now, older, firstUnread };
    const entries = reuseList(before.entries, now);
    const isSame = entries === before.entries && older === before.older && firstUnread === before.firstUnread;
    return isSame ? before : { id, entries, older, firstUnread };
  }
}
