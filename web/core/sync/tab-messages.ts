// Messages between tabs: requests to the leading tab, hints, and the connection's state. Ids only.

import { type ConversationId, conversationId, fileId, type MessageId, messageId, userId } from "../model/ids.ts";
import type { Upload } from "../model/view.ts";
import { type Decode, flag, integer, list, Malformed, object, optional, parsed, text } from "../wire/decode.ts";
import type { Hint } from "./account.ts";
import type { ConnectionState } from "./connection.ts";

/** A request to the leading tab. */
export type LeaderRequest =
  | { kind: "older"; id: ConversationId }
  | { kind: "seen"; id: ConversationId; seq: number }
  | { kind: "typing"; id: ConversationId }
  | { kind: "retry" | "discard"; message: string }
  /** Resync; connect now; take over from another browser that uses this station; send the connection's state. */
  | { kind: "resync" | "wake" | "useHere" | "state" };

/** What tabs post. */
export type TabMessage =
  | { post: "upload"; message: MessageId; upload: Upload | null }
  | { post: "hint"; hint: Hint } | { post: "ask"; ask: LeaderRequest } | { post: "connection"; state: ConnectionState };

const id = parsed(conversationId);
const hint: Decode<Hint> = object<Hint>({
  conversations: optional(list(id), []),
  grown: optional(list(id), []),
  heads: optional(list(id), []),
  list: optional(flag, false),
  outbox: optional(flag, false),
  files: optional(list(parsed(fileId)), []),
  session: optional(flag, false),
  keys: optional(flag, false),
  restored: optional(flag, false),
  typing: optional(list(object({ conversationid: id, userid: parsed(userId) })), []),
});

function readLeaderRequest(value: unknown): LeaderRequest {
  const { kind } = object({ kind: text })(value, "ask");
  switch (kind) {
    case "older":
    case "typing":
      return { kind, ...object({ id })(value, "ask") };
    case "seen":
      return { kind, ...object({ id, seq: integer })(value, "ask") };
    case "retry":
    case "discard":
      return { kind, ...object({ message: text })(value, "ask") };
    case "resync":
    case "wake":
    case "useHere":
    case "state":
      return { kind };
    default:
      throw new Malformed("ask", "a request");
  }
}

function readState(value: unknown): ConnectionState {
  const { kind, tries, until } = object({ kind: text, tries: optional(integer, 0), until: optional(integer, 0) })(value, "state");
  switch (kind) {
    case "connecting":
    case "catchingUp":
      return { kind, tries };
    case "waiting":
      return { kind, tries, until };
    case "idle":
    case "live":
    case "replaced":
    case "unauthorized":
    case "outdated":
      return { kind };
    default:
      throw new Malformed("state", "a state of the connection");
  }
}

/** Reads what another tab posted; null if it is of another version. */
export function readTabMessage(value: unknown): TabMessage | null {
  try {
    const { post } = object({ post: text })(value, "");
    if (post === "hint") return { post, ...object({ hint })(value, "") };
    if (post === "ask") return { post, ask: object({ ask: readLeaderRequest })(value, "").ask };
    if (post === "upload") {
      const upload = optional(object<Upload>({ done: integer, all: integer, stalled: flag }), null);
      return { post, ...object({ message: parsed(messageId), upload })(value, "") };
    }
    if (post === "connection") return { post, state: object({ state: readState })(value, "").state };
    return null;
  } catch (error) {
    if (error instanceof Malformed) return null;
    throw error;
  }
}
