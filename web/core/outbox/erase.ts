// Deletes the content of messages on the server, beside the update that hides them in every client.

import type { ConversationId, MessageId } from "../model/ids.ts";
import type { Account } from "../sync/account.ts";
import { erase } from "../wire/conversation.ts";
import { isPassing, isUnauthorized, Refused } from "../wire/refusal.ts";

/** Messages that one call names. */
const MAX_IDS = 100;

/** Throws if it has to be tried again, or the station is signed out. Servers of the published API do not know the call. */
export async function eraseContent({ store, caller }: Account, conversation: ConversationId, messages: readonly MessageId[]): Promise<void> {
  const record = await store.conversation(conversation);
  if (!record) return;
  try {
    for (let from = 0; from < messages.length; from += MAX_IDS) {
      await erase(caller, { conversationid: conversation, instance: record.instance }, messages.slice(from, from + MAX_IDS));
    }
  } catch (error) {
    if (!(error instanceof Refused) || isPassing(error) || isUnauthorized(error)) throw error;
  }
}
