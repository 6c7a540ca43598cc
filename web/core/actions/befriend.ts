// An invitation's link that is opened by a user who already has an account.

import { type ConversationId, userId } from "../model/ids.ts";
import type { Invitation, Outcome } from "../model/view.ts";
import { addFriend } from "../wire/people.ts";
import { addSentRequest } from "../sync/sent-requests.ts";
import type { Open } from "./context.ts";
import { writeTo } from "./conversations.ts";
import { prove } from "./invitations.ts";
import { attempt, ok } from "./outcome.ts";

/** Sends a friend request to the inviter. If the two are friends already, proves the link's secret and returns the conversation. */
export async function befriend(open: Open, invitation: Invitation): Promise<Outcome<ConversationId | null>> {
  const friend = userId(invitation.from);
  const asked = await attempt(() => addFriend(open.account.caller, { friendid: friend }));
  await open.ask({ kind: "resync" });
  // The inviter may have sent a request as well, so that the two are friends now.
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
