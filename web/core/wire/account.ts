// srv=chatserver&api=chatlogin, the signed actions: invitations, the user's name, deleting the account.

import type { Invite, Invites, NewInvite } from "./answers.ts";
import { type Caller, done } from "./call.ts";
import { answer, flag, integer, list, optional, parsed, text } from "./decode.ts";
import { fromWireTime } from "./time.ts";

const inviteAnswer = answer<NewInvite>()({ inviteid: text, invite: text, link: text, expires: parsed(fromWireTime) });

/** An invitation that was just made; the server does not keep its code. */
export type MadeInvite = ReturnType<typeof inviteAnswer>;

/** Makes an invitation for one person, for a week. */
export const invite = (caller: Caller): Promise<MadeInvite> => caller.call("chatlogin", "invite", {}, inviteAnswer);

const inviteOfOne = answer<Invite>()({
  inviteid: text,
  uses: optional(integer, 1),
  created: parsed(fromWireTime),
  expires: parsed(fromWireTime),
  open: flag,
});
const invitesAnswer = answer<Invites>()({ invites: list(inviteOfOne) });

/** The user's newest invitations. */
export const invites = async (caller: Caller): Promise<ReturnType<typeof invitesAnswer>["invites"]> =>
  (await caller.call("chatlogin", "invites", {}, invitesAnswer)).invites;

/** Revokes an invitation. */
export const revokeInvite = (caller: Caller, inviteid: string): Promise<null> =>
  caller.call("chatlogin", "revokeinvite", { inviteid }, done);

/** Changes the user's name. */
export const setProfile = (caller: Caller, name: string): Promise<null> =>
  caller.call("chatlogin", "profile", { fullname: name, nick: name }, done);

/** Deletes the account, for good. */
export const deleteAccount = (caller: Caller, apikey: string): Promise<null> =>
  caller.call("chatlogin", "delete", { apikey }, done);
