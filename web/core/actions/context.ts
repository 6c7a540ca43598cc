// What actions of a logged-in person work with.

import type { Account } from "../sync/account.ts";
import type { LeaderRequest } from "../sync/tab-messages.ts";
import type { AccountView } from "../show/account-view.ts";

/** A session that is open in this tab. */
export interface Open {
  account: Account;
  view: AccountView;
  /** Asks the tab that leads; resolves when it is done, or, where another one leads, when it was asked. */
  ask: (ask: LeaderRequest) => Promise<void>;
}
