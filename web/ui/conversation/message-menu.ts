// What can be done with a message.

import { words } from "../i18n/words.ts";
import type { Article, Conversation, ConversationId } from "../../core/index.ts";
import { saveFiles } from "../lazy.ts";
import { ask, show } from "../overlay.ts";
import { note } from "../parts/announcer.tsx";
import type { MenuItem } from "../parts/menu.tsx";
import { client, log } from "../state.ts";

/** What messages need of their conversation. It changes rarely, so that messages are rarely rendered again. */
export interface Place {
  id: ConversationId;
  kind: Conversation["kind"];
  name: string;
  /** The user may delete messages of others. */
  admin: boolean;
  /** The user can write here. */
  writable: boolean;
}

/** What the composer and the picker do for a message. */
export interface MessageActions {
  reply: (article: Article) => void;
  edit: (article: Article) => void;
  react: (article: Article) => void;
}

/** Asks for confirmation, and then deletes a message for everyone. */
export function askDelete(c: Place, article: Article): void {
  const w = words.value;
  const run = async (): ReturnType<ReturnType<typeof client>["erase"]> => client().erase(c.id, article.id);
  ask({ title: w.deleteTitle, text: w.deleteText, yes: w.delete, no: w.keep, run });
}

/** Copies the text of a message to the clipboard. */
export function copyText(article: Article): void {
  void navigator.clipboard.writeText(article.text).then(() => note(words.value.copied));
}

/** Whether the reader may change a message's text. */
export const canEdit = (article: Article): boolean => article.own && !article.deleted && article.state !== "notSent" && article.text !== "";

/** The items of the menu "More". */
export function messageItems(c: Place, article: Article, actions: MessageActions): MenuItem[] {
  const w = words.value;
  const info: MenuItem = { label: w.info, icon: "info", run: () => show({ kind: "info", id: c.id, article }) };
  if (article.deleted) return [info];
  const items: MenuItem[] = [];
  if (c.writable) {
    items.push({ label: w.reply, icon: "reply", run: () => actions.reply(article) });
    items.push({ label: w.react, icon: "smile", run: () => actions.react(article) });
  }
  if (article.text !== "") items.push({ label: w.copy, icon: "copy", run: () => copyText(article) });
  const isThere = article.state !== "sending" && article.state !== "notSent";
  if (article.files.length > 0 && isThere) items.push({ label: w.save, icon: "download", run: () => void saveFiles(article.files) });
  if (canEdit(article) && c.writable) {
    items.push({ label: w.edit, icon: "edit", run: () => actions.edit(article) });
  }
  items.push(info);
  if (article.own || (c.kind === "group" && c.admin)) {
    items.push({ label: w.delete, icon: "trash", danger: true, run: () => askDelete(c, article) });
  }
  return items;
}

const EDIT_WINDOW_MS = 15 * 60_000;

/** The newest own message that was not deleted, if arrow up may still edit it. */
export function editable(): Article | null {
  for (const entry of [...(log.value?.entries ?? [])].reverse()) {
    if (entry.kind !== "article" || !entry.own || entry.deleted) continue;
    return canEdit(entry) && Date.now() - entry.at < EDIT_WINDOW_MS ? entry : null;
  }
  return null;
}
