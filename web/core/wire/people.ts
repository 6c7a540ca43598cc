// srv=chatserver, the APIs about people: chatfriends, chatavailability, chatblocklist, chatkeys.

import { parseCard, type SignedCard } from "../crypto/card.ts";
import { userId, type UserId } from "../model/ids.ts";
import type { Blocklist, Cards, CardSignatures, Friend, FriendRequest, Friends as FriendsJson, FriendWhoLeft, KeyLogPage, SignedCard as CardJson } from "./answers.ts";
import { type Caller, done } from "./call.ts";
import { answer, flag, list, optional, parsed, record, text } from "./decode.ts";

const friend = answer<Friend>()({ friendid: parsed(userId), friendname: text, publickey: text, availability: text, alike: optional(flag, false) });
const request = answer<FriendRequest>()({ friendid: parsed(userId), friendname: text, alike: optional(flag, false) });
const gone = answer<FriendWhoLeft>()({ friendid: parsed(userId), friendname: text });
const friendsAnswer = answer<FriendsJson>()({ availabilities: list(friend), requests: optional(list(request), []), left: optional(list(gone), []), chosen: optional(text, "available") });

/** A friend. */
export type WireFriend = ReturnType<typeof friend>;

/** Friends, users who sent a friend request, and former friends who have deleted their account. */
export type Friends = ReturnType<typeof friendsAnswer>;

/** One's friends. */
export const friends = (caller: Caller): Promise<Friends> => caller.call("chatfriends", "list", {}, friendsAnswer);

/** Asks for a friendship, or accepts such a request. */
export const addFriend = (caller: Caller, who: { friendid: UserId } | { email: string }): Promise<null> =>
  caller.call("chatfriends", "add", who, done);

/** Accepts a request. */
export const acceptFriend = (caller: Caller, friendid: UserId): Promise<null> =>
  caller.call("chatfriends", "accept", { friendid }, done);

/** Ends a friendship, or declines a request. */
export const removeFriend = (caller: Caller, friendid: UserId): Promise<null> =>
  caller.call("chatfriends", "remove", { friendid }, done);

/** Chooses what others see while this user is online. */
export const setAvailability = (caller: Caller, state: "available" | "away" | "busy" | "invisible"): Promise<null> =>
  caller.call("chatavailability", `user${state}`, {}, done);

/** The users whom this user has blocked. */
export const blocked = async (caller: Caller): Promise<UserId[]> => {
  const decode = answer<Blocklist>()({ blockedusers: list(parsed(userId)) });
  return (await caller.call("chatblocklist", "blocklist", {}, decode)).blockedusers;
};

/** Blocks somebody, or no more. */
export const block = (caller: Caller, userid: UserId, on: boolean): Promise<null> =>
  caller.call("chatblocklist", on ? "block" : "unblock", { userid }, done);

const signatures = answer<CardSignatures>()({ sign: text, rsa: text, prev: text });
const cardsAnswer = answer<Cards>()({
  cards: record(list(answer<CardJson>()({ card: text, signatures }))),
  publickeys: optional(record(text), new Map<string, string>()),
  hasmore: optional(flag, false),
});

/** What the server has of people's keys: their cards, and, where it tells, their RSA keys. */
export interface KeysOfPeople {
  cards: Map<string, SignedCard[]>;
  publicKeys: Map<string, string>;
}

/** The cards of these users, oldest first, after those whose number is given. */
export async function cards(caller: Caller, userids: readonly UserId[], after: Record<string, number>): Promise<KeysOfPeople> {
  const found: KeysOfPeople = { cards: new Map(), publicKeys: new Map() };
  const from = { ...after };
  for (;;) {
    const page = await caller.call("chatkeys", "get", { userids, after: from }, cardsAnswer);
    for (const [user, list] of page.cards) {
      found.cards.set(user, [...(found.cards.get(user) ?? []), ...list]);
      const last = page.hasmore ? list.at(-1) : undefined;
      if (last) from[user] = parseCard(last.card).n;
    }
    for (const [user, key] of page.publickeys) found.publicKeys.set(user, key);
    if (!page.hasmore || page.cards.size === 0) return found;
  }
}

/** Publishes the user's next card. */
export const publishCard = (caller: Caller, card: SignedCard): Promise<null> =>
  caller.call("chatkeys", "publish", { ...card }, done);

const logAnswer = answer<KeyLogPage>()({ head: text, signature: text, key: text, entries: text, hasmore: flag });

/** The key log after the first `after` entries. */
export const keyLog = (caller: Caller, after: number): Promise<ReturnType<typeof logAnswer>> =>
  caller.call("chatkeys", "log", { after }, logAnswer);
