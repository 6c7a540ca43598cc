// What others see of one: available, away, busy, or nothing.

import type { Me, Outcome } from "../model/view.ts";
import { change } from "../store/store.ts";
import type { Account } from "../sync/account.ts";
import { setAvailability } from "../wire/people.ts";
import type { Open } from "./context.ts";
import { attempt } from "./outcome.ts";

const tell = ({ caller }: Account, presence: Me["presence"]): Promise<null> =>
  setAvailability(caller, presence === "invisible" ? "offline" : presence);

/** Sets it, from now on. */
export const setPresence = ({ account }: Open, presence: Me["presence"]): Promise<Outcome> =>
  attempt(async () => {
    const { session, store } = account;
    await tell(account, presence);
    session.presence = presence;
    await store.writeOwn(change.session(session));
    return null;
  });

/** Says it again after a connection was made: to the server, whoever comes back is available. */
export async function keepPresence(account: Account): Promise<void> {
  // Another tab may have set it.
  const presence = (await account.store.session())?.presence ?? "available";
  if (presence !== "available") await tell(account, presence);
}
