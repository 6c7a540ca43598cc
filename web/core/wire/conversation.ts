// srv=chatserver&api=chatconversation: conversations, and what is in them.

import {
  type ConversationId,
  conversationId,
  type FileId,
  type Instance,
  instanceOf,
  type MessageId,
  messageId,
  type ReportId,
  reportId,
  stationId,
  type UserId,
  userId,
} from "../model/ids.ts";
import type {
  Added,
  Conversation,
  Conversations,
  Epoch,
  Epochs,
  Link,
  ListChanges,
  Message,
  OneConversation,
  Page,
  Participant,
  Properties,
  Report,
  Stored,
  Transcript,
} from "./answers.ts";
import { type Caller, done } from "./call.ts";
import { answer, flag, integer, list, optional, orEmpty, parsed, text } from "./decode.ts";
import { fromWireTime, wireTime } from "./time.ts";
import type { SentMessage } from "./requests.ts";

const epoch = answer<Epoch>()({ epoch: integer, announcement: text, signature: text, secret: text });

/** An epoch as a conversation carries it. */
export type WireEpoch = ReturnType<typeof epoch>;

/** Reads a conversation. What older servers do not say has a value of its own: no epoch, nothing counted, no version. */
export const conversation = answer<Conversation>()({
  id: parsed(conversationId),
  isgroup: flag,
  participants: list(answer<Participant>()({ userid: parsed(userId), username: text })),
  displayname: text,
  lastmessageid: orEmpty(parsed(messageId)),
  lastreportid: orEmpty(parsed(reportId)),
  lastaccess: integer,
  secret: text,
  instance: parsed(instanceOf),
  hiddenby: list(text),
  properties: list(answer<Properties>()({ ismuted: flag, isfavorite: flag, hideid: text, listitembackgroundcolor: text })),
  chain: optional(text, ""),
  admins: optional(list(parsed(userId)), undefined),
  epoch: optional(integer, 0),
  epochs: optional(list(epoch), []),
  unread: optional(integer, null),
});

/** A conversation, as its caller sees it. */
export type WireConversation = ReturnType<typeof conversation>;

/** Reads a message. */
export const message = answer<Message>()({
  ID: parsed(messageId),
  Type: text,
  Created: parsed(fromWireTime),
  ValidUntil: parsed(fromWireTime),
  Data: text,
  User: parsed(userId),
  Station: parsed(stationId),
  Seq: integer,
  Chain: text,
});

/** A message, as the server keeps it; times in ms since 1970. */
export type WireMessage = ReturnType<typeof message> & {
  /** Of one whose content was removed here, as its time was over: what the chain covers of it. */
  DataHash?: string;
};

/** Reads a report. */
export const report = answer<Report>()({
  ID: parsed(reportId),
  Type: text,
  Created: parsed(fromWireTime),
  User: parsed(userId),
  MessageID: parsed(messageId),
});

/** A report: a message has reached somebody, or was seen. */
export type WireReport = ReturnType<typeof report>;

const one = answer<OneConversation>()({ conversation });
const page = answer<Page>()({ messages: list(message), reports: list(report), hasmore: optional(flag, false) });

/** A page of rows, oldest first. */
export type Rows = ReturnType<typeof page>;

const listPage = answer<Conversations & Pick<ListChanges, "known">>()({ conversations: list(conversation), hasmore: optional(flag, false), known: optional(text, "") });
const listAnswer = answer<ListChanges>()({
  conversations: list(conversation),
  conversationids: optional(list(parsed(conversationId)), null),
  known: optional(text, ""),
});

/** All conversations, in pages, and the mark to ask with for what changes. */
export async function listConversations(caller: Caller): Promise<{ conversations: WireConversation[]; mark: string }> {
  const all = new Map<ConversationId, WireConversation>();
  let after: ConversationId | undefined;
  // The first page's mark, as it covers changes while the other pages are read.
  let mark: string | undefined;
  for (;;) {
    const { conversations, hasmore, known } = await caller.call("chatconversation", "list", { limit: 500, after }, listPage);
    for (const found of conversations) all.set(found.id, found);
    mark ??= known;
    const last = conversations.at(-1);
    if (!hasmore || !last) return { conversations: [...all.values()], mark };
    after = last.id;
  }
}

/** The lines of the list that may have changed since this mark, the next mark, and all ids; null if the conversations are the same. */
export async function listChanges(
  caller: Caller,
  mark: string,
): Promise<{ changed: WireConversation[]; ids: ConversationId[] | null; mark: string }> {
  const { conversations, conversationids, known } = await caller.call("chatconversation", "list", { known: mark }, listAnswer);
  // A server that does not know `known` answers the whole list, without a mark.
  const ids = known === "" ? conversations.map(({ id }) => id) : conversationids;
  return { changed: conversations, ids, mark: known };
}

/** Where the rows of a conversation are. */
export interface Where {
  conversationid: ConversationId;
  instance: Instance;
}

/** A row that is held, as a cursor. */
export interface Cursor<Id> {
  id: Id;
  date: number;
}

/** The rows from these on, those included; without them, from the first on. */
export const download = (
  caller: Caller,
  where: Where,
  newest: { message: Cursor<MessageId> | null; report: Cursor<ReportId> | null },
): Promise<Rows> => {
  const fields = {
    ...where,
    ...(newest.message && { firstmessageid: newest.message.id, firstmessagedate: wireTime(newest.message.date) }),
    ...(newest.report && { firstreportid: newest.report.id, firstreportdate: wireTime(newest.report.date) }),
  };
  return caller.call("chatconversation", "download", fields, page);
};

