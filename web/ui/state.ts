// The signals that the screens read, and the client that they ask. `provide` fills them, in one batch for each change;
// unchanged objects keep their identity, so that only changed rows are rendered again.

import { batch, computed, signal } from "@preact/signals";
import type { AlarmOf, Changes, ChosenPresence, Client, Connection, Conversation, Device, Log, Person, Request, Session, Upload } from "../core/index.ts";

export const session = signal<Session>({ kind: "starting" });
/** In the order of the list. */
export const conversations = signal<readonly Conversation[]>([]);
/** All known people: friends and members of shared groups. */
export const people = signal<ReadonlyMap<string, Person>>(new Map());
/** What the current user chose to be shown as. */
export const presence = signal<ChosenPresence>("available");
export const requests = signal<readonly Request[]>([]);
/** The log of the open conversation. */
export const log = signal<Log | null>(null);
/** The names of those who are typing, by conversation. */
export const writing = signal<ReadonlyMap<string, readonly string[]>>(new Map());
export const connection = signal<Connection>({ kind: "connecting" });
/** How many messages wait for the server. */
export const waiting = signal(0);
/** Progress of the first sync on a device: how many of how many conversations are loaded. */
export const firstSync = signal<{ done: number; all: number } | null>(null);
/** By how many minutes this device's clock is off; 0 if it is right. */
export const clockOff = signal(0);
/** Devices that logged in after this one and have not been reviewed. */
export const newDevices = signal<readonly Device[]>([]);
/** What is wrong with the user's own keys, as the server presents them. */
export const alarm = signal<readonly AlarmOf[]>([]);
/** Progress of uploads, by message. */
export const uploads = signal<ReadonlyMap<string, Upload>>(new Map());
/** Files that were deleted with their messages: drop everything that is cached of them. */
export const forgotten = signal<ReadonlySet<string>>(new Set());
/** A newer client was installed and waits for a reload. */
export const newVersion = signal(false);

/** The current user. Throws if nobody is logged in; the screens that use it are shown only after a login. */
export const me = computed(() => {
  if (session.value.kind !== "in") throw new Error("nobody is logged in");
  return session.value.me;
});

/** Messages in conversations that are not muted and not hidden. */
export const unreadCount = computed(() =>
  conversations.value.reduce((sum, c) => sum + (c.muted || c.hidden ? 0 : c.unread), 0),
);

function apply(changes: Changes): void {
  batch(() => {
    if (changes.conversations) conversations.value = changes.conversations;
    if (changes.people) people.value = changes.people;
    if (changes.presence) presence.value = changes.presence;
    if (changes.requests) requests.value = changes.requests;
    if (changes.log !== undefined) log.value = changes.log;
    if (changes.writing) writing.value = changes.writing;
    if (changes.connection) connection.value = changes.connection;
    if (changes.waiting !== undefined) waiting.value = changes.waiting;
    if (changes.firstSync !== undefined) firstSync.value = changes.firstSync;
    if (changes.clockOff !== undefined) clockOff.value = changes.clockOff;
    if (changes.newDevices) newDevices.value = changes.newDevices;
    if (changes.alarm) alarm.value = changes.alarm;
    if (changes.uploads) uploads.value = changes.uploads;
    if (changes.forgotten) forgotten.value = changes.forgotten;
    if (changes.session) session.value = changes.session;
  });
}

let current: Client | null = null;

/** Sets the client, once, at the start; the signals follow it from then on. */
export function provide(client: Client): void {
  current = client;
  apply(client.state);
  client.subscribe(apply);
}

/** The client. */
export function client(): Client {
  if (!current) throw new Error("no client was provided");
  return current;
}

/** A conversation by id. */
export const conversationOf = (id: string): Conversation | undefined => conversations.value.find((c) => c.id === id);
