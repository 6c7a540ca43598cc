// Computes what a conversation shows from its rows: a pure function, whose result does not depend on the order in which rows came.

import { type Content, MAX_QUOTE, type Reply } from "./body.ts";
import { wordsOf } from "./file.ts";
import type { MessageId, UserId } from "./ids.ts";
import type { Article, Reaction, SendState, Trouble } from "./view.ts";

/** A decrypted row, or why it could not be decrypted. */
export interface Row {
  seq: number;
  id: MessageId;
  user: UserId;
  /** When it was written, and when it disappears; ms since 1970. */
  at: number;
  until: number | null;
  /** `Message` or `Update`. */
  type: string;
  content: Content | null;
  trouble: Trouble | null;
  /** Its content was deleted on the server, for everyone. */
  erased?: boolean;
  /** Its writer's station, and the station's own count of its messages; null if the message has none. */
  station?: string;
  n?: number | null;
  /** Its epoch; null if it is not signed. */
  epoch?: number | null;
  /** Of a deletion: whether its writer was an admin of the group in its epoch. */
  byAdmin?: boolean;
}

/** An own message in the outbox. */
export interface Waiting {
  id: MessageId;
  at: number;
  content: Content;
  held: Article["held"];
}

/** The newest message that was delivered to, and the newest that was seen by, a user. */
export interface Reach {
  delivered: number;
  seen: number;
}

/** The context in which rows are interpreted. */
export interface Context {
  me: UserId;
  isGroup: boolean;
  nameOf: (user: UserId) => string;
  /** The present admins. */
  isAdmin: (user: UserId) => boolean;
  /** Of the others. */
  reach: ReadonlyMap<UserId, Reach>;
  /** The present time: expired messages are not shown. */
  now?: number;
}

interface Change {
  seq: number;
  user: UserId;
  at: number;
  content: Content;
  byAdmin: boolean;
}

/**
 * Whether an update with this mark takes effect: if and only if its signature is valid, whatever else is wrong. A message that was
 * withheld must not undo what its writer deleted, or decided.
 */
export const isEffective = (trouble: Trouble | null): boolean => trouble === null || trouble === "forked";

/** Updates by their target; those in the outbox count as the newest. */
function changesByTarget(rows: readonly Row[], waiting: readonly Waiting[], { me, isAdmin }: Pick<Context, "me" | "isAdmin">): Map<string, Change[]> {
  const found = new Map<string, Change[]>();
  const note = (target: string, change: Change): void => {
    const list = found.get(target);
    if (list) list.push(change);
    else found.set(target, [change]);
  };
  const take = (change: Change): void => {
    const { content } = change;
    if (content.kind === "delete") for (const target of content.of) note(target, change);
    else if (content.kind === "edit" || content.kind === "reaction" || content.kind === "pin") note(content.of, change);
  };
  for (const { seq, user, at, content, trouble, byAdmin = false } of rows) {
    if (content && isEffective(trouble)) take({ seq, user, at, content, byAdmin });
  }
  waiting.forEach(({ at, content, held }, i) => {
    if (!held) take({ seq: Number.MAX_SAFE_INTEGER - waiting.length + i, user: me, at, content, byAdmin: isAdmin(me) });
  });
  for (const list of found.values()) list.sort((one, other) => one.seq - other.seq);
  return found;
}

/** The state of reactions to a message: for each user and emoji the highest Seq wins. */
export function reactionsOf(changes: readonly Change[], context: Pick<Context, "me" | "nameOf">): Reaction[] {
  const states = new Map<string, Map<UserId, boolean>>();
  for (const { user, content } of changes) {
    if (content.kind !== "reaction") continue;
    const users = states.get(content.emoji) ?? new Map<UserId, boolean>();
    states.set(content.emoji, users.set(user, !content.off));
  }
  return [...states].flatMap(([emoji, users]) => {
    const on = [...users].filter(([, is]) => is).map(([user]) => user);
    return on.length === 0 ? [] : [{ emoji, mine: on.includes(context.me), names: on.filter((user) => user !== context.me).map(context.nameOf) }];
  });
}

/** The delivery state of an own message: in a group, the furthest state that anyone has reported. */
export function stateOf(seq: number, reach: ReadonlyMap<UserId, Reach>): SendState {
  let state: SendState = "sent";
  for (const { delivered, seen } of reach.values()) {
    if (seen >= seq) return "seen";
    if (delivered >= seq) state = "delivered";
  }
  return state;
}

const isOver = ({ until }: Row, { now }: Pick<Context, "now">): boolean => until !== null && now !== undefined && until <= now;
const isShown = (content: Content | null): boolean => content === null || content.kind === "text" || content.kind === "file" || content.kind === "unknown";

/** Each version of a text, oldest first: the first is how it was written. Of one that was deleted there is none. */
export function versionsOf(row: Row, rows: readonly Row[]): { at: number; text: string }[] {
  const changes = changesByTarget(rows, [], { me: row.user, isAdmin: () => false }).get(row.id) ?? [];
  if (isDeleted(row, changes)) return [];
  const first = row.content?.kind === "text" || row.content?.kind === "file" ? [{ at: row.at, text: row.content.text }] : [];
  const later = changes.flatMap(({ user, at, content }) =>
    user === row.user && content.kind === "edit" ? [{ at, text: content.text }] : [],
  );
  return [...first, ...later];
}

