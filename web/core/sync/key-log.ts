// Follows the key log from its first entry on, to detect a card in the user's name that somebody else made, and cards that were made
// for a single reader.

import { type Bytes, fromBase64, hex } from "../crypto/bytes.ts";
import { cardHash } from "../crypto/card.ts";
import { checkLogged, ENTRY_LENGTH, type Followed, followLog, InvalidLog, tagOf, UNKNOWN } from "../crypto/log.ts";
import type { PersonRecord } from "../store/records.ts";
import { change } from "../store/store.ts";
import { keyLog } from "../wire/people.ts";
import type { Account } from "./account.ts";

/** Pages that are fetched at most, in case a server never ends. */
const MAX_PAGES = 1000;

function entriesOf(bytes: Bytes): Bytes[] {
  if (bytes.length % ENTRY_LENGTH !== 0) throw new InvalidLog("form");
  return Array.from({ length: bytes.length / ENTRY_LENGTH }, (_, i) => bytes.slice(ENTRY_LENGTH * i, ENTRY_LENGTH * (i + 1)));
}

async function fetchAfter(account: Account, size: number): Promise<{ entries: Bytes[]; head: string; signature: string; key: string }> {
  const entries: Bytes[] = [];
  for (let pages = 0; pages < MAX_PAGES; pages++) {
    const page = await keyLog(account.caller, size + entries.length);
    entries.push(...entriesOf(fromBase64(page.entries)));
    // A head is of the whole log: only that of the last page can be compared with all entries.
    if (!page.hasmore) return { entries, head: page.head, signature: page.signature, key: page.key };
  }
  throw new InvalidLog("form");
}

/** Fetches and verifies what follows `held`; throws `InvalidLog`. */
async function followFrom(account: Account, held: Followed): Promise<{ followed: Followed; entries: Bytes[] }> {
  const { store, session } = account;
  const next = await fetchAfter(account, held.tree.size);
  const own = await store.person(session.user);
  const followed = await followLog(held, {
    server: session.server,
    serverKey: fromBase64(next.key),
    entries: next.entries,
    head: { head: next.head, signature: next.signature },
    own: { tag: await tagOf(session.server, session.user), cards: new Set(await Promise.all((own?.cards ?? []).map(cardHash))) },
  });
  return { followed, entries: next.entries };
}

/** A log from its first entry on. */
export interface WholeLog {
  followed: Followed;
  /** All cards that were ever logged: tag and hash, in hex. */
  cards: ReadonlySet<string>;
}

const heldLog = async ({ store }: Account): Promise<Followed> => (await store.meta<Followed>("log")) ?? UNKNOWN;

/** Follows the log as if nothing were known of it but the server's key; throws `InvalidLog`. */
export async function wholeLog(account: Account): Promise<WholeLog> {
  const { serverKey } = await heldLog(account);
  const { followed, entries } = await followFrom(account, { ...UNKNOWN, serverKey });
  return { followed, cards: new Set(entries.map((entry) => `${hex(entry.slice(0, 32))}/${hex(entry.slice(40))}`)) };
}

/** What it looks like where a log does not go on as it began: an older backup was restored, or somebody has forged it. */
const breaks = new Set<InvalidLog["why"]>(["shorter", "root", "order"]);

async function follow(account: Account, held: Followed): Promise<Followed> {
  try {
    return (await followFrom(account, held)).followed;
  } catch (error) {
    if (!(error instanceof InvalidLog) || !breaks.has(error.why)) throw error;
    await wholeLog(account);
    throw new InvalidLog("replaced");
  }
}

/**
 * Follows the log, and compares it with the cards of everybody; throws `InvalidLog`: "replaced" for one that is sound in itself, by
 * the same key, and not the one that was followed so far. Servers of the published form have none.
 */
export async function compareLog(account: Account): Promise<void> {
  const { store, session } = account;
  if (session.server === "") return;
  const followed = await follow(account, await heldLog(account));
  await account.serial.run(async () => {
    const unlogged = await withoutEntry(await store.people(), followed, session.server);
    await store.write({ put: "meta", key: "log", value: followed }, ...unlogged.map(change.person));
  });
  account.cipher.log = followed;
}

/** Those whose newest card is not the newest of the log. */
async function withoutEntry(people: readonly PersonRecord[], log: Followed, server: string): Promise<PersonRecord[]> {
  const found: PersonRecord[] = [];
  for (const person of people) {
    const newest = person.cards.at(-1);
    if (newest === undefined) continue;
    try {
      await checkLogged(log, server, person.id, await cardHash(newest));
    } catch (error) {
      if (!(error instanceof InvalidLog)) throw error;
      found.push({ ...person, trust: "changed" });
    }
  }
  return found;
}
