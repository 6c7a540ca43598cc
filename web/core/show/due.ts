// What has to be read again, collected from hints until the next read.

import type { ConversationId } from "../model/ids.ts";
import type { Hint } from "../sync/account.ts";

/** How much of a conversation has changed: what the list says of it, the end of its log as well, or anything. */
const extents = ["heads", "grown", "conversations"] as const;

/** What has to be read again. */
export interface Due {
  list: boolean;
  outbox: boolean;
  conversations: Map<ConversationId, (typeof extents)[number]>;
}

/** Whether a hint is about what is read from the store. */
export const asksToRead = (hint: Hint): boolean =>
  hint.list === true || hint.outbox === true || extents.some((extent) => (hint[extent]?.length ?? 0) > 0);

/** What is due after a hint. */
export function addTo(due: Due | null, hint: Hint): Due {
  const conversations = new Map(due?.conversations);
  for (const extent of extents) for (const id of hint[extent] ?? []) raise(conversations, id, extent);
  return { list: due?.list === true || hint.list === true, outbox: due?.outbox === true || hint.outbox === true, conversations };
}

/** What is due of two together. */
export function mergeDue(one: Due, other: Due | null): Due {
  const conversations = new Map(one.conversations);
  for (const [id, extent] of other?.conversations ?? []) raise(conversations, id, extent);
  return { list: one.list || other?.list === true, outbox: one.outbox || other?.outbox === true, conversations };
}

function raise(conversations: Due["conversations"], id: ConversationId, extent: (typeof extents)[number]): void {
  const known = conversations.get(id);
  if (!known || extents.indexOf(known) < extents.indexOf(extent)) conversations.set(id, extent);
}
