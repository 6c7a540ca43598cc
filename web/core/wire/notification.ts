// Frames of the WebSocket, in both directions.

import { type ConversationId, conversationId, instanceOf, type MessageId, messageId, type StationId, stationId, type UserId, userId } from "../model/ids.ts";
import type { Erased, Event, Notification, Typing } from "./answers.ts";
import { message, report } from "./conversation.ts";
import { answer, type Decode, list, optional, parsed, text } from "./decode.ts";

/** A row as it was committed: a message or a report, and the id of the row of its kind before it. */
export type WireEvent = ReturnType<typeof event>;

/** A frame of a socket. */
export interface Frame {
  friends: UserId[];
  conversations: ConversationId[];
  /** A resync is required. */
  resync: boolean;
  events: WireEvent[];
  typing: { conversationid: ConversationId; userid: UserId }[];
  /** What was erased, for everyone. */
  erased: { conversationid: ConversationId; messageids: MessageId[] }[];
  /** The user's stations that have logged in for the first time. */
  stations: StationId[];
}

const event = answer<Event>()({
  conversationid: parsed(conversationId),
  instance: parsed(instanceOf),
  message: optional(message, null),
  report: optional(report, null),
  after: text,
});
const fields = answer<Notification>()({
  friendavailabilitesof: optional(list(parsed(userId)), []),
  conversationchangedof: optional(list(parsed(conversationId)), []),
  conversationlistchangedof: optional(list(text), []),
  events: optional(list(event), []),
  typing: optional(list(answer<Typing>()({ conversationid: parsed(conversationId), userid: parsed(userId) })), []),
  erased: optional(list(answer<Erased>()({ conversationid: parsed(conversationId), messageids: list(parsed(messageId)) })), []),
  newstations: optional(list(parsed(stationId)), []),
});

/** Reads a frame. */
export const frame: Decode<Frame> = (value, path) => {
  const found = fields(value, path);
  return {
    friends: found.friendavailabilitesof,
    conversations: found.conversationchangedof,
    resync: found.conversationlistchangedof.length > 0,
    events: found.events,
    typing: found.typing,
    erased: found.erased,
    stations: found.newstations,
  };
};

/** Merges several frames, in their order. */
export const mergeFrames = (frames: readonly Frame[]): Frame => ({
  friends: frames.flatMap(({ friends }) => friends),
  conversations: frames.flatMap(({ conversations }) => conversations),
  resync: frames.some(({ resync }) => resync),
  events: frames.flatMap(({ events }) => events),
  typing: frames.flatMap(({ typing }) => typing),
  erased: frames.flatMap(({ erased }) => erased),
  stations: frames.flatMap(({ stations }) => stations),
});

/** Says that the user is typing. */
export const typingFrame = (id: ConversationId): string => JSON.stringify({ action: "typing", conversationid: id });

/** A ping. Servers that do not know it answer with an error, which serves as well. */
export const pingFrame = JSON.stringify({ action: "ping" });
