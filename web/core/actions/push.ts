// Push messages to this device: turning them on and off, and what they show.

import type { PushSettings, PushStatus } from "../api.ts";
import type { Outcome } from "../model/view.ts";
import * as wire from "../wire/push.ts";
import type { Open } from "./context.ts";
import { attempt } from "./outcome.ts";

/** Whether this device gets push messages, and where. */
export const pushStatus = ({ account }: Open): Promise<Outcome<PushStatus>> =>
  attempt(async () => {
    const { pushkey, endpoint } = await wire.push(account.caller);
    return { key: pushkey, endpoint };
  });

/** Has push messages sent to this endpoint from now on. */
export const enablePush = ({ account }: Open, endpoint: string): Promise<Outcome> => attempt(() => wire.enablePush(account.caller, endpoint));

/** Turns push messages off. */
export const disablePush = ({ account }: Open): Promise<Outcome> => attempt(() => wire.disablePush(account.caller));

/** Stores what a push message shows; `session/push.ts` reads it in the service worker. */
export const setPushSettings = ({ account }: Open, settings: PushSettings): Promise<void> =>
  account.store.writeOwn({ put: "meta", key: "waking", value: settings });
