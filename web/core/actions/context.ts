// What actions of a logged-in person work with.

import type { Account } from "../sync/account.ts";
import type { Ask } from "../sync/ask.ts";
import type { AccountShown } from "../show/shown.ts";

/** A session that is open in this tab. */
export interface Open {
  account: Account;
  shown: AccountShown;
  /** Asks the tab that leads; resolves when it is done, or, where another one leads, when it was asked. */
  ask: (ask: Ask) => Promise<void>;
}
