// Settings that a user's devices share, as messages in their saved messages (docs/e2ee.md, Kinds). All devices apply them in the
// same order, and so agree. So far: how long conversations keep messages.

import { isObject, type JsonObject } from "../crypto/canonical.ts";
import type { Content } from "../model/body.ts";
import { isEffective } from "../model/timeline.ts";
import { type ConversationId, conversationId, InvalidId, type UserId } from "../model/ids.ts";
import type { Keep } from "../model/view.ts";
import type { Change } from "../store/backend.ts";
import type { ConversationRecord } from "../store/records.ts";
import { change, type Store } from "../store/store.ts";
import type { Account } from "./account.ts";
import { fetchOlder } from "./fill.ts";

/** In `meta` under `shared`. */
interface SharedRecord {
  /** The number of the last applied message, by conversation and instance. */
  upTo: Record<string, number>;
  keep: Record<ConversationId, Keep>;
}

const NAME = "shared";
/** Older pages that a new device reads for earlier settings. */
const MAX_PAGES = 20;
const keeps = new Set<unknown>(["forever", "year", "month", "week", "day"] satisfies Keep[]);

const sharedOf = async (store: Store): Promise<SharedRecord> => (await store.meta<SharedRecord>(NAME)) ?? { upTo: {}, keep: {} };

/** Whether it is a group with nobody else in it: nothing else is needed, as only the user's own messages are applied. */
const hasOnly = ({ wire, gone }: ConversationRecord, me: UserId): boolean =>
  wire.isgroup && !gone && wire.participants.length === 1 && wire.participants[0]?.userid === me;

/** The message that shares how long a conversation keeps messages. */
export const keepAsContent = (id: ConversationId, keep: Keep): Content => ({
  kind: "settings",
  fields: { kind: "settings", prefs: { keep: { [id]: keep } } },
});

// Values of other versions of the client are skipped.
function keepsIn({ prefs }: JsonObject): Record<ConversationId, Keep> {
  const said = isObject(prefs) && isObject(prefs["keep"]) ? prefs["keep"] : {};
  const found: Record<ConversationId, Keep> = {};
  for (const [id, keep] of Object.entries(said)) {
    if (!keeps.has(keep)) continue;
    try {
      found[conversationId(id)] = keep as Keep;
    } catch (error) {
      if (!(error instanceof InvalidId)) throw error;
    }
  }
  return found;
}

/** The changes that store a setting on this device. Within `account.serial` only. */
export async function keepHere({ store }: Account, id: ConversationId, keep: Keep): Promise<Change[]> {
  const shared = await sharedOf(store);
  const record = await store.conversation(id);
  const value: SharedRecord = { ...shared, keep: { ...shared.keep, [id]: keep } };
  return [{ put: "meta", key: NAME, value }, ...(record ? [change.conversation({ ...record, keep })] : [])];
}

/** Applies new settings, if this conversation is the user's saved messages. In the leading tab only. */
export async function takeShared(account: Account, id: ConversationId): Promise<void> {
  const { store, session, cipher, serial, notify } = account;
  const record = await store.conversation(id);
  if (!record?.loaded || !hasOnly(record, session.user)) return;
  const place = `${id}/${record.instance}`;
  if ((await sharedOf(store)).upTo[place] === undefined) {
    for (let pages = 0; pages < MAX_PAGES && (await fetchOlder(account, id)); pages++);
  }
  await serial.run(async () => {
    const shared = await sharedOf(store);
    const rows = await store.rows(id, (shared.upTo[place] ?? 0) + 1);
    const keep = { ...shared.keep };
    for (const { user, content, trouble } of await cipher.openAll(record, rows.filter(({ Type }) => Type === "Update"))) {
      if (content?.kind === "settings" && isEffective(trouble) && user === session.user) Object.assign(keep, keepsIn(content.fields));
    }
    const others = (await store.conversations()).filter(({ wire, keep: now }) => (keep[wire.id] ?? now) !== now);
    const value: SharedRecord = { upTo: { ...shared.upTo, [place]: rows.at(-1)?.Seq ?? shared.upTo[place] ?? 0 }, keep };
    await store.write({ put: "meta", key: NAME, value }, ...others.map((one) => change.conversation({ ...one, keep: keep[one.wire.id] ?? one.keep })));
    if (others.length > 0) notify({ conversations: others.map(({ wire }) => wire.id) });
  });
}

/** The same for all conversations, to catch up. */
export async function takeAllShared(account: Account): Promise<void> {
  for (const { wire } of await account.store.conversations()) await takeShared(account, wire.id);
}
