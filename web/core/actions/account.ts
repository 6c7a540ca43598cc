// The user's own account: devices, name, data export.

import { articles } from "../model/timeline.ts";
import type { Device, Outcome } from "../model/view.ts";
import type { Exported } from "../model/exported.ts";
import { contextOf, openRows } from "../show/log.ts";
import { Names } from "../show/people.ts";
import { devicesOf, signOutStation } from "../sync/stations.ts";
import { updateSession } from "../sync/vault.ts";
import { setProfile } from "../wire/account.ts";
import { signOut as endStation } from "../wire/login.ts";
import type { Open } from "./context.ts";
import { attempt } from "./outcome.ts";

/** The user's devices. */
export const devices = ({ account }: Open): Promise<Outcome<Device[]>> =>
  attempt(() => devicesOf(account));

/** Signs a device out. */
export const signOut = ({ account }: Open, device: string): Promise<Outcome> =>
  attempt(async () => {
    await signOutStation(account, device);
    return null;
  });

/** Signs all other devices out. */
export const signOutOthers = ({ account, ask }: Open): Promise<Outcome> =>
  attempt(async () => {
    await endStation(account.caller, { others: true });
    await ask({ kind: "resync" });
    return null;
  });

/** Changes the user's name. */
export async function setName({ account }: Open, name: string): Promise<Outcome> {
  return attempt(async () => {
    await setProfile(account.caller, name);
    await updateSession(account, { name });
    account.notify({ list: true });
    return null;
  });
}

/** Everything on this device, decrypted. */
export async function exportData({ account, view }: Open): Promise<Exported> {
  const { store, session, clock } = account;
  const people = await store.peopleById();
  const names = new Names(people, session);
  const conversations = [];
  for (const record of await store.conversations()) {
    const { id, isgroup, participants } = record.wire;
    const found = articles(await openRows(account, record, 0), [], contextOf(record, names, account));
    const messages = found.map((one) => ({
      id: one.id,
      user: one.user,
      name: one.name,
      at: new Date(one.at).toISOString(),
      text: one.text,
      files: one.files.map(({ name: of }) => of),
      reply: one.reply,
      reactions: one.reactions.map(({ emoji, mine, names: others }) => ({ emoji, by: mine ? [...others, session.name] : others })),
      edited: one.edited,
      deleted: one.deleted,
      trouble: one.trouble,
    }));
    const members = participants.map(({ userid }) => ({ id: userid, name: names.of(userid) }));
    conversations.push({ id, group: isgroup, name: view.conversationName(id), members, messages });
  }
  const contacts = [...people.values()].filter(({ friend }) => friend).map(({ id, name, email, trust }) => ({ id, name, email, trust }));
  const { user, name, email } = session;
  return { user, name, email, at: new Date(clock.now()).toISOString(), contacts, conversations };
}
