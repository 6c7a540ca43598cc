// The storage port: named tables with ordered keys, and batches that are written whole or not at all.
// IndexedDB in a browser (browser/backend.ts), memory for bots (memory.ts); test/store holds both to the same claims.

/** The tables. */
export const tables = ["meta", "people", "conversations", "rows", "ids", "epochs", "outbox", "drafts", "files", "records", "reports"] as const;
/** One of the tables. */
export type Table = (typeof tables)[number];

/** A key: numbers sort before texts, lists by their elements, as IndexedDB has it. */
export type Key = number | string | readonly (number | string)[];

/** Keys from `from` to `to`, both included. */
export interface Range {
  from: Key;
  to: Key;
}

/** One change. `append` gives the row the next number as its key. */
export type Change =
  | { put: Table; key: Key; value: unknown }
  | { append: Table; value: unknown }
  | { remove: Table; key: Key }
  | { clear: Table; range: Range | null };

/** A row of a table. */
export interface StoredEntry {
  key: Key;
  value: unknown;
}

/** Maximum number of rows, and from which end. */
export interface Page {
  limit?: number;
  newestFirst?: boolean;
}

/** A batch was not written, because another tab leads by now. */
export class LostLead extends Error {
  constructor() {
    super("another tab leads");
    this.name = "LostLead";
  }
}

/** A database. */
export interface Backend {
  get: (table: Table, key: Key) => Promise<unknown>;
  /** In the order of their keys. */
  range: (table: Table, range: Range | null, page?: Page) => Promise<StoredEntry[]>;
  /**
   * Writes all of it, or nothing. With `term`, only while `meta` has this value under `term`; else `LostLead`. Returns the keys of
   * what was appended.
   */
  write: (changes: readonly Change[], term?: number) => Promise<number[]>;
  close: () => void;
}
