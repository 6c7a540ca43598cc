// Friendship, and trust in other users' keys.

import { fromHex } from "../crypto/bytes.ts";
import { beginning } from "../crypto/chain.ts";
import { rsaHash } from "../crypto/keys.ts";
import { md5 } from "../crypto/md5.ts";
import { readScanCode, scanCode, safetyNumber as numberOf } from "../crypto/number.ts";
import { normalEmail } from "../crypto/published-account.ts";
import { parseCard } from "../crypto/card.ts";
import { withKeyEvents } from "../model/key-history.ts";
import { type ConversationId, conversationId, type UserId, userId } from "../model/ids.ts";
import type { Outcome, Request, SafetyNumber, ScanResult } from "../model/view.ts";
import { showPerson } from "../show/people.ts";
import type { ConversationRecord, PersonRecord } from "../store/records.ts";
import { change } from "../store/store.ts";
import { memberKey, ownKey } from "../sync/cards.ts";
import { newPerson } from "../sync/people.ts";
import { acceptGroup, declineGroup } from "../wire/group.ts";
import { acceptFriend, addFriend, block as blockUser, removeFriend } from "../wire/people.ts";
import { removeSentRequest, addSentRequest } from "../sync/sent-requests.ts";
import type { Open } from "./context.ts";
import { writeTo } from "./conversations.ts";
import { attempt, ok } from "./outcome.ts";

/** Sends a friend request. */
export const request = ({ account, ask }: Open, address: string): Promise<Outcome> =>
  attempt(async () => {
    const email = normalEmail(address);
    await addFriend(account.caller, { email });
    // Stored now, because the server never sends the address.
    const id = userId(md5(email));
    await changePerson({ account }, id, (person) => ({ ...person, email }));
    await addSentRequest(account, id, email);
    await ask({ kind: "resync" });
    return null;
  });

function changePerson({ account }: Pick<Open, "account">, id: UserId, to: (person: PersonRecord) => PersonRecord): Promise<void> {
  return account.serial.run(async () => {
    const person = (await account.store.person(id)) ?? newPerson(id);
    await account.store.writeOwn(change.person(withKeyEvents(person, to(person), account.clock.now())));
    account.notify({ list: true });
  });
}

/** Accepts or declines a request, or withdraws one of the user's own; opens the conversation with a new friend. */
export async function answer(open: Open, kind: Request["kind"], id: string, accept: boolean): Promise<Outcome<ConversationId | null>> {
  const { account, ask } = open;
  if (kind === "group") {
    const group = conversationId(id);
    return attempt(async () => {
      await (accept ? acceptGroup(account.caller, group) : declineGroup(account.caller, group));
      await ask({ kind: "resync" });
      return accept ? group : null;
    });
  }
  const friend = userId(id);
  if (kind === "sent") {
    return attempt(async () => {
      await removeFriend(account.caller, friend);
      await removeSentRequest(account, friend);
      return null;
    });
  }
  const done = await attempt(async () => {
    await (accept ? acceptFriend(account.caller, friend) : removeFriend(account.caller, friend));
    await ask({ kind: "resync" });
  });
  if (!done.ok) return done;
  return accept ? writeTo(open, friend) : ok(null);
}

/** Sends a friend request to a user who is already known. */
export const askAgain = ({ account, ask }: Open, user: UserId): Promise<Outcome> =>
  attempt(async () => {
    await addFriend(account.caller, { friendid: user });
    const person = await account.store.person(user);
    await addSentRequest(account, user, person?.name || person?.email || user);
    await ask({ kind: "resync" });
    return null;
  });

/** Ends a friendship. */
export const unfriend = ({ account, ask }: Open, user: UserId): Promise<Outcome> =>
  attempt(async () => {
    await removeFriend(account.caller, user);
    await ask({ kind: "resync" });
    return null;
  });

/** Blocks or unblocks a user. */
export const block = ({ account, ask }: Open, user: UserId, on: boolean): Promise<Outcome> =>
  attempt(async () => {
    await blockUser(account.caller, user, on);
    await ask({ kind: "resync" });
    return null;
  });

// An account without a card is identified by its RSA key.
async function keyOf(publicKey: string, cards: readonly string[]): Promise<Uint8Array<ArrayBuffer>> {
  const newest = cards.at(-1);
  return newest === undefined ? rsaHash(publicKey) : parseCard(newest).sign;
}

/** The number that two people compare; null while there is no key. */
export async function safetyNumber({ account }: Open, user: UserId): Promise<SafetyNumber | null> {
  const { session, store } = account;
  const [person, card] = [await store.person(user), await ownKey(account)];
  if (!person || card === null || (person.publicKey === "" && person.cards.length === 0)) return null;
  const key = person.offeredKey || person.publicKey;
  const own = session.signKey ? fromHex(session.signKey, 32) : await rsaHash(session.publicKey);
  const theirs = await keyOf(key, person.cards);
  const groups = await numberOf({ user: session.user, sign: own }, { user, sign: theirs });
  const direct = await store.directWith(user);
  return { person: showPerson(person), groups, code: direct ? await codeOf(session.user, card, direct) : null };
}

async function codeOf(user: UserId, card: string, { wire, instance, head }: ConversationRecord): Promise<string> {
  const { seq, chain } = head ?? { seq: 0, chain: await beginning(wire.id, instance) };
  return scanCode({ user, card, conversation: wire.id, seq, chain });
}

/** Compares what a person's code says with what this device has of them: their keys, and the transcript as far as it is here. */
export async function compareCode({ account: { store } }: Open, user: UserId, text: string): Promise<ScanResult> {
  const code = readScanCode(text);
  const person = await store.person(user);
  if (!code || !person || code.user !== user) return "otherCode";
  if (code.card !== (await memberKey(taken(person)))) return "different";
  const direct = await store.directWith(user);
  const [row] = direct?.wire.id === code.conversation ? await store.rows(direct.wire.id, code.seq, code.seq) : [];
  return row && row.Chain !== code.chain ? "different" : "same";
}

// The user has reviewed the key that is offered now, so it replaces whatever was pinned.
const taken = (person: PersonRecord): PersonRecord => ({
  ...person,
  pin: null,
  publicKey: person.offeredKey || person.publicKey,
  offeredKey: "",
});

async function decide(open: Open, user: UserId, trust: "verified" | "seen"): Promise<void> {
  await changePerson(open, user, (person) => ({ ...taken(person), trust }));
  for (const { id, held } of await open.account.store.outbox()) {
    if (held?.code === "keys_changed") await open.ask({ kind: "retry", message: id });
  }
}

/** Marks a person's keys as compared; messages that were held for this are sent. */
export const verify = (open: Open, user: UserId): Promise<void> => decide(open, user, "verified");

/** Marks a person's new key as reviewed; messages that were held for this are sent. */
export const acceptKeys = (open: Open, user: UserId): Promise<void> => decide(open, user, "seen");
