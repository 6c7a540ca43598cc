// Branded types for ids, so that they cannot be confused; each is validated where it enters.

declare const brand: unique symbol;
type Brand<Name extends string> = string & { readonly [brand]: Name };

/** A user: 32 hexadecimal digits, the MD5 of the address. */
export type UserId = Brand<"user">;
/** A station, the installation of a client: 32 hexadecimal digits. */
export type StationId = Brand<"station">;
/** A conversation: 32 hexadecimal digits. */
export type ConversationId = Brand<"conversation">;
/** A message: a UUID, chosen by its sender. */
export type MessageId = Brand<"message">;
/** A file: a UUID, chosen by its sender. */
export type FileId = Brand<"file">;
/** A report on a message. */
export type ReportId = Brand<"report">;
/** The content of a conversation between two calls of `clear`: 10 letters and digits. */
export type Instance = Brand<"instance">;

const hex32 = /^[0-9a-f]{32}$/;
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** A text that is not a valid id. */
export class InvalidId extends Error {
  constructor(what: string) {
    super(`expected ${what}`);
    this.name = "InvalidId";
  }
}

function parse<T extends string>(text: string, pattern: RegExp, what: string): T {
  const lower = text.toLowerCase();
  if (!pattern.test(lower)) throw new InvalidId(what);
  return lower as T;
}

/** Reads a user's id. */
export const userId = (text: string): UserId => parse(text, hex32, "a user id");
/** Reads a station's id. */
export const stationId = (text: string): StationId => parse(text, hex32, "a station id");
/** Reads a conversation's id. */
export const conversationId = (text: string): ConversationId => parse(text, hex32, "a conversation id");
/** Reads a message's id. */
export const messageId = (text: string): MessageId => parse(text, uuid, "a message id");
/** Reads a file's id. */
export const fileId = (text: string): FileId => parse(text, uuid, "a file id");

/** Reads an instance. Its letters have a case. */
export function instanceOf(text: string): Instance {
  if (!/^[A-Za-z0-9]{1,32}$/.test(text)) throw new InvalidId("an instance");
  return text as Instance;
}

/** Reads a report's id: opaque, but bounded. */
export function reportId(text: string): ReportId {
  if (!/^[0-9A-Za-z-]{1,64}$/.test(text)) throw new InvalidId("a report id");
  return text as ReportId;
}
