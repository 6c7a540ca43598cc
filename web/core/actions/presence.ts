// What others see of this user while they are online: available, away, busy, or nothing. The server keeps it.

import type { ChosenPresence, Outcome } from "../model/view.ts";
import { comparePeople } from "../sync/list.ts";
import { setAvailability } from "../wire/people.ts";
import type { Open } from "./context.ts";
import { attempt } from "./outcome.ts";

export const setPresence = ({ account }: Open, presence: ChosenPresence): Promise<Outcome> =>
  attempt(async () => {
    await setAvailability(account.caller, presence);
    await comparePeople(account);
    return null;
  });
