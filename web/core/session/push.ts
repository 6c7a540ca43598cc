// What the service worker does for a push message: it resyncs once, as the leading tab does when it connects, and returns the
// new messages. The keys that are stored on the device decrypt them.

import { checkProofs } from "../actions/invitations.ts";
import type { IncomingMessage, PushSettings } from "../api.ts";
import type { ConversationId } from "../model/ids.ts";
import type { Ports } from "../ports.ts";
import { nameOf } from "../show/conversation.ts";
import { incomingOf } from "../show/incoming.ts";
import { Names } from "../show/people.ts";
import { Store } from "../store/store.ts";
import type { Account, Hint } from "../sync/account.ts";
import { Cipher } from "../sync/cipher.ts";
import { resync } from "../sync/list.ts";
import { Serial } from "../sync/serial.ts";
import type { WireMessage } from "../wire/conversation.ts";
import { ackPush, enablePush, push } from "../wire/push.ts";
import { callerOf } from "./record.ts";

/** The ports that a service worker has. */
export type PushPorts = Pick<Ports, "backend" | "channel" | "clock" | "exclusive" | "http" | "onFault">;

/** What a push message shows; null if that was never stored here. The key keeps its first name, as it is stored on devices. */
export const pushSettings = async ({ backend }: Pick<Ports, "backend">): Promise<PushSettings | null> =>
  (await new Store(backend).meta<PushSettings>("waking")) ?? null;

/** Fetches and returns new messages; null if nobody is logged in here. Only the leader may call it. */
export async function fetchIncoming(ports: PushPorts): Promise<IncomingMessage[] | null> {
  const store = new Store(ports.backend);
  const session = await store.session();
  if (!session) return null;
  const proofs: Promise<void>[] = [];
  const account: Account = {
    session,
    store,
    caller: callerOf(ports, session),
    cipher: new Cipher(store, session),
    clock: ports.clock,
    serial: ports.exclusive,
    // A worker sends nothing: the next leading tab settles what a tab has sent.
    sent: new Map(),
    submitting: new Serial(),
    sendDirectly: null,
    uploading: new Map(),
    progress: () => undefined,
    notify: (hint: Hint) => ports.channel.post({ post: "hint", hint }),
    arriving: () => undefined,
    arrived: (id, rows) => void proofs.push(checkProofs(account, id, rows)),
  };
  // Before the fetch, so that whatever comes after it makes the server push again.
  await ackPush(account.caller);
  await store.takeTerm();
  const fresh = new Map<ConversationId, WireMessage[]>();
  await resync(account, {
    onProgress: () => undefined,
    onIncoming: (id, rows) => fresh.set(id, rows),
    onRefused: ports.onFault,
  });
  await Promise.all(proofs);
  return incomingMessages(account, fresh);
}

async function incomingMessages(account: Account, fresh: ReadonlyMap<ConversationId, WireMessage[]>): Promise<IncomingMessage[]> {
  const { store, session } = account;
  const names = new Names(await store.peopleById(), session);
  const found: IncomingMessage[] = [];
  for (const [id, rows] of fresh) {
    const record = await store.conversation(id);
    const others = record?.wire.participants.map(({ userid }) => userid).filter((user) => user !== session.user) ?? [];
    const where = record ? await nameOf(account, record, others, names) : "";
    found.push(...(await incomingOf(account, id, rows, { where, nameOf: names.of })));
  }
  return found;
}

/** The key by which push services know the server; empty if it does not send pushes, or nobody is logged in here. */
export async function pushKey(ports: PushPorts): Promise<string> {
  const session = await new Store(ports.backend).session();
  return session ? (await push(callerOf(ports, session))).pushkey : "";
}

/** Tells the server the new endpoint, after the browser has replaced it. */
export async function moveSubscription(ports: PushPorts, endpoint: string): Promise<void> {
  const session = await new Store(ports.backend).session();
  if (session) await enablePush(callerOf(ports, session), endpoint);
}
