// One's own account: devices, password, what can be taken along.

import { random } from "../crypto/bytes.ts";
import { md5 } from "../crypto/md5.ts";
import { apikeyOf } from "../crypto/published.ts";
import {
  apikeyOfRoot,
  checkVersion,
  fillBox,
  fillSlot,
  openBox,
  openSlot,
  type Owner,
  printRecovery,
  readVault,
  writeVault,
} from "../crypto/vault.ts";
import { articles } from "../model/timeline.ts";
import type { Device, Outcome } from "../model/view.ts";
import { contextOf, openRows } from "../show/log.ts";
import { Names } from "../show/people.ts";
import { change } from "../store/store.ts";
import { deleteAccount as removeAccount, setProfile } from "../wire/account.ts";
import { changePassword as replacePassword, changeRecovery, login, signOut as endStation, stations } from "../wire/login.ts";
import type { Open } from "./context.ts";
import { attempt, notOffered } from "./outcome.ts";

/** The browsers in which one is logged in. */
export async function devices({ account }: Open): Promise<Device[]> {
  const found = await stations(account.caller);
  return found.map(({ stationid, key, lastseen, current }) => ({ id: stationid, name: key, seenAt: lastseen, here: current }));
}

/** Signs one out. */
export const signOut = ({ account }: Open, device: string): Promise<Outcome> =>
  attempt(() => endStation(account.caller, { stationid: device }));

/** Signs all others out. */
export const signOutOthers = ({ account }: Open): Promise<Outcome> => attempt(() => endStation(account.caller, { others: true }));

const loadKdf = (): Promise<typeof import("../crypto/kdf.ts")> => import("../crypto/kdf.ts");

/** Sets another password. The old one is asked for, because it opens the vault. */
export async function changePassword({ account }: Open, present: string, next: string, othersOut: boolean): Promise<Outcome> {
  const { session, caller, store } = account;
  const { kdf } = session;
  if (!kdf) return notOffered;
  const { DEFAULTS, rootOf } = await loadKdf();
  const owner: Owner = { server: session.server, user: md5(session.email) };
  const root = await rootOf(present, kdf);
  return attempt(async () => {
    const vault = readVault((await login(caller, await apikeyOfRoot(root, owner))).rsakey);
    checkVersion(vault, session.vaultVersion);
    const master = await openSlot(vault, root, owner, "password");
    const contents = await openBox(vault, master, owner);
    const newKdf = { ...DEFAULTS, salt: random(16) };
    const newRoot = await rootOf(next, newKdf);
    const version = vault.version + 1;
    const slots = { ...vault.slots, password: await fillSlot(master, newRoot, owner, "password") };
    const rsakey = writeVault({ version, slots, box: await fillBox(master, contents, owner, version) });
    const apikey = await apikeyOfRoot(newRoot, owner);
    await replacePassword(caller, { apikey, kdf: newKdf, rsakey, version, recoverykey: null, signout: othersOut });
    Object.assign(session, { kdf: newKdf, vaultVersion: version });
    await store.writeOwn(change.session(session));
    return null;
  });
}

/** Makes a new recovery key; the old one stops working. */
export async function newSheet({ account }: Open, password: string): Promise<Outcome<string>> {
  const { session, caller, store } = account;
  const { kdf } = session;
  if (!kdf) return notOffered;
  const { rootOf } = await loadKdf();
  const owner: Owner = { server: session.server, user: md5(session.email) };
  const root = await rootOf(password, kdf);
  return attempt(async () => {
    const vault = readVault((await login(caller, await apikeyOfRoot(root, owner))).rsakey);
    checkVersion(vault, session.vaultVersion);
    const master = await openSlot(vault, root, owner, "password");
    const contents = await openBox(vault, master, owner);
    const recovery = random(32);
    const version = vault.version + 1;
    const slots = { ...vault.slots, recovery: await fillSlot(master, recovery, owner, "recovery") };
    const rsakey = writeVault({ version, slots, box: await fillBox(master, contents, owner, version) });
    await changeRecovery(caller, { recoverykey: await apikeyOfRoot(recovery, owner), rsakey, version });
    Object.assign(session, { vaultVersion: version, hasSheet: true });
    await store.writeOwn(change.session(session));
    return printRecovery(recovery);
  });
}

/** Changes one's name. */
export async function setName({ account }: Open, name: string): Promise<Outcome> {
  const { caller, store, session } = account;
  return attempt(async () => {
    await setProfile(caller, name);
    session.name = name;
    await store.writeOwn(change.session(session));
    account.tell({ list: true });
    return null;
  });
}

/** Deletes the account, for good; the password is asked for once more. */
export async function deleteAccount({ account }: Open, password: string): Promise<Outcome> {
  const { session, caller } = account;
  const owner: Owner = { server: session.server, user: md5(session.email) };
  const apikey = session.kdf
    ? await apikeyOfRoot(await (await loadKdf()).rootOf(password, session.kdf), owner)
    : await apikeyOf(session.email, password);
  return attempt(() => removeAccount(caller, apikey));
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
