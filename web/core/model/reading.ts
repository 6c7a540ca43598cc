// What a reader checks of a signed message beyond its signature: that its author was shown the same transcript, the same epoch and
// the same key log, and that none of the author's messages is missing.

import { beginning } from "../crypto/chain.ts";
import { parseAnnouncement } from "../crypto/epoch.ts";
import { checkMark, type Followed, InvalidLog } from "../crypto/log.ts";
import type { Body } from "./body.ts";
import type { UserId } from "./ids.ts";
import type { Row } from "./timeline.ts";

/** What the reader was shown. */
export interface Reading {
  conversation: string;
  instance: string;
  /** The message's number. */
  seq: number;
  /** The hash of the announcement of its epoch. */
  announcement: string;
  /** The reader's own chain at a number; null if there is no such message. */
  chainAt: (seq: number) => string | null;
  /** The number of the station's message before; null where not all of them were read. */
  lastN: number | null;
  log: Followed;
}

/** What is wrong with a message whose signature is valid. */
export type Doubt = "differentTranscript" | "differentEpoch" | "differentLog" | "missingMessages" | "repeatedNumber";

/** Checks a message; null if all fits. */
export async function checkReading({ head, ep, log, n }: Body, view: Reading): Promise<Doubt | null> {
  const { conversation, instance, seq, chainAt, lastN } = view;
  if (!head) return "differentTranscript";
  const [at, chain] = head;
  const own = at === 0 ? await beginning(conversation, instance) : chainAt(at);
  if (at >= seq || own !== chain) return "differentTranscript";
  if (ep !== null && view.announcement !== "" && ep !== view.announcement) return "differentEpoch";
  if (log && isOther(view.log, log)) return "differentLog";
  if (lastN === null || n === null) return null;
  if (n <= lastN) return "repeatedNumber";
  return n > lastN + 1 ? "missingMessages" : null;
}

function isOther(held: Followed, mark: readonly [number, string]): boolean {
  try {
    checkMark(held, mark);
    return false;
  } catch (error) {
    if (error instanceof InvalidLog) return true;
    throw error;
  }
}

type Counted = Pick<Row, "user" | "content" | "trouble" | "station" | "n" | "epoch" | "byAdmin">;

/** Whether somebody was an admin of the group in the epoch of this announcement; nobody is where there is none. */
export const isAdminIn = (announcement: string | undefined, user: UserId): boolean =>
  !!announcement && parseAnnouncement(announcement).admins.includes(user);

/**
 * Tells which rows of the present epoch are by somebody who is not in its roster. Who has left since is in it, until the next epoch.
 */
export function outsiders(roster: { announcement: string; members: readonly (readonly [UserId, string])[] } | null): (row: Row) => boolean {
  if (!roster) return () => false;
  const present = parseAnnouncement(roster.announcement).epoch;
  const members = new Set(roster.members.map(([user]) => user));
  return ({ epoch, user }) => epoch === present && !members.has(user);
}

/**
 * Marks rows, in their order, whose station has skipped a number: messages of theirs are missing; and those of an epoch that had ended,
 * whose writer may have been removed since. Refuses those that use a number again. `hasGaps`: the content of messages in between was
 * deleted, so that nothing can be said of skipped ones.
 */
export function checkOrder<One extends Counted>(rows: readonly One[], hasGaps: boolean): One[] {
  const last = new Map<string, number>();
  let newest = 0;
  return rows.map((row) => {
    const key = `${row.user}/${row.station ?? ""}`;
    const before = last.get(key);
    const n = row.trouble === null || row.trouble === "forked" ? (row.n ?? null) : null;
    // After one that cannot be read, or does not say, nothing is known of the station's numbers.
    if (n === null) {
      last.delete(key);
      return row;
    }
    if (before !== undefined && n <= before) return { ...row, content: null, trouble: "neverReadable" };
    last.set(key, n);
    const epoch = row.epoch ?? newest;
    if (epoch < newest) return { ...row, trouble: "forked", byAdmin: false };
    newest = epoch;
    return before !== undefined && n > before + 1 && !hasGaps ? { ...row, trouble: "forked" } : row;
  });
}
