// A backend in memory, for bots. Its data is lost when the program ends.

import { type Backend, type Change, type StoredEntry, type Key, LostLead, type Page, type Range, type Table, tables } from "./backend.ts";

/** As IndexedDB compares keys: numbers before texts before lists, lists by their elements. */
export function compareKeys(one: Key, other: Key): number {
  const rank = (key: Key): number => (typeof key === "number" ? 0 : typeof key === "string" ? 1 : 2);
  if (rank(one) !== rank(other)) return rank(one) - rank(other);
  if (typeof one === "object" && typeof other === "object") {
    for (let i = 0; i < Math.min(one.length, other.length); i++) {
      const difference = compareKeys(one[i] ?? 0, other[i] ?? 0);
      if (difference !== 0) return difference;
    }
    return one.length - other.length;
  }
  return one < other ? -1 : one > other ? 1 : 0;
}

interface Rows {
  /** Sorted by key. */
  rows: StoredEntry[];
  next: number;
}

/** The index of a key, or where it would be inserted. */
function indexOf(rows: readonly StoredEntry[], key: Key): number {
  let [from, to] = [0, rows.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    const row = rows[middle];
    if (row && compareKeys(row.key, key) < 0) from = middle + 1;
    else to = middle;
  }
  return from;
}

const isAt = (rows: readonly StoredEntry[], at: number, key: Key): boolean => {
  const row = rows[at];
  return row !== undefined && compareKeys(row.key, key) === 0;
};

/** An empty backend. */
export function memoryBackend(): Backend {
  const data = new Map<Table, Rows>(tables.map((name) => [name, { rows: [], next: 1 }]));
  const table = (name: Table): Rows => {
    const found = data.get(name);
    if (!found) throw new RangeError(`no table ${name}`);
    return found;
  };
  const put = (name: Table, key: Key, value: unknown): void => {
    const { rows } = table(name);
    const at = indexOf(rows, key);
    rows.splice(at, isAt(rows, at, key) ? 1 : 0, { key, value });
  };
  const append = (name: Table, value: unknown): number => {
    const key = table(name).next++;
    put(name, key, value);
    return key;
  };
  const apply = (change: Exclude<Change, { append: Table }>): void => {
    if ("put" in change) put(change.put, change.key, change.value);
    else if ("remove" in change) {
      const { rows } = table(change.remove);
      const at = indexOf(rows, change.key);
      if (isAt(rows, at, change.key)) rows.splice(at, 1);
    } else {
      const all = table(change.clear);
      const { range } = change;
      all.rows = range ? all.rows.filter(({ key }) => compareKeys(key, range.from) < 0 || compareKeys(key, range.to) > 0) : [];
    }
  };
  const get = (name: Table, key: Key): unknown => {
    const { rows } = table(name);
    const at = indexOf(rows, key);
    return isAt(rows, at, key) ? structuredClone(rows[at]?.value) : undefined;
  };
  return {
    get: (name, key) => Promise.resolve(get(name, key)),
    range: (name: Table, range: Range | null, page: Page = {}) => {
      const { rows } = table(name);
      const from = range ? indexOf(rows, range.from) : 0;
      let to = range ? indexOf(rows, range.to) : rows.length;
      if (range && isAt(rows, to, range.to)) to += 1;
      const found = rows.slice(from, to);
      if (page.newestFirst) found.reverse();
      return Promise.resolve(structuredClone(found.slice(0, page.limit)));
    },
    write: async (changes, term) => {
      if (term !== undefined && get("meta", "term") !== term) throw new LostLead();
      // What cannot be copied is found before anything is written.
      const copies = changes.map((change) => ("value" in change ? { ...change, value: structuredClone(change.value) } : change));
      return copies.flatMap((change) => ("append" in change ? append(change.append, change.value) : (apply(change), [])));
    },
    close: () => undefined,
  };
}
