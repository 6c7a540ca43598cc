// Actions on messages: sending, editing, deleting, reacting.

import type { Content, Reply } from "../model/body.ts";
import { type KeptDraft, writeDraft } from "../model/draft.ts";
import { type ConversationId, type MessageId, messageId, userId } from "../model/ids.ts";
import type { Draft } from "../model/written.ts";
import { eraseContent } from "../outbox/erase.ts";
import { contentOf, submit, waiting } from "../outbox/queue.ts";
import type { Change } from "../store/backend.ts";
import { box } from "../store/box.ts";
import { change } from "../store/store.ts";
import { isPassing } from "../wire/refusal.ts";
import type { Open } from "./context.ts";

const newId = (): ReturnType<typeof messageId> => messageId(crypto.randomUUID());

function replyOf(draft: Draft): Reply | null {
  const { reply } = draft;
  return reply && { id: messageId(reply.id), user: userId(reply.user), quote: reply.text.slice(0, 200) };
}

const mentionsOf = (draft: Draft): ReturnType<typeof userId>[] => [...new Set([...draft.mentions.values()].map(userId))];

/** Puts a message into the outbox, and deletes the draft and writes `also` in the same batch. */
export function send({ account }: Open, conversation: ConversationId, draft: Draft, also: readonly Change[]): Promise<void> {
  const common = { text: draft.text, reply: replyOf(draft), mentions: mentionsOf(draft) };
  const files = draft.files ?? [];
  const content: Content = files.length > 0 ? { kind: "file", files, ...common } : { kind: "text", ...common };
  return submit(account, { conversation, id: newId(), content, until: null }, change.draft(conversation, null), ...also);
}

// An update expires with the message that it is about.
async function update({ account }: Open, conversation: ConversationId, of: string, content: Content): Promise<void> {
  const seq = await account.store.seqOf(conversation, messageId(of));
  const [row] = seq === undefined ? [] : await account.store.rows(conversation, seq, seq);
  await submit(account, { conversation, id: newId(), content, until: row?.ValidUntil ?? null });
}

/** Changes the text of an own message. */
export const edit = (open: Open, conversation: ConversationId, of: string, draft: Draft): Promise<void> =>
  update(open, conversation, of, { kind: "edit", of: messageId(of), text: draft.text, mentions: mentionsOf(draft) });

/** The edits of a message that is here, including those in the outbox. */
async function editsOf({ account }: Open, conversation: ConversationId, of: MessageId, seq: number): Promise<MessageId[]> {
  const { store, cipher } = account;
  const record = await store.conversation(conversation);
  if (!record) return [];
  const [target, ...later] = await store.rows(conversation, seq);
  const updates = later.filter(({ Type, User }) => Type === "Update" && User === target?.User);
  const outbox = (await store.outbox()).map(async (one) => ({ id: one.id, content: await contentOf(account, one) }));
  const known = [...(await cipher.openAll(record, updates)), ...(await Promise.all(outbox))];
  return known.flatMap(({ id, content }) => (content?.kind === "edit" && content.of === of ? [id] : []));
}

/** Deletes a message and its edits for everyone; one that has not been sent is only taken out of the outbox. */
export async function erase(open: Open, conversation: ConversationId, of: string): Promise<void> {
  const { account, ask } = open;
  const id = messageId(of);
  if (await waiting(account, of)) await ask({ kind: "discard", message: of });
  const seq = await account.store.seqOf(conversation, id);
  // It may have been stored already, so the deletion is queued behind it.
  if (seq === undefined && !(await waiting(account, of))) return;
  const all = [id, ...(seq === undefined ? [] : await editsOf(open, conversation, id, seq))];
  await update(open, conversation, of, { kind: "delete", of: all });
  if (seq === undefined) return;
  // The outbox erases it, too, before it sends the update, which may be held until the user has reviewed a key.
  try {
    await eraseContent(account, conversation, all);
  } catch (error) {
    if (!isPassing(error)) throw error;
  }
}

/** Adds or removes a reaction. */
export const react = (open: Open, conversation: ConversationId, of: string, emoji: string, on: boolean): Promise<void> =>
  update(open, conversation, of, { kind: "reaction", of: messageId(of), emoji, off: !on });

/** Encrypts a draft; the function that it returns starts the write synchronously. */
export async function prepareDraft({ account }: Open, conversation: ConversationId, draft: KeptDraft): Promise<() => Promise<void>> {
  const text = writeDraft(draft);
  const boxed = text === "" ? null : await box(account.session.box, text);
  return async () => {
    await account.store.writeOwn(change.draft(conversation, boxed));
    account.notify({ heads: [conversation] });
  };
}

/** Removes a held message from the outbox. */
export const discard = async (open: Open, message: string): Promise<void> => {
  await open.ask({ kind: "discard", message });
};
