// Alarms that are shown on every screen: somebody may impersonate the user, the server shows different logs to different people, or it
// has lost messages.

import type { AlarmOf } from "../model/view.ts";
import type { Account } from "./account.ts";

/** In `meta` under `alarm`: the active alarms. */
export type AlarmRecord = AlarmOf[];

/** Alarms about keys; at most one of them is active. */
export const keyAlarms: readonly AlarmOf[] = ["own", "log", "keys"];

/** Replaces the alarms among these by `now`, or clears them. */
export function setAlarm({ store, serial, notify }: Account, among: readonly AlarmOf[], now: AlarmOf | null): Promise<void> {
  return serial.run(async () => {
    const before = (await store.meta<AlarmRecord>("alarm")) ?? [];
    const value = [...before.filter((one) => !among.includes(one)), ...(now ? [now] : [])];
    if (value.join() === before.join()) return;
    await store.writeOwn({ put: "meta", key: "alarm", value });
    notify({ list: true });
  });
}

/** Replaces the alarm about messages that the server has lost. */
export async function setLost(account: Account): Promise<void> {
  const isLost = (await account.store.conversations()).some(({ lost }) => lost);
  await setAlarm(account, ["lost"], isLost ? "lost" : null);
}
