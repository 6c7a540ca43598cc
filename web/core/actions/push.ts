// Whether this device is woken when something is new, and what it then shows.

import type { Pushed, Waking } from "../api.ts";
import type { Outcome } from "../model/view.ts";
import * as wire from "../wire/push.ts";
import type { Open } from "./context.ts";
import { attempt } from "./outcome.ts";

/** Where it is pushed. */
export const pushed = ({ account }: Open): Promise<Outcome<Pushed>> =>
  attempt(async () => {
    const { pushkey, endpoint } = await wire.push(account.caller);
    return { key: pushkey, endpoint };
  });

/** It is pushed there from now on. */
export const enablePush = ({ account }: Open, endpoint: string): Promise<Outcome> => attempt(() => wire.enablePush(account.caller, endpoint));

/** It is pushed no more. */
export const disablePush = ({ account }: Open): Promise<Outcome> => attempt(() => wire.disablePush(account.caller));

/** Keeps how it shows what is new, for `session/woken.ts`. */
export const setWaking = ({ account }: Open, waking: Waking): Promise<void> =>
  account.store.writeOwn({ put: "meta", key: "waking", value: waking });
