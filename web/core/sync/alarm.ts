// What a person has to hear of, whatever they are doing: somebody may be posing as them, or the server keeps two truths.

import type { AlarmOf } from "../model/view.ts";
import type { Account } from "./account.ts";

/** In `meta` under `alarm`: what is not right at present. */
export type AlarmRecord = AlarmOf[];

/** What may be wrong with keys; one of them at a time. */
export const keyAlarms: readonly AlarmOf[] = ["own", "log", "keys"];

/** Says what is not right of these, or that nothing is. */
export function setAlarm({ store, serial, notify }: Account, among: readonly AlarmOf[], now: AlarmOf | null): Promise<void> {
  return serial.run(async () => {
    const before = (await store.meta<AlarmRecord>("alarm")) ?? [];
    const value = [...before.filter((one) => !among.includes(one)), ...(now ? [now] : [])];
    if (value.join() === before.join()) return;
    await store.writeOwn({ put: "meta", key: "alarm", value });
    notify({ list: true });
  });
}
