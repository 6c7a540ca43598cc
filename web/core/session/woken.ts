// What a worker does that was woken while nobody looked: it fetches once, as a tab that leads does when it connects, and
// returns what is new. The keys that lie here are enough to read it.

import { checkProofs } from "../actions/invitations.ts";
import type { News, Waking } from "../api.ts";
import type { ConversationId } from "../model/ids.ts";
import type { Ports } from "../ports.ts";
import { nameOf } from "../show/conversation.ts";
import { newsOf } from "../show/news.ts";
import { Names } from "../show/people.ts";
import { Store } from "../store/store.ts";
import type { Account, Hint } from "../sync/account.ts";
import { Cipher } from "../sync/cipher.ts";
import { resync } from "../sync/list.ts";
import { Serial } from "../sync/serial.ts";
import type { WireMessage } from "../wire/conversation.ts";
import { ackPush, enablePush, push } from "../wire/push.ts";
import { callerOf } from "./record.ts";

/** What it needs of where it runs. */
export type WokenPorts = Pick<Ports, "backend" | "channel" | "clock" | "exclusive" | "http" | "onFault">;

/** How it shows what is new; null if nobody is logged in here, or nobody said. */
export const wakingOf = async ({ backend }: Pick<Ports, "backend">): Promise<Waking | null> =>
  (await new Store(backend).meta<Waking>("waking")) ?? null;

/** Fetches and returns what is new; null if nobody is logged in here. Only the tab or worker that leads may call it. */
export async function fetchNews(ports: WokenPorts): Promise<News[] | null> {
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
    // It sends nothing: what a tab has sent is settled by the next one that leads.
    sent: new Map(),
    saying: new Serial(),
    direct: null,
    uploading: new Map(),
    progress: () => undefined,
    tell: (hint: Hint) => ports.channel.post({ post: "hint", hint }),
    arriving: () => undefined,
    arrived: (id, rows) => void proofs.push(checkProofs(account, id, rows)),
  };
  // First: what comes after the fetch is to wake this device again.
  await ackPush(account.caller);
  await store.takeTerm();
  const fresh = new Map<ConversationId, WireMessage[]>();
  await resync(account, {
    onProgress: () => undefined,
    onFresh: (id, rows) => fresh.set(id, rows),
    onRefused: ports.onFault,
  });
  await Promise.all(proofs);
  return told(account, fresh);
}

async function told(account: Account, fresh: ReadonlyMap<ConversationId, WireMessage[]>): Promise<News[]> {
  const { store, session } = account;
  const names = new Names(await store.peopleById(), session);
  const found: News[] = [];
  for (const [id, rows] of fresh) {
    const record = await store.conversation(id);
    const others = record?.wire.participants.map(({ userid }) => userid).filter((user) => user !== session.user) ?? [];
    const where = record ? await nameOf(account, record, others, names) : "";
    found.push(...(await newsOf(account, id, rows, { where, nameOf: names.of })));
  }
  return found;
}

/** The key by which push services know the server; empty if it does not send pushes, or nobody is logged in here. */
export async function pushKey(ports: WokenPorts): Promise<string> {
  const session = await new Store(ports.backend).session();
  return session ? (await push(callerOf(ports, session))).pushkey : "";
}

/** The browser has given this device another place to be pushed at. */
export async function moved(ports: WokenPorts, endpoint: string): Promise<void> {
  const session = await new Store(ports.backend).session();
  if (session) await enablePush(callerOf(ports, session), endpoint);
}
