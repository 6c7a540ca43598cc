// Groups the entries of a log for rendering: day lines, the "New messages" line, and runs of one sender. Pure.

import type { Article, Entry, Line, MessageId } from "../../core/index.ts";

/** Messages of one sender within five minutes of each other. */
export interface Run {
  kind: "run";
  key: string;
  articles: readonly Article[];
}

/** A block of the drawn log, from oldest to newest. */
export type Block = { kind: "day"; key: string; at: number } | { kind: "new"; key: string } | { kind: "line"; key: string; line: Line } | Run;

const RUN_MS = 5 * 60_000;

const dayOf = (ms: number): number => new Date(ms).setHours(0, 0, 0, 0);

/**
 * Reuses the objects of unchanged runs, so that they are not rendered again, and the keys of those that have lost or got messages at
 * their beginning.
 */
function reuseRuns(before: readonly Block[], now: Block[]): Block[] {
  const known = new Map(before.flatMap((block) => (block.kind === "run" ? block.articles.map(({ id }) => [id, block] as const) : [])));
  const keys = new Set(now.map(({ key }) => key));
  const taken = new Set<Block>();
  return now.map((block) => {
    if (block.kind !== "run") return block;
    const old = block.articles.map(({ id }) => known.get(id)).find((one) => one !== undefined);
    // One that was divided goes on as its first part.
    if (!old || taken.has(old)) return block;
    taken.add(old);
    if (old.key !== block.key && keys.has(old.key)) return block;
    const isSame = old.articles.length === block.articles.length && old.articles.every((article, i) => article === block.articles[i]);
    return isSame ? old : { ...block, key: old.key };
  });
}

/** The blocks of a log; `firstUnread` is the first unread message when it was opened, `before` the blocks of the last rendering. */
export function blocksOf(entries: readonly Entry[], firstUnread: MessageId | null, before: readonly Block[] = []): Block[] {
  const blocks: Block[] = [];
  let day = Number.NaN;
  let run: Article[] | null = null;
  for (const entry of entries) {
    const today = dayOf(entry.at);
    if (today !== day) {
      blocks.push({ kind: "day", key: `day ${today}`, at: entry.at });
      day = today;
      run = null;
    }
    if (entry.id === firstUnread) {
      blocks.push({ kind: "new", key: "new" });
      run = null;
    }
    if (entry.kind === "line") {
      blocks.push({ kind: "line", key: entry.id, line: entry });
      run = null;
      continue;
    }
    const last = run?.at(-1);
    if (run && last && last.user === entry.user && entry.at - last.at < RUN_MS) {
      run.push(entry);
    } else {
      run = [entry];
      blocks.push({ kind: "run", key: entry.id, articles: run });
    }
  }
  return reuseRuns(before, blocks);
}

/** The newest own message: the only one whose state is shown as text. */
export function newestOwn(entries: readonly Entry[]): MessageId | null {
  for (let i = entries.length - 1; i >= 0; i--) {
    const entry = entries[i];
    if (entry?.kind === "article" && entry.own && !entry.deleted) return entry.id;
  }
  return null;
}

/** The first message of others after an entry that was the newest before; null if there is none. */
export function firstAfter(entries: readonly Entry[], newest: string | null): MessageId | null {
  const at = entries.findIndex(({ id }) => id === newest);
  const found = at < 0 ? undefined : entries.slice(at + 1).find((entry) => entry.kind === "article" && !entry.own);
  return found?.kind === "article" ? found.id : null;
}
