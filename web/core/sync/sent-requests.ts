// Friend requests that the user has sent and that were not answered: the server does not list them, so this device does.

import type { UserId } from "../model/ids.ts";
import type { Request } from "../model/view.ts";
import type { Change } from "../store/backend.ts";
import type { Friends } from "../wire/people.ts";
import type { Account } from "./account.ts";

interface SentRequest {
  id: UserId;
  /** The address or the name that the request was sent to. */
  name: string;
}

/** The key in `meta`. It keeps its first name, as it is stored on devices. */
const NAME = "asked";
const MAX_SENT = 100;

const sentRequests = async ({ store }: Pick<Account, "store">): Promise<SentRequest[]> => (await store.meta<SentRequest[]>(NAME)) ?? [];

async function update({ store, serial, notify }: Account, next: (all: SentRequest[]) => SentRequest[]): Promise<void> {
  await serial.run(async () => {
    const value = next(await sentRequests({ store }));
    await store.writeOwn({ put: "meta", key: NAME, value });
  });
  notify({ list: true });
}

/** Stores that a request was sent. */
export const addSentRequest = (account: Account, id: UserId, name: string): Promise<void> =>
  update(account, (all) => [...all.filter((one) => one.id !== id), { id, name }].slice(-MAX_SENT));

/** Removes it. */
export const removeSentRequest = (account: Account, id: UserId): Promise<void> => update(account, (all) => all.filter((one) => one.id !== id));

/** The changes that remove accepted requests, so that they do not reappear when such a friendship ends. */
export async function settleSentRequests(account: Pick<Account, "store">, { availabilities }: Friends): Promise<Change[]> {
  const friends = new Set(availabilities.map(({ friendid }) => friendid));
  const all = await sentRequests(account);
  const value = all.filter(({ id }) => !friends.has(id));
  return value.length === all.length ? [] : [{ put: "meta", key: NAME, value }];
}

/** The unanswered requests, as they are shown. */
export async function showSentRequests(account: Pick<Account, "store">, isFriend: (id: UserId) => boolean): Promise<Request[]> {
  const waiting = (await sentRequests(account)).filter(({ id }) => !isFriend(id));
  return waiting.map(({ id, name }) => ({ kind: "sent", id, name, user: id, group: "", alike: false }));
}
