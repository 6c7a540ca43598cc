// One's own account: devices, one's name, what can be taken along.

import { articles } from "../model/timeline.ts";
import type { Device, Outcome } from "../model/view.ts";
import { contextOf, openRows } from "../show/log.ts";
import { Names } from "../show/people.ts";
import { asDevice, signOutStation } from "../sync/stations.ts";
import { updateSession } from "../sync/vault.ts";
import { setProfile } from "../wire/account.ts";
import { signOut as endStation, stations } from "../wire/login.ts";
import type { Open } from "./context.ts";
import { attempt } from "./outcome.ts";

/** The devices on which one is logged in. */
export const devices = ({ account }: Open): Promise<Outcome<Device[]>> =>
  attempt(async () => (await stations(account.caller)).map(asDevice));

/** Signs one out. */
export const signOut = ({ account }: Open, device: string): Promise<Outcome> =>
  attempt(async () => {
    await signOutStation(account, device);
    return null;
  });

/** Signs all others out. */
export const signOutOthers = ({ account, ask }: Open): Promise<Outcome> =>
  attempt(async () => {
    await endStation(account.caller, { others: true });
    await ask({ kind: "resync" });
    return null;
  });

/** Changes one's name. */
export async function setName({ account }: Open, name: string): Promise<Outcome> {
  return attempt(async () => {
    await setProfile(account.caller, name);
    await updateSession(account, { name });
    account.tell({ list: true });
    return null;
  });
}

const escape = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");

/** Everything that is on this device, readable. */
export async function exportData({ account, shown }: Open, as: "json" | "html"): Promise<string> {
  const { store, session } = account;
  const names = new Names(new Map((await store.people()).map((person) => [person.id, person])), session);
  const all = [];
  for (const record of await store.conversations()) {
    const found = articles(await openRows(account, record, 0), [], contextOf(record, names, account));
    const messages = found.map(({ id, name, user, at, text, edited, deleted, reactions }) => {
      const reacted = reactions.map(({ emoji, names: by }) => ({ emoji, by }));
      return { id, name, user, at: new Date(at).toISOString(), text, edited, deleted, reactions: reacted };
    });
    all.push({ id: record.wire.id, name: shown.conversationName(record.wire.id), messages });
  }
  if (as === "json") return JSON.stringify({ user: session.user, email: session.email, conversations: all }, null, 2);
  const body = all.map(({ name, messages }) => {
    const rows = messages.map((one) => `<p><b>${escape(one.name)}</b> <time>${one.at}</time><br>${escape(one.text)}</p>`);
    return `<section><h2>${escape(name)}</h2>${rows.join("\n")}</section>`;
  });
  return `<!doctype html><meta charset="utf-8"><title>Parlance</title>\n${body.join("\n")}\n`;
}
