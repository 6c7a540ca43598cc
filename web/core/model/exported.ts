// The data export: the user's own data, unencrypted.

import type { ConversationId, UserId } from "./ids.ts";
import type { Article, Person } from "./view.ts";

/** Everything that a device can decrypt. Times are ISO 8601, in UTC. */
export interface Exported {
  user: UserId;
  name: string;
  email: string;
  at: string;
  contacts: readonly Pick<Person, "id" | "name" | "email" | "trust">[];
  conversations: readonly ExportedConversation[];
}

/** One conversation of it. */
export interface ExportedConversation {
  id: ConversationId;
  group: boolean;
  /** Empty for the user's saved messages. */
  name: string;
  members: readonly { id: UserId; name: string }[];
  /** Oldest first. */
  messages: readonly ExportedMessage[];
}

/** One message of it, as it is now; what was deleted has no text. */
export interface ExportedMessage extends Pick<Article, "id" | "user" | "name" | "text" | "reply" | "edited" | "deleted" | "trouble"> {
  at: string;
  files: readonly string[];
  reactions: readonly { emoji: string; by: readonly string[] }[];
}
