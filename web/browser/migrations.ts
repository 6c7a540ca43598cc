// The database's versions: a list that is only appended to. The version is its length; none is edited after a release.
// IndexedDB calls only: an await of anything else would end the transaction.

import type { IDBPDatabase } from "idb";

/** Upgrades a database by one version. */
export type Migration = (database: IDBPDatabase) => void;

/** All of them, oldest first. */
export const migrations: readonly Migration[] = [
  (database) => {
    for (const name of ["meta", "people", "conversations", "rows", "ids", "epochs", "outbox", "drafts"]) {
      database.createObjectStore(name, { autoIncrement: name === "outbox" });
    }
  },
  (database) => {
    for (const name of ["files", "records"]) database.createObjectStore(name);
  },
  (database) => {
    database.createObjectStore("reports");
  },
];
