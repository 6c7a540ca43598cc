// Accepts a server whose database was restored from an older backup (docs/e2ee.md, Key log): takes its log as a whole, and treats what
// depended on lost entries as seen for the first time. Such a server cannot be distinguished from one that hides something, so this
// happens only if the user, who has learned of it elsewhere, asks for it.

import { cardHash } from "../crypto/card.ts";
import { InvalidLog, tagOf } from "../crypto/log.ts";
import { type Contents, openBox, readVault, type VaultPin } from "../crypto/vault.ts";
import { newConversation, type PersonRecord } from "../store/records.ts";
import type { Change } from "../store/backend.ts";
import { change } from "../store/store.ts";
import type { Account } from "../sync/account.ts";
import { forgetConversationOf } from "../sync/erase.ts";
import { type WholeLog, wholeLog } from "../sync/key-log.ts";
import { publishOwnCard } from "../sync/own-card.ts";
import { keepVault, ownerOf, updateSession } from "../sync/vault.ts";
import { fetchVault } from "../wire/login.ts";
import { Unsafe } from "./unsafe.ts";

/** Adopts the server's present state. Throws `Unsafe`, and changes nothing, if no backup explains it. */
export async function acceptRestored(account: Account): Promise<void> {
  const { store, serial, session, caller, notify } = account;
  const [log, vault] = [await soundLog(account), await ownVault(account)];
  const ids = await serial.run(async () => {
    const conversations = await store.conversations();
    const pins = vault?.contents.pins ?? {};
    const people = await Promise.all((await store.people()).map((person) => keepLogged(person, pins[person.id], log, session.server)));
    const outbox = await store.outbox();
    const forgotten = await Promise.all(conversations.map(({ wire }) => forgetConversationOf(account, wire.id)));
    await store.writeOwn(
      ...people.map(change.person),
      // As if seen for the first time: rows are fetched again, and epochs are checked from the first one on.
      ...forgotten.flat(),
      ...conversations.map(({ wire, keep, invited }) => change.conversation({ ...newConversation({ ...wire, epoch: 0, epochs: [], secret: "" }), keep, invited })),
      // They are sealed for a transcript that the server no longer has.
      ...outbox.map((one) => change.outgoing({ ...one, sealed: null })),
      ...removed("heads", "listMark", "listedAt"),
    );
    return conversations.map(({ wire }) => wire.id);
  });
  if (vault !== null) await updateSession(account, { vault: vault.rsakey });
  notify({ restored: true, list: true, outbox: true, conversations: ids });
  if (vault !== null) await keepVault(account, (there) => withoutLost(there, log, session.server));
  await publishOwnCard(caller, session);
  // The log comes last: until then the alarm stands, after each comparison, too. What was listed meanwhile was checked against the old one.
  await serial.run(() => store.writeOwn({ put: "meta", key: "log", value: log.followed }, ...removed("listMark", "listedAt", "alarm")));
  notify({ restored: true, list: true, outbox: true, conversations: ids });
}

const removed = (...keys: string[]): Change[] => keys.map((key) => ({ remove: "meta", key }));

async function soundLog(account: Account): Promise<WholeLog> {
  try {
    return await wholeLog(account);
  } catch (error) {
    throw error instanceof InvalidLog ? new Unsafe("log", error) : error;
  }
}

/** The server's vault, if it is this account's; null in accounts that have none. */
async function ownVault({ session, caller }: Account): Promise<{ rsakey: string; contents: Contents } | null> {
  if (session.vault === "" || !session.boxKey) return null;
  const { rsakey } = await fetchVault(caller);
  try {
    return { rsakey, contents: await openBox(readVault(rsakey), session.boxKey, ownerOf(session)) };
  } catch (error) {
    throw new Unsafe("keys", error);
  }
}

const isLostPin = (pin: VaultPin | null | undefined, tag: string, { cards }: WholeLog): boolean =>
  !!pin && pin[1] > 0 && !cards.has(`${tag}/${pin[0]}`);

/**
 * A person with only those cards that are in the log. If some are missing there, or the one that another device has pinned, the user
 * has to review the person's keys.
 */
async function keepLogged(person: PersonRecord, pinned: VaultPin | undefined, log: WholeLog, server: string): Promise<PersonRecord> {
  const tag = await tagOf(server, person.id);
  const cards: string[] = [];
  for (const card of person.cards) if (log.cards.has(`${tag}/${await cardHash(card)}`)) cards.push(card);
  const isLost = cards.length < person.cards.length || isLostPin(person.pin, tag, log) || isLostPin(pinned, tag, log);
  return isLost ? { ...person, cards, pin: null, trust: "changed" } : person;
}

// Otherwise a new device would look for them forever.
async function withoutLost({ keys, pins }: Contents, log: WholeLog, server: string): Promise<Contents> {
  const kept: [string, VaultPin][] = [];
  for (const [user, pin] of Object.entries(pins)) if (!isLostPin(pin, await tagOf(server, user), log)) kept.push([user, pin]);
  return { keys, pins: Object.fromEntries(kept), heads: {} };
}
