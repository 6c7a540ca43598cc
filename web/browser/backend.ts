// The store in IndexedDB. A batch is one transaction; data that exists nowhere else is flushed to disk before it counts as written.

import { type IDBPDatabase, type IDBPObjectStore, openDB } from "idb";
import { type Backend, type Change, type StoredEntry, type Key, LostLead, type Page, type Range, type Table } from "../core/store/backend.ts";
import { migrations } from "./migrations.ts";

const NAME = "parlance";

/** Callbacks about tabs with another version of the client. */
export interface OpenEvents {
  /** Another tab has a newer client, and waits for this one to close the database. */
  onOutdated: () => void;
  /** A tab with an older client blocks the upgrade of the database. */
  onBlocked: () => void;
}

type Writable = IDBPObjectStore<unknown, Table[], Table, "readwrite">;

const keyRange = (range: Range | null): IDBKeyRange | undefined =>
  range === null ? undefined : IDBKeyRange.bound(range.from, range.to);

function tableOf(change: Change): Table {
  if ("put" in change) return change.put;
  if ("append" in change) return change.append;
  return "remove" in change ? change.remove : change.clear;
}

/**
 * Tables whose rows are nowhere else. What is put into the outbox was appended to it before: what it was then is enough. Records of
 * a file to be sent outlive the browser, but not always a loss of power: then its message says that it has to be chosen again.
 */
const precious = new Set<Table>(["meta", "people", "epochs", "drafts"]);
const isPrecious = (change: Change): boolean => "append" in change || ("put" in change && precious.has(change.put));

/** Opens the database, and upgrades it to this client's version. Rejects with a `VersionError` if it is newer than that. */
export async function openBackend({ onOutdated, onBlocked }: OpenEvents): Promise<Backend> {
  const database = await openDB(NAME, migrations.length, {
    upgrade: (lifted, from) => {
      for (const migrate of migrations.slice(from)) migrate(lifted);
    },
    blocked: onBlocked,
    blocking: () => {
      database.close();
      onOutdated();
    },
  });
  return backendOf(database);
}

function backendOf(database: IDBPDatabase): Backend {
  return {
    get: async (table, key) => (await database.get(table, toKey(key))) as unknown,
    range: (table, range, page) => readRange(database, table, range, page),
    write: (changes, term) => write(database, changes, term),
    close: () => database.close(),
  };
}

// idb's type of a key does not accept readonly arrays.
const toKey = (key: Key): IDBValidKey => (typeof key === "object" ? [...key] : key);

async function readRange(database: IDBPDatabase, table: Table, range: Range | null, page: Page = {}): Promise<StoredEntry[]> {
  const { store } = database.transaction(table);
  if (page.newestFirst) {
    const found: StoredEntry[] = [];
    const limit = page.limit ?? Number.POSITIVE_INFINITY;
    let cursor = await store.openCursor(keyRange(range) ?? null, "prev");
    while (cursor && found.length < limit) {
      found.push({ key: cursor.key as Key, value: cursor.value as unknown });
      cursor = found.length < limit ? await cursor.continue() : null;
    }
    return found;
  }
  const [keys, values] = await Promise.all([store.getAllKeys(keyRange(range), page.limit), store.getAll(keyRange(range), page.limit)]);
  return keys.map((key, i) => ({ key: key as Key, value: values[i] as unknown }));
}

/** Requests one change; if it fails, the transaction aborts, which is what the caller awaits. */
function request(store: Writable, change: Change): Promise<unknown> {
  if ("put" in change) return store.put(change.value, toKey(change.key));
  if ("append" in change) return store.add(change.value);
  if ("remove" in change) return store.delete(toKey(change.key));
  return change.range ? store.delete(IDBKeyRange.bound(change.range.from, change.range.to)) : store.clear();
}

async function write(database: IDBPDatabase, changes: readonly Change[], term: number | undefined): Promise<number[]> {
  if (changes.length === 0) return [];
  const names = new Set<Table>(changes.map(tableOf));
  if (term !== undefined) names.add("meta");
  // Data that the server has as well may be lost in a power failure; it is fetched again.
  const durability = changes.some(isPrecious) ? "strict" : "relaxed";
  const transaction = database.transaction([...names], "readwrite", { durability });
  let isLost = false;
  const check = (found: unknown): void => {
    if (found === term) return;
    isLost = true;
    transaction.abort();
  };
  // Checked first: requests are answered in order, so before anything is committed.
  if (term !== undefined) transaction.objectStore("meta").get("term").then(check, () => undefined);
  const appended: Promise<number>[] = [];
  try {
    for (const change of changes) {
      const asked = request(transaction.objectStore(tableOf(change)), change);
      asked.catch(() => undefined);
      if ("append" in change) appended.push(asked as Promise<number>);
    }
  } catch (error) {
    // A value cannot be stored: the earlier requests of the batch must not be committed either.
    transaction.done.catch(() => undefined);
    transaction.abort();
    throw error;
  }
  // Commits without waiting for the answer of each request.
  if (term === undefined) transaction.commit();
  try {
    await transaction.done;
  } catch (error) {
    throw isLost ? new LostLead() : error;
  }
  return Promise.all(appended);
}
