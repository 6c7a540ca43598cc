// The user's stations. New ones are shown to the user, as somebody else may have logged in.

import type { Device } from "../model/view.ts";
import { signOut as end, stations } from "../wire/login.ts";
import type { Account } from "./account.ts";

/** In `meta` under `stations`: the known ones, and those among them that the user has not confirmed. */
export interface StationsRecord {
  seen: string[];
  fresh: Device[];
}

/** The user's stations, as they are shown. */
export async function devicesOf({ caller }: Pick<Account, "caller">): Promise<Device[]> {
  const found = await stations(caller);
  return found.map(({ stationid, name, lastseen, created, current }) => ({
    id: stationid,
    name,
    seenAt: lastseen,
    idleMs: Math.max(0, caller.now() - lastseen),
    since: created,
    here: current,
  }));
}

async function change({ store, serial, notify }: Account, to: (before: StationsRecord | undefined) => StationsRecord): Promise<void> {
  await serial.run(async () => {
    const value = to(await store.meta<StationsRecord>("stations"));
    await store.writeOwn({ put: "meta", key: "stations", value });
    notify({ list: true });
  });
}

/** Looks for new ones. Those that exist when this device logs in are not new. */
export async function compareStations(account: Account): Promise<void> {
  const found = await devicesOf(account);
  if (found.length === 0) return;
  await change(account, (before) => {
    const seen = new Set(before?.seen ?? found.map(({ id }) => id));
    const added = found.filter(({ id, here }) => !here && !seen.has(id));
    const listed = new Set(found.map(({ id }) => id));
    const fresh = [...(before?.fresh ?? []).filter(({ id }) => listed.has(id)), ...added];
    return { seen: [...listed], fresh };
  });
}

/** The user has confirmed it. */
export const knowStation = (account: Account, id: string): Promise<void> =>
  change(account, (before) => ({ seen: before?.seen ?? [], fresh: (before?.fresh ?? []).filter((one) => one.id !== id) }));

/** Signs one out. */
export async function signOutStation(account: Account, id: string): Promise<void> {
  await end(account.caller, { stationid: id });
  await knowStation(account, id);
}
