// The context of a logged-in user's actions.

import type { Account } from "../sync/account.ts";
import type { LeaderRequest } from "../sync/tab-messages.ts";
import type { AccountView } from "../show/account-view.ts";

/** A session that is open in this tab. */
export interface Open {
  account: Account;
  view: AccountView;
  /** Sends a request to the leading tab. Resolves when it is done; if another tab leads, see `OpenSession.ask`. */
  ask: (ask: LeaderRequest) => Promise<void>;
}
