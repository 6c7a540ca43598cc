// What a message says (docs/e2ee.md, Kinds). An unknown kind or version is kept and shown as such, never dropped.

import { canonical, isObject, type Json, type JsonObject } from "../crypto/canonical.ts";
import { type FileInfo, fileFields, MAX_FILES, readFile } from "./file.ts";
import { InvalidId, type MessageId, messageId, type UserId, userId } from "./ids.ts";

/** What a message replies to. The target counts, once it is here, not the quote. */
export interface Reply {
  id: MessageId;
  user: UserId;
  quote: string;
}

/** What was written. */
export type Content =
  | { kind: "text"; text: string; reply: Reply | null; mentions: readonly UserId[] }
  | { kind: "file"; text: string; files: readonly FileInfo[]; reply: Reply | null; mentions: readonly UserId[] }
  | { kind: "edit"; of: MessageId; text: string; mentions: readonly UserId[] }
  | { kind: "delete"; of: readonly MessageId[] }
  | { kind: "reaction"; of: MessageId; emoji: string; off: boolean }
  | { kind: "pin"; of: MessageId; off: boolean }
  | { kind: "verify"; mac: string }
  | { kind: "settings"; fields: JsonObject }
  /** A kind that this client does not know; `alt` is the text to show instead, if any. */
  | { kind: "unknown"; alt: string };

/** A decoded body. */
export interface Body {
  content: Content;
  /** The number of the message among those of its writer's station; null if it has none. */
  n: number | null;
  /** The newest message that its writer had seen. */
  head: readonly [seq: number, chain: string] | null;
  /** The hash of the announcement of its epoch. */
  ep: string | null;
  /** The size and root of the key log, as its writer knew it. */
  log: readonly [size: number, root: string] | null;
}

/** A body of another version: it needs a newer client. */
export class NewerVersion extends Error {
  constructor() {
    super("a message needs a newer client");
    this.name = "NewerVersion";
  }
}

/** A body that is not what docs/e2ee.md says. */
export class MalformedBody extends Error {
  constructor() {
    super("a message is malformed");
    this.name = "MalformedBody";
  }
}

/** Characters of a quote. */
export const MAX_QUOTE = 200;

/** The Type on the wire: `Message` counts as unread, `Update` does not. */
export const typeOf = (content: Content): "Message" | "Update" =>
  content.kind === "text" || content.kind === "file" || content.kind === "unknown" ? "Message" : "Update";

function text(fields: JsonObject, name: string): string {
  const value = fields[name];
  if (typeof value !== "string") throw new MalformedBody();
  return value;
}

function id<T>(value: Json | undefined, parse: (text: string) => T): T {
  if (typeof value !== "string") throw new MalformedBody();
  try {
    return parse(value);
  } catch (error) {
    if (error instanceof InvalidId) throw new MalformedBody();
    throw error;
  }
}

function ids<T>(value: Json | undefined, parse: (text: string) => T): T[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw new MalformedBody();
  return (value as readonly Json[]).map((one) => id(one, parse));
}

function reply(value: Json | undefined): Reply | null {
  if (!isObject(value)) return null;
  return { id: id(value["id"], messageId), user: id(value["user"], userId), quote: text(value, "quote").slice(0, MAX_QUOTE) };
}

function files(value: Json | undefined): FileInfo[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > MAX_FILES) throw new MalformedBody();
  return (value as readonly Json[]).map((one) => {
    const found = readFile(one);
    if (!found) throw new MalformedBody();
    return found;
  });
}

function readContent(fields: JsonObject): Content {
  const kind = text(fields, "kind");
  const off = fields["off"] === true;
  switch (kind) {
    case "text":
      return { kind, text: text(fields, "text"), reply: reply(fields["reply"]), mentions: ids(fields["mentions"], userId) };
    case "file":
      return {
        kind,
        text: typeof fields["text"] === "string" ? fields["text"] : "",
        files: files(fields["files"]),
        reply: reply(fields["reply"]),
        mentions: ids(fields["mentions"], userId),
      };
    case "edit":
      return { kind, of: id(fields["of"], messageId), text: text(fields, "text"), mentions: ids(fields["mentions"], userId) };
    case "delete":
      return { kind, of: ids(fields["of"], messageId) };
    case "reaction":
      return { kind, of: id(fields["of"], messageId), emoji: text(fields, "emoji").slice(0, 32), off };
    case "pin":
      return { kind, of: id(fields["of"], messageId), off };
    case "verify":
      return { kind, mac: text(fields, "mac") };
    case "settings":
      return { kind, fields };
    default:
      return { kind: "unknown", alt: typeof fields["alt"] === "string" ? fields["alt"] : "" };
  }
}

/** Reads a body; throws `NewerVersion`, `MalformedBody`. */
export function readBody(json: string): Body {
  let fields: Json;
  try {
    fields = JSON.parse(json) as Json;
  } catch {
    throw new MalformedBody();
  }
  if (!isObject(fields)) throw new MalformedBody();
  const { v, n, head, ep, log } = fields;
  if (typeof v === "number" && v > 1) throw new NewerVersion();
  if (v !== 1) throw new MalformedBody();
  return {
    content: readContent(fields),
    n: typeof n === "number" ? n : null,
    head: readHead(head),
    ep: typeof ep === "string" ? ep : null,
    log: readHead(log),
  };
}

/** Reads the body of a signed message, which says more than one of the published form; throws `NewerVersion`, `MalformedBody`. */
export function readSigned(json: string): Body {
  const body = readBody(json);
  if (body.n === null || body.head === null) throw new MalformedBody();
  return body;
}

function readHead(value: Json | undefined): readonly [number, string] | null {
  if (!Array.isArray(value)) return null;
  const [seq, chain] = value as readonly Json[];
  return typeof seq === "number" && typeof chain === "string" ? [seq, chain] : null;
}

/** The fields of a body besides its content. */
export interface Envelope {
  at: string;
  until: string | null;
  n: number;
  head: readonly [seq: number, chain: string];
  ep: string | null;
  log: readonly [size: number, root: string] | null;
}

/** Writes a body, canonically. */
export function writeBody(content: Content, { at, until, n, head, ep, log }: Envelope): string {
  const common = { v: 1, at, n, head, ...(until !== null && { until }), ...(ep !== null && { ep }), ...(log && { log }) };
  return canonical({ ...common, ...fieldsOf(content) });
}

/** The fields of a content, on the wire and in the outbox. */
export function fieldsOf(content: Content): JsonObject {
  switch (content.kind) {
    case "file":
    case "text": {
      const { kind, text: written, reply: target, mentions } = content;
      return {
        kind,
        ...(content.kind === "file" && { files: content.files.map(fileFields) }),
        ...((kind === "text" || written !== "") && { text: written }),
        ...(target && { reply: { id: target.id, user: target.user, quote: target.quote.slice(0, MAX_QUOTE) } }),
        ...(mentions.length > 0 && { mentions }),
      };
    }
    case "edit": {
      const { mentions, ...rest } = content;
      return { ...rest, ...(mentions.length > 0 && { mentions }) };
    }
    case "reaction":
    case "pin": {
      const { off, ...rest } = content;
      return { ...rest, ...(off && { off }) };
    }
    case "settings":
      return content.fields;
    case "delete":
    case "verify":
      return { ...content };
    case "unknown":
      throw new MalformedBody();
  }
}