/** The newest rows before this message, without it; without one, the newest. */
export const downloadBefore = (
  caller: Caller,
  where: Where,
  oldest: Cursor<MessageId> | null,
  limit: number,
): Promise<Rows> => {
  const cursor = oldest && { lastmessageid: oldest.id, lastmessagedate: wireTime(oldest.date) };
  return caller.call("chatconversation", "downloadpartial", { ...where, ...cursor, limit }, page);
};

const link = answer<Link>()({ Seq: integer, ID: parsed(messageId), DataHash: text, Chain: text });
const links = answer<Transcript>()({ transcript: list(link), hasmore: flag });

/** The links after a number. */
export const transcript = (caller: Caller, where: Where, afterseq: number): Promise<ReturnType<typeof links>> =>
  caller.call("chatconversation", "transcript", { ...where, afterseq, limit: 500 }, links);

/** A message to be stored. */
export interface SealedMessage {
  id: MessageId;
  type: string;
  created: number;
  validUntil: number | null;
  data: string;
  /** 0 where there are no epochs. */
  epoch: number;
  /** What goes with it: they end with the message. */
  files: readonly FileId[];
}

const stored = answer<Stored>()({ ID: parsed(messageId), Created: parsed(fromWireTime), ValidUntil: parsed(fromWireTime) });
const added = answer<Added>()({ message: stored });

/** Prepares to store a message; returns a function that does it. Sent again, the message is stored once. */
export const prepareAdd = (caller: Caller, where: Where, sealed: SealedMessage): Promise<() => Promise<ReturnType<typeof added>>> => {
  const message: SentMessage = {
    ID: sealed.id,
    Type: sealed.type,
    Created: wireTime(sealed.created),
    ...(sealed.validUntil !== null && { ValidUntil: wireTime(sealed.validUntil) }),
    Data: sealed.data,
  };
  // A document in a string, as in the published form; ours reads an object as well, which is what its schema says.
  const inString = JSON.stringify(message) as unknown as SentMessage;
  const more = { ...(sealed.epoch > 0 && { epoch: sealed.epoch }), ...(sealed.files.length > 0 && { files: sealed.files }) };
  return caller.prepare("chatconversation", "add", { ...where, message: inString, ...more }, added);
};

/** A change of the user's own settings of a conversation. */
export type Arrangement =
  | { action: "favorite" | "unfavorite" | "mute" | "unmute" | "unhide" | "hide" }
  | { action: "setlistitembackgroundcolor"; color: string };

/** Changes such a setting. */
export async function arrange(caller: Caller, id: ConversationId, { action, ...rest }: Arrangement): Promise<WireConversation> {
  const answer = await caller.call("chatconversation", action, { conversationid: id, ...rest }, one);
  return answer.conversation;
}

/** Deletes all messages for everyone, and begins a new instance. */
export async function clear(caller: Caller, where: Where): Promise<WireConversation> {
  return (await caller.call("chatconversation", "clear", { ...where }, one)).conversation;
}

/** Deletes what messages say, on the server, for everyone; their links in the chain stay. */
export const erase = (caller: Caller, where: Where, messageids: readonly MessageId[]): Promise<null> =>
  caller.call("chatconversation", "erase", { ...where, messageids }, done);

/** What a new epoch's maker hands in. */
export interface NewEpoch {
  announcement: string;
  signature: string;
}

/** The direct conversation with a friend: a new one, or the one that there is. */
export async function createDirect(
  caller: Caller,
  participantid: UserId,
  secrets: Record<string, string>,
  epochOf: NewEpoch | null,
): Promise<WireConversation> {
  // A direct conversation has no name of its own; each is shown the other's.
  const displaynames = Object.fromEntries(Object.keys(secrets).map((user) => [user, ""]));
  const fields = { participantid, secrets, displaynames, ...epochOf };
  return (await caller.call("chatconversation", "create", fields, one)).conversation;
}

/** Begins the next epoch. */
export const rekey = async (
  caller: Caller,
  where: Where,
  next: NewEpoch & {
    epoch: number;
    secrets: Record<string, string>;
    displaynames?: Record<string, string>;
    removeparticipants?: UserId[];
    addparticipants?: UserId[];
  },
): Promise<WireConversation> => (await caller.call("chatconversation", "rekey", { ...where, ...next }, one)).conversation;

const epochsAnswer = answer<Epochs>()({ epochs: list(epoch), hasmore: optional(flag, false) });

/** Epochs before this one, newest first; without it, from the newest on. */
export const epochs = (caller: Caller, conversationid: ConversationId, before: number | null): Promise<ReturnType<typeof epochsAnswer>> =>
  caller.call("chatconversation", "epochs", { conversationid, ...(before !== null && { before }) }, epochsAnswer);

/** Gives a participant the secrets of epochs that they do not have. */
export const shareEpochs = (caller: Caller, conversationid: ConversationId, userid: UserId, secrets: Record<string, string>): Promise<null> =>
  caller.call("chatconversation", "shareepochs", { conversationid, userid, secrets }, done);

/** Says what was seen, or has arrived. */
export const sendReport = (
  caller: Caller,
  type: "viewed" | "delivered",
  where: Where,
  messages: readonly Cursor<MessageId>[],
): Promise<null> => {
  const dates = messages.map(({ date }) => date);
  const fields = {
    ...where,
    firstmessagedate: wireTime(Math.min(...dates)),
    lastmessagedate: wireTime(Math.max(...dates)),
    messageids: messages.map(({ id }) => id),
  };
  return caller.call("chatreports", type, fields, done);
};
