// What becomes of an invitation's link in the hands of who has an account.

import { type ConversationId, userId } from "../model/ids.ts";
import type { Invitation, Outcome } from "../model/view.ts";
import { addFriend } from "../wire/people.ts";
import { addSentRequest } from "../sync/sent-requests.ts";
import type { Open } from "./context.ts";
import { writeTo } from "./conversations.ts";
import { prove } from "./invitations.ts";
import { attempt, ok } from "./outcome.ts";

/** Asks who made the link for a friendship; of friends, returns the conversation, in which the link's secret was proved. */
export async function befriend(open: Open, invitation: Invitation): Promise<Outcome<ConversationId | null>> {
  const friend = userId(invitation.from);
  const asked = await attempt(() => addFriend(open.account.caller, { friendid: friend }));
  await open.ask({ kind: "resync" });
  // Who made the link may have made us friends already.
  const person = await open.account.store.person(friend);
  if (!person?.friend) {
    if (!asked.ok) return asked;
    const name = person?.name || person?.email;
    if (name) await addSentRequest(open.account, friend, name);
    return ok(null);
  }
  const conversation = await writeTo(open, friend);
  if (conversation.ok) await prove(open, conversation.value, invitation);
  return conversation;
}
