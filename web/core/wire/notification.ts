// What a socket tells, and what a client says through it.

import { type ConversationId, conversationId, type Instance, instanceOf, type MessageId, messageId, type StationId, stationId, type UserId, userId } from "../model/ids.ts";
import { message, report, type WireMessage, type WireReport } from "./conversation.ts";
import { type Decode, list, object, optional, parsed, text } from "./decode.ts";

/** A row as it was committed: a message or a report, and the id of the row of its kind before it. */
export interface WireEvent {
  conversationid: ConversationId;
  instance: Instance;
  message: WireMessage | null;
  report: WireReport | null;
  after: string;
}

/** A frame of a socket. */
export interface Frame {
  friends: UserId[];
  conversations: ConversationId[];
  /** Everything must be compared. */
  resync: boolean;
  events: WireEvent[];
  typing: { conversationid: ConversationId; userid: UserId }[];
  /** What was erased, for everyone. */
  erased: { conversationid: ConversationId; messageids: MessageId[] }[];
  /** One's own stations that have logged in for the first time. */
  stations: StationId[];
}

const fields = object({
  friendavailabilitesof: optional(list(parsed(userId)), []),
  conversationchangedof: optional(list(parsed(conversationId)), []),
  conversationlistchangedof: optional(list(text), []),
  events: optional(
    list(
      object<WireEvent>({
        conversationid: parsed(conversationId),
        instance: parsed(instanceOf),
        message: optional(message, null),
        report: optional(report, null),
        after: text,
      }),
    ),
    [],
  ),
  typing: optional(list(object({ conversationid: parsed(conversationId), userid: parsed(userId) })), []),
  erased: optional(list(object({ conversationid: parsed(conversationId), messageids: list(parsed(messageId)) })), []),
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

/** What several frames say, in their order. */
export const together = (frames: readonly Frame[]): Frame => ({
  friends: frames.flatMap(({ friends }) => friends),
  conversations: frames.flatMap(({ conversations }) => conversations),
  resync: frames.some(({ resync }) => resync),
  events: frames.flatMap(({ events }) => events),
  typing: frames.flatMap(({ typing }) => typing),
  erased: frames.flatMap(({ erased }) => erased),
  stations: frames.flatMap(({ stations }) => stations),
});

/** Says that one is writing. */
export const typingFrame = (id: ConversationId): string => JSON.stringify({ action: "typing", conversationid: id });

/** Asks for an answer. Servers that do not know it answer with an error, which is an answer, too. */
export const pingFrame = JSON.stringify({ action: "ping" });
