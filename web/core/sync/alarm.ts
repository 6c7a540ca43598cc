// What a person has to hear of, whatever they are doing: somebody may be posing as them, or the server keeps two truths.

import type { AlarmOf } from "../model/view.ts";
import type { Account } from "./account.ts";

/** In `meta` under `alarm`: what is not right at present. */
export type AlarmRecord = AlarmOf[];

/** Says that something is not right, or is again. */
export function setAlarm({ store, serial, tell }: Account, of: AlarmOf, on: boolean): Promise<void> {
  return serial.run(async () => {
    const before = (await store.meta<AlarmRecord>("alarm")) ?? [];
    if (before.includes(of) === on) return;
    const value = on ? [...before, of] : before.filter((one) => one !== of);
    await store.writeOwn({ put: "meta", key: "alarm", value });
    tell({ list: true });
  });
}
