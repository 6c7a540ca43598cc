// A conversation as the list and its header show it.

import { parseAnnouncement } from "../crypto/epoch.ts";
import { type FileInfo, shapeOf } from "../model/file.ts";
import { readDraft } from "../model/draft.ts";
import type { UserId } from "../model/ids.ts";
import { shownName } from "../model/name.ts";
import type { Waiting } from "../model/timeline.ts";
import type { Article, Barrier, Conversation, FilesBrief, Unshown } from "../model/view.ts";
import type { ConversationRecord, PersonRecord } from "../store/records.ts";
import type { Account } from "../sync/account.ts";
import { readLog } from "./log.ts";
import type { Names } from "./people.ts";
import { groupName } from "../sync/group-name.ts";

/** The context in which a conversation is computed. */
export interface ShowContext {
  people: ReadonlyMap<UserId, PersonRecord>;
  names: Names;
  /** Its messages in the outbox. */
  waiting: readonly Waiting[];
  /** The stored record. */
  draft: string;
}

/** Characters of a preview. */
const PREVIEW = 140;

function barrierOf(record: ConversationRecord, others: readonly UserId[], { people, names, waiting }: ShowContext): Barrier | null {
  if (record.gone) return { kind: "removed" };
  const [other] = others;
  if (!record.wire.isgroup && other) {
    const person = people.get(other);
    if (person?.blocked) return { kind: "youBlock", user: other, name: names.of(other) };
    if (person?.left) return { kind: "left", name: names.of(other) };
    // A device that has not seen the end learns of it when a message is refused. Not being friends is not enough: in conversations
    // from before this rule, the server accepts messages.
    const isEnded = person?.ended === true || waiting.some(({ held }) => held?.kind === "ended");
    if (isEnded && !person?.friend) return { kind: "ended", user: other, name: names.of(other) };
  }
  const changed = others.find((user) => people.get(user)?.trust === "changed");
  if (changed) return { kind: "keysChanged", user: changed, name: names.of(changed) };
  if (record.roster) {
    const members = new Set(record.roster.members.map(([user]) => user));
    const strangers = others.filter((user) => !members.has(user));
    if (strangers.length > 0) return { kind: "stranger", names: strangers.map(names.of) };
  }
  return null;
}

function previewOf(last: Article | undefined): Conversation["preview"] {
  if (!last) return null;
  return { name: last.name, own: last.own, text: last.text.slice(0, PREVIEW), files: filesBrief(last.files), instead: insteadOf(last) };
}

function insteadOf({ deleted, trouble }: Article): Unshown | null {
  if (deleted) return "deleted";
  return trouble === "notProven" || trouble === "forked" ? null : trouble;
}

function filesBrief(files: readonly FileInfo[]): FilesBrief | null {
  const [first] = files;
  if (!first) return null;
  const shape = shapeOf(first);
  return { shape: files.every((one) => shapeOf(one) === shape) ? shape : "document", count: files.length, name: first.name };
}

/** The newest article, with its updates, and with the outbox. */
async function lastArticle(account: Account, record: ConversationRecord, { waiting, names }: ShowContext): Promise<Article | undefined> {
  if (record.newestVisible === 0 && waiting.length === 0) return undefined;
  const from = record.newestVisible === 0 ? Number.MAX_SAFE_INTEGER : record.newestVisible;
  return (await readLog(account, record, waiting, names, from)).at(-1);
}

/** Whether it is hidden: for good, or as long as its content stays. */
const isHidden = ({ wire }: ConversationRecord): boolean =>
  wire.hiddenby.length > 0 || (wire.properties[0]?.hideid.split(";").includes(wire.instance) ?? false);

/** Whether nobody else was ever in it, as its epochs say: others could make a group without a name, and leave it behind. */
async function wasAlwaysOwn({ store, session }: Account, { wire, roster, gone }: ConversationRecord): Promise<boolean> {
  if (gone) return false;
  if (!roster) return session.keys.sign === null;
  const texts = [roster.announcement, ...(await store.epochs(wire.id)).map(({ announcement }) => announcement)];
  const announced = texts.filter((text) => text !== "").map(parseAnnouncement);
  return announced.every(({ by, added, removed }) => [by, ...added, ...removed].every((user) => user === session.user));
}

/** Combines what is known of a conversation; `brief`: without what has to be decrypted. */
export async function showConversation(
  account: Account,
  record: ConversationRecord,
  context: ShowContext,
  detail: "brief" | "whole",
): Promise<Conversation> {
  const { wire } = record;
  const me = account.session.user;
  const others = wire.participants.map(({ userid }) => userid).filter((id) => id !== me);
  const hasNames = others.length > 0 && detail === "brief";
  const name = hasNames ? membersOf(others, context.names) : await nameOf(account, record, others, context.names);
  // Saved messages have no name; a group that all others have left keeps its own, if it had one.
  const isSaved = wire.isgroup && others.length === 0 && name === "" && (await wasAlwaysOwn(account, record));
  const kind = !wire.isgroup ? "direct" : isSaved ? "saved" : "group";
  const [other] = others;
  const last = detail === "brief" ? undefined : await lastArticle(account, record, context);
  const [properties] = wire.properties;
  const color = properties?.listitembackgroundcolor ?? "";
  const draft = readDraft(context.draft);
  const announcement = record.roster && parseAnnouncement(record.roster.announcement);
  return {
    id: wire.id,
    kind,
    name: kind === "group" && name === "" ? context.names.of(me) : name,
    other: kind === "direct" ? (other ?? null) : null,
    color: color.toLowerCase() === "#ffffff" ? "" : color,
    favorite: properties?.isfavorite ?? false,
    muted: properties?.ismuted ?? false,
    hidden: isHidden(record),
    keep: record.keep,
    unread: record.unread,
    lastAt: Math.max(last?.at ?? 0, record.head?.message.date ?? 0),
    preview: previewOf(last),
    lastState: last?.own ? last.state : null,
    draft: draft.text,
    draftTarget: draft.target,
    memberCount: wire.participants.length,
    availableCount: others.filter((id) => context.people.get(id)?.availability === "available").length,
    // Servers of the published form do not disclose admins: then everyone may try.
    admin: wire.isgroup && !record.gone && (announcement === null || announcement.admins.includes(me)),
    barrier: barrierOf(record, others, context),
    renewedAt: record.rosterAt,
  };
}

const membersOf = (others: readonly UserId[], names: Names): string => others.map(names.of).slice(0, 4).join(", ");

/** The name to show. */
export async function nameOf(account: Account, { wire }: ConversationRecord, others: readonly UserId[], names: Names): Promise<string> {
  if (!wire.isgroup) return others[0] ? names.of(others[0]) : names.of(account.session.user);
  const epochs = wire.epoch > 0 ? await account.store.epochs(wire.id) : [];
  const name = await groupName(account.cipher, wire.id, wire.secret, wire.displayname, epochs);
  return shownName(name ?? "") || membersOf(others, names);
}
