// srv=chatserver&api=chatconversationgroup: conversations of more than two.

import { type ConversationId, conversationId, type UserId, userId } from "../model/ids.ts";
import type { Group, Invitation, Invitations } from "./answers.ts";
import { type Caller, done } from "./call.ts";
import { conversation, type NewEpoch, type WireConversation } from "./conversation.ts";
import { answer, list, optional, parsed, text } from "./decode.ts";

const group = answer<Group>()({ conversation, invited: optional(list(parsed(userId)), []) });

/** A group after a call, and the users who were invited instead of added. */
export type GroupAnswer = ReturnType<typeof group>;

/** A text for each participant, by user id. */
export type ForEach = Record<string, string>;

/** Creates a group; the caller becomes its admin. */
export const createGroup = (
  caller: Caller,
  of: { displayname: string; participantids: UserId[]; secrets: ForEach },
  epoch: NewEpoch | null,
): Promise<GroupAnswer> => caller.call("chatconversationgroup", "create", { ...of, ...epoch }, group);

/** Adds or invites people. */
export const addParticipants = (
  caller: Caller,
  of: { conversationid: ConversationId; participantids: UserId[]; secrets: ForEach; displaynames: ForEach },
): Promise<GroupAnswer> => caller.call("chatconversationgroup", "addparticipants", of, group);

/** Removes people. */
export const removeParticipants = (
  caller: Caller,
  conversationid: ConversationId,
  participantids: UserId[],
): Promise<GroupAnswer> => caller.call("chatconversationgroup", "removeparticipants", { conversationid, participantids }, group);

/** Renames a group. */
export const rename = (caller: Caller, conversationid: ConversationId, displaynames: ForEach): Promise<GroupAnswer> =>
  caller.call("chatconversationgroup", "rename", { conversationid, displaynames }, group);

/** Leaves a group. */
export const leave = (caller: Caller, conversationid: ConversationId): Promise<null> =>
  caller.call("chatconversationgroup", "leave", { conversationid }, done);

/** Makes a member an admin, or an admin a member. */
export const setRole = (
  caller: Caller,
  conversationid: ConversationId,
  participantid: UserId,
  role: "admin" | "member",
): Promise<GroupAnswer> => caller.call("chatconversationgroup", "setrole", { conversationid, participantid, role }, group);

const invitation = answer<Invitation>()({
  conversationid: parsed(conversationId),
  inviterid: parsed(userId),
  invitername: text,
  secret: text,
  displayname: text,
});
const invitationsAnswer = answer<Invitations>()({ invitations: list(invitation) });

/** An invitation to a group. */
export type GroupInvitation = ReturnType<typeof invitation>;

/** The user's pending group invitations. */
export const groupInvitations = async (caller: Caller): Promise<GroupInvitation[]> =>
  (await caller.call("chatconversationgroup", "invitations", {}, invitationsAnswer)).invitations;

/** Accepts an invitation. */
export const acceptGroup = async (caller: Caller, conversationid: ConversationId): Promise<WireConversation> =>
  (await caller.call("chatconversationgroup", "accept", { conversationid }, group)).conversation;

/** Declines one. */
export const declineGroup = (caller: Caller, conversationid: ConversationId): Promise<null> =>
  caller.call("chatconversationgroup", "decline", { conversationid }, done);
