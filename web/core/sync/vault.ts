// Keeps the vault up to date during a session: writes pins and heads into its box, and reads those of the user's other devices.
// Password and recovery key open it as before.

import { checkVersion, type Contents, sealBox, openBox, type Owner, readVault, type Vault, writeVault } from "../crypto/vault.ts";
import { isSame } from "../model/equal.ts";
import type { SessionRecord } from "../store/records.ts";
import { change } from "../store/store.ts";
import { changeVault, fetchVault } from "../wire/login.ts";
import { isRefusedAs } from "../wire/refusal.ts";
import type { Account } from "./account.ts";
import { fit, headsOf, mergeHeads, mergePins, pinsOf, takePin } from "./pins.ts";

/** Other devices may write at the same moment. */
const MAX_TRIES = 4;
/** Heads alone are no reason to write more often. */
const DAY_MS = 86_400_000;

/** The vault's owner. */
export const ownerOf = ({ server, user }: Pick<SessionRecord, "server" | "user">): Owner => ({ server, user });

/** Changes the session, in the store and here; another tab may have changed it meanwhile. */
export function updateSession({ store, session, serial }: Account, to: Partial<SessionRecord>): Promise<void> {
  return serial.run(async () => {
    const now = await store.session();
    if (now?.station !== session.station) return;
    const known = await store.knownAccounts();
    const vault = to.vault ?? now.vault;
    const version = vault === "" ? 0 : readVault(vault).version;
    await store.writeOwn(
      change.session({ ...now, ...to }),
      change.knownAccounts({ ...known, [now.user]: { server: now.server, version } }),
    );
    Object.assign(session, to);
  });
}

/** Takes over the pins that another device has written. */
export function takePins({ store, serial, notify, session }: Account, pins: Contents["pins"]): Promise<void> {
  return serial.run(async () => {
    for (const person of await store.people()) {
      const pin = pins[person.id];
      if (pin && person.id !== session.user) await store.writeOwn(change.person(await takePin(person, pin)));
    }
    notify({ list: true });
  });
}

/** The vault as the server has it now; throws `OldVault`. */
async function refetch(account: Account): Promise<Vault> {
  const { rsakey } = await fetchVault(account.caller);
  const vault = readVault(rsakey);
  checkVersion(vault, readVault(account.session.vault).version);
  await updateSession(account, { vault: rsakey });
  return vault;
}

/**
 * Writes changed pins and heads into the vault. In the leading tab only. `without` takes out what a restored server has lost; then the
 * vault is written in any case.
 */
export async function keepVault(account: Account, without?: (there: Contents) => Promise<Contents>): Promise<void> {
  const { store, session, caller } = account;
  if (session.vault === "" || !session.boxKey) return;
  let vault = readVault(session.vault);
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const there = await openBox(vault, session.boxKey, ownerOf(session));
    const contents = without ? await without(there) : there;
    if (tries > 0) await takePins(account, contents.pins);
    const pins = mergePins(await pinsOf(await store.people(), session.user), contents.pins);
    const next = fit(contents.keys, pins, mergeHeads(headsOf(await store.conversations()), contents.heads));
    const [now, writtenAt] = [account.clock.now(), await store.meta<number>("vaultAt")];
    if (!without && isSame(next.pins, contents.pins) && now - (writtenAt ?? now) < DAY_MS) {
      if (writtenAt === undefined) await store.writeOwn({ put: "meta", key: "vaultAt", value: now });
      return;
    }
    const version = vault.version + 1;
    const box = await sealBox(session.boxKey, { keys: contents.keys, ...next }, ownerOf(session), version);
    const rsakey = writeVault({ version, slots: vault.slots, box });
    try {
      await changeVault(caller, { rsakey, version });
      await updateSession(account, { vault: rsakey });
      await store.writeOwn({ put: "meta", key: "vaultAt", value: now });
      return;
    } catch (error) {
      if (!isRefusedAs(error, "stale_version")) throw error;
      vault = await refetch(account);
    }
  }
}

/** Fetches the vault, and takes over the pins that another device has written. */
export async function compareVault(account: Account): Promise<void> {
  const { session } = account;
  if (session.vault === "" || !session.boxKey) return;
  const before = readVault(session.vault).version;
  const vault = await refetch(account);
  if (vault.version > before) await takePins(account, (await openBox(vault, session.boxKey, ownerOf(session))).pins);
}

