// Invitations: a link that makes two people friends, and verifies both keys at once (docs/e2ee.md, Comparing keys).

import { hex, random } from "../crypto/bytes.ts";
import { invitationProof, provesInvitation } from "../crypto/number.ts";
import type { Content } from "../model/body.ts";
import { isSame } from "../model/equal.ts";
import { withKeyEvents } from "../model/key-history.ts";
import { type ConversationId, messageId, type UserId, userId } from "../model/ids.ts";
import { writeInvitation } from "../model/invitation.ts";
import { isEffective, type Row } from "../model/timeline.ts";
import type { Invitation, OpenInvitation, Outcome } from "../model/view.ts";
import { enqueue } from "../outbox/queue.ts";
import type { PersonRecord } from "../store/records.ts";
import { change } from "../store/store.ts";
import type { Account } from "../sync/account.ts";
import { memberKey, ownKey } from "../sync/cards.ts";
import { newPerson } from "../sync/people.ts";
import * as wire from "../wire/account.ts";
import { Unreachable } from "../wire/refusal.ts";
import type { WireMessage } from "../wire/conversation.ts";
import type { Open } from "./context.ts";
import { attempt } from "./outcome.ts";

/** In `meta` under `invitations`: what only the browser that created an invitation knows of it. */
interface StoredInvitation {
  id: string;
  secret: string;
  /** The own key that the link names. */
  card: string;
  link: string;
  until: number;
}

const storedInvitations = async ({ store }: Account): Promise<StoredInvitation[]> => (await store.meta<StoredInvitation[]>("invitations")) ?? [];

function updateStored(account: Account, next: (stored: StoredInvitation[]) => StoredInvitation[]): Promise<void> {
  return account.serial.run(async () => {
    const value = next(await storedInvitations(account));
    await account.store.writeOwn({ put: "meta", key: "invitations", value });
  });
}

/** Creates an invitation for one person. */
export const invite = ({ account, ask }: Open): Promise<Outcome<OpenInvitation>> =>
  attempt(async () => {
    if ((await ownKey(account)) === null) await ask({ kind: "resync" });
    const card = await ownKey(account);
    if (card === null) throw new Unreachable("one's own card is not known here yet");
    const made = await wire.invite(account.caller);
    const secret = hex(random(32));
    const [base] = made.link.split("#");
    const link = `${base ?? ""}${writeInvitation({ code: made.invite, from: account.session.user, card, secret, name: account.session.name })}`;
    const stored: StoredInvitation = { id: made.inviteid, secret, card, link, until: made.expires };
    await updateStored(account, (all) => [...all.filter(({ until }) => until > account.caller.now()), stored]);
    return { code: made.inviteid, madeAt: account.caller.now(), until: made.expires, link };
  });

/** The invitations that nobody has used yet. */
export async function invitations({ account }: Open): Promise<OpenInvitation[]> {
  const found = await attempt(() => wire.invites(account.caller));
  if (!found.ok) return [];
  const links = new Map((await storedInvitations(account)).map(({ id, link }) => [id, link]));
  const open = found.value.filter((one) => one.open);
  return open.map(({ inviteid, created, expires }) => ({ code: inviteid, madeAt: created, until: expires, link: links.get(inviteid) ?? null }));
}

/** Revokes an invitation. */
export const withdraw = ({ account }: Open, code: string): Promise<Outcome> =>
  attempt(async () => {
    await wire.revokeInvite(account.caller, code);
    await updateStored(account, (all) => all.filter(({ id }) => id !== code));
    return null;
  });

function trust({ store, serial, notify, clock }: Account, user: UserId): Promise<void> {
  return serial.run(async () => {
    const person = await store.person(user);
    // A key that has changed meanwhile is not the one that was proved.
    if (!person || person.trust === "changed") return;
    await store.writeOwn(change.person(withKeyEvents(person, { ...person, trust: "verified" }, clock.now())));
    notify({ list: true });
  });
}