// A held update blocks the messages behind it, so it is shown like a message, to be retried or discarded.
function inWords(content: Content): Content {
  switch (content.kind) {
    case "edit":
      return { kind: "text", text: content.text, reply: null, mentions: content.mentions };
    case "reaction":
      return { kind: "text", text: content.emoji, reply: null, mentions: [] };
    case "text":
    case "file":
    case "unknown":
      return content;
    default:
      return { kind: "text", text: "", reply: null, mentions: [] };
  }
}

/** The articles of these rows, oldest first, then those of the outbox. */
export function articles(rows: readonly Row[], waiting: readonly Waiting[], context: Context): Article[] {
  const changes = changesByTarget(rows, waiting, context);
  const byId = new Map<string, Row>(rows.map((row) => [row.id, row]));
  const out: Article[] = [];
  for (const row of rows) {
    if (row.type === "Update" || !isShown(row.content) || isOver(row, context)) continue;
    const own = row.user === context.me;
    const state = own ? stateOf(row.seq, context.reach) : null;
    const seenBy = own && context.isGroup ? [...context.reach].filter(([, { seen }]) => seen >= row.seq).map(([id]) => id) : [];
    out.push(article(row, { own, state, seenBy, held: null }, changes, byId, context));
  }
  for (const { id, at, content: written, held } of waiting) {
    const content = held ? inWords(written) : written;
    // Its row may be here before it is removed from the outbox.
    if (!isShown(content) || byId.has(id)) continue;
    const row: Row = { seq: Number.MAX_SAFE_INTEGER, id, user: context.me, at, until: null, type: "Message", content, trouble: null };
    const state = held ? "notSent" : "sending";
    out.push(article(row, { own: true, state, seenBy: [], held }, changes, byId, context));
  }
  return out;
}

interface Delivery {
  own: boolean;
  state: SendState | null;
  seenBy: readonly UserId[];
  held: Article["held"];
}

/** The newest version of a text: only its writer can change it, the highest Seq wins. */
function written(row: Row, changes: readonly Change[]): { text: string; mentions: readonly UserId[] } | null {
  const last = changes.findLast(({ user, content }) => content.kind === "edit" && user === row.user)?.content;
  if (last?.kind === "edit") return last;
  return row.content?.kind === "text" || row.content?.kind === "file" ? row.content : null;
}

const isDeleted = ({ user: writer, erased = false }: Pick<Row, "user" | "erased">, changes: readonly Change[]): boolean =>
  erased || changes.some(({ user, content, byAdmin }) => content.kind === "delete" && (user === writer || byAdmin));

type ByTarget = ReadonlyMap<string, readonly Change[]>;

function article(row: Row, delivery: Delivery, all: ByTarget, byId: ReadonlyMap<string, Row>, context: Context): Article {
  const { content } = row;
  const changes = all.get(row.id) ?? [];
  const deleted = isDeleted(row, changes);
  const newest = written(row, changes);
  const text = newest?.text ?? (content?.kind === "unknown" ? content.alt : "");
  const mentions = (newest?.mentions ?? []).map((user) => [context.nameOf(user), user] as const);
  return {
    kind: "article",
    id: row.id,
    user: row.user,
    name: context.nameOf(row.user),
    own: delivery.own,
    admin: context.isGroup && context.isAdmin(row.user),
    at: row.at,
    text: deleted ? "" : text,
    mentions: new Map(deleted ? [] : mentions),
    files: !deleted && content?.kind === "file" ? content.files : [],
    reply: deleted || !(content?.kind === "text" || content?.kind === "file") || !content.reply ? null : quote(content.reply, all, byId, context),
    edited: newest !== content && newest !== null,
    deleted,
    reactions: deleted ? [] : reactionsOf(changes, context),
    // One that is held is shown until its writer has discarded it.
    state: deleted && !delivery.held ? null : delivery.state,
    seenBy: delivery.seenBy.map((id) => ({ id, name: context.nameOf(id) })),
    until: row.until,
    trouble: deleted ? null : row.trouble ?? (content?.kind === "unknown" && content.alt === "" ? "newerClient" : null),
    held: delivery.held,
  };
}

// If the target is here, its text is shown, not the quote that the reply carries.
function quote(reply: Reply, all: ByTarget, byId: ReadonlyMap<string, Row>, context: Context): Article["reply"] {
  const held = byId.get(reply.id);
  const target = held && !isOver(held, context) ? held : undefined;
  const { user } = target ?? reply;
  const changes = all.get(reply.id) ?? [];
  const deleted = isDeleted(target ?? reply, changes);
  const files = target?.content?.kind === "file" ? target.content.files : [];
  const text = target ? wordsOf({ text: written(target, changes)?.text ?? "", files }) : reply.quote;
  return { id: reply.id, name: context.nameOf(user), own: user === context.me, quote: deleted ? "" : text.slice(0, MAX_QUOTE), deleted };
}
