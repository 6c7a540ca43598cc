// The signals that the screens read, and the client that they ask. The bridge writes them, in one batch for each
// change; objects that did not change keep their identity, so that only the rows that did are drawn anew.

import { computed, signal } from "@preact/signals";
import type { Client, Connection, Conversation, ConversationId, Log, Person, Request, Session, UserId } from "./model.ts";

export const session = signal<Session>({ kind: "starting" });
/** In the order of the list. */
export const conversations = signal<readonly Conversation[]>([]);
/** Everybody whom one knows: friends and those in one's groups. */
export const people = signal<ReadonlyMap<UserId, Person>>(new Map());
export const requests = signal<readonly Request[]>([]);
/** The log of the open conversation. */
export const log = signal<Log | null>(null);
/** Who is writing where, by name. */
export const writing = signal<ReadonlyMap<ConversationId, readonly string[]>>(new Map());
export const connection = signal<Connection>({ kind: "connecting" });
/** How many messages wait for the server. */
export const waiting = signal(0);
/** The first time on a device: how many of how many conversations are here. */
export const firstSync = signal<{ done: number; all: number } | null>(null);
/** A newer client was installed and waits for a reload. */
export const newVersion = signal(false);
/** By how many minutes this device's clock is off; 0 if it is right. */
export const clockOff = signal(0);

/** Oneself; throws where nobody is logged in, which the screens that use it never are. */
export const me = computed(() => {
  if (session.value.kind !== "in") throw new Error("nobody is logged in");
  return session.value.me;
});

/** Messages in conversations that are not muted and not hidden. */
export const unreadCount = computed(() =>
  conversations.value.reduce((sum, c) => sum + (c.muted || c.hidden ? 0 : c.unread), 0),
);

let current: Client | null = null;

/** Hands in the client; once, at the start. */
export function provide(client: Client): void {
  current = client;
}

/** The client. */
export function client(): Client {
  if (!current) throw new Error("no client was provided");
  return current;
}

/** A conversation by id. */
export const conversationOf = (id: ConversationId): Conversation | undefined =>
  conversations.value.find((c) => c.id === id);