/** The inviter, pinned to the key that the link names. */
export const pinnedBy = ({ from, card }: Invitation): PersonRecord => ({ ...newPerson(userId(from)), pin: [card, 0, "verified"], trust: "verified" });

/** Proves to the inviter that this user had the link, and marks the inviter's key as verified, if it is the one in the link. */
export async function prove({ account }: Open, conversation: ConversationId, { from, card, secret }: Invitation): Promise<void> {
  const inviter = userId(from);
  const person = await account.store.person(inviter);
  const own = await ownKey(account);
  // With cards, sync/cards.ts has compared the pin already.
  const isOther = person?.cards.length === 0 && (await memberKey(person)) !== card;
  if (!person || own === null || card === "" || secret === "" || isOther || person.trust === "changed") return;
  await trust(account, inviter);
  const content: Content = { kind: "verify", mac: await invitationProof(secret, own, card) };
  await enqueue(account, { conversation, id: messageId(crypto.randomUUID()), content, until: null });
}

/** In `meta` under `proofs`: a message that may be a proof, and could not be checked yet. */
type Undecided = readonly [conversation: ConversationId, seq: number];

/** Maximum number; older ones are dropped. */
const MAX_UNDECIDED = 100;

/** Looks for proofs among new messages. A sender who had the link is the person whom the user gave it to. */
export async function checkProofs(account: Account, conversation: ConversationId, rows: readonly WireMessage[]): Promise<void> {
  const { store, session, serial } = account;
  const updates = rows.filter(({ Type, User }) => Type === "Update" && User !== session.user);
  const stored = updates.length > 0 ? await storedInvitations(account) : [];
  const record = await store.conversation(conversation);
  if (stored.length === 0 || !record || record.wire.isgroup) return;
  const undecided = new Set<number>();
  for (const row of await account.cipher.openAll(record, updates)) {
    if ((await judge(account, row, stored)) === "later") undecided.add(row.seq);
  }
  const judged = new Set(updates.map(({ Seq }) => Seq));
  await serial.run(async () => {
    const before = (await store.meta<Undecided[]>("proofs")) ?? [];
    const others = before.filter(([id, seq]) => id !== conversation || !judged.has(seq));
    const now = [...others, ...[...undecided].map((seq): Undecided => [conversation, seq])].slice(-MAX_UNDECIDED);
    if (!isSame(before, now)) await store.writeOwn({ put: "meta", key: "proofs", value: now });
  });
}

/** Checks undecided proofs again, as keys may have arrived since. */
export async function checkProofsAgain(account: Account): Promise<void> {
  const found = new Map<ConversationId, WireMessage[]>();
  for (const [id, seq] of (await account.store.meta<Undecided[]>("proofs")) ?? []) {
    found.set(id, [...(found.get(id) ?? []), ...(await account.store.rows(id, seq, seq))]);
  }
  for (const [id, rows] of found) await checkProofs(account, id, rows);
}

/** Accepts a proof, if it is one. "later": it cannot be checked before the sender's card, or the epoch, is here. */
async function judge(account: Account, { user, content, trouble }: Row, stored: readonly StoredInvitation[]): Promise<"done" | "later"> {
  const person = await account.store.person(user);
  const key = person && (await memberKey(person));
  if (content && content.kind !== "verify") return "done";
  // Until the card is here, `memberKey` is the RSA key, and the proof names the card.
  const hasCard = account.session.server === "" || (person?.cards.length ?? 0) > 0;
  if (!content || !isEffective(trouble) || !key || !hasCard) return trouble === "newerClient" ? "done" : "later";
  for (const { id, secret, card } of stored) {
    if (!(await provesInvitation(secret, key, card, content.mac))) continue;
    await trust(account, user);
    await updateStored(account, (all) => all.filter((one) => one.id !== id));
  }
  return "done";
}
