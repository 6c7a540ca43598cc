// The database's versions: a list that is only appended to. The version is its length; none is edited after a release.
// IndexedDB calls only: an await of anything else would end the transaction.

import type { IDBPDatabase } from "idb";
import { tables } from "../core/store/backend.ts";

/** Lifts a database by one version. */
export type Migration = (database: IDBPDatabase) => void;

/** All of them, oldest first. */
export const migrations: readonly Migration[] = [
  (database) => {
    for (const name of tables) database.createObjectStore(name, { autoIncrement: name === "outbox" });
  },
];
