// A fake client for sample data, without a server.

import type { Article, Changes, Client, Conversation, Entry, FileId, MessageId, Outcome, State } from "../../core/index.ts";
import { pictureBytes } from "./picture.ts";
import { entries, firstUnread, long, me, members, NOW, saved, spring } from "./sample.ts";

const ok = async <T>(value: T): Promise<Outcome<T>> => Promise.resolve({ ok: true, value });

/** The fake, beginning with `state`. */
export function fakeClient(state: State): Client {
  const now = { ...state };
  const listeners = new Set<(changes: Changes) => void>();
  const logs = new Map<string, readonly Entry[]>(entries);
  const tell = (changes: Changes): void => {
    Object.assign(now, changes);
    for (const listener of listeners) listener(changes);
  };
  const put = (id: string, all: readonly Entry[]): void => {
    logs.set(id, all);
    if (now.log?.id === id) tell({ log: { ...now.log, entries: all } });
  };
  const change = (id: string, to: Partial<Conversation>): void =>
    tell({ conversations: now.conversations.map((c) => (c.id === id ? { ...c, ...to } : c)) });
  const update = (id: string, message: string, to: (article: Article) => Article | null): void =>
    put(id, (logs.get(id) ?? []).flatMap((e) => (e.kind === "article" && e.id === message ? (to(e) ?? []) : [e])));
  const nothing = async (): Promise<void> => Promise.resolve();
  const done = async (): Promise<Outcome> => ok(null);
  return {
    get state() {
      return now;
    },
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    onMessage: () => () => undefined,
    close: nothing,
    suggestPassword: () => "k7qf-m2xd-5trb-w4hn",
    logIn: async (_email, password) => Promise.resolve(password === "right" ? { ok: true, value: null } : { ok: false, failure: { kind: "login" } }),
    createAccount: async () => ok("K7QFM2XD5TRBW4HN6PLC3VJGZ6KMD5SAR2YTH7EBX4NWQ7UFC3LP"),
    recover: async () => ok("K7QFM2XD5TRBW4HN6PLC3VJGZ6KMD5SAR2YTH7EBX4NWQ7UFC3LP"),
    enter: async () => {
      tell({ session: { kind: "in", me } });
      return Promise.resolve(spring.id);
    },
    logOut: async () => {
      tell({ session: { kind: "out", why: null } });
      return Promise.resolve();
    },
    open: async (id) => {
      const found = now.conversations.find((c) => c.id === id);
      if (found) tell({ log: { id: found.id, entries: logs.get(id) ?? (now.conversations.length >= 1_000 ? long(60) : []), older: false, firstUnread: firstUnread.get(id) ?? null } });
      return Promise.resolve();
    },
    closeLog: (id) => {
      if (now.log?.id === id) tell({ log: null });
    },
    loadOlder: nothing,
    reveal: async () => Promise.resolve(true),
    seenUpTo: () => undefined,
    typing: () => undefined,
    prepareDraft: async (id, draft) =>
      Promise.resolve(async () => {
        change(id, { draft: draft.text, draftTarget: draft.target });
        return Promise.resolve();
      }),
    send: async (id, draft) => {
      const article: Article = {
        kind: "article",
        id: crypto.randomUUID() as MessageId,
        user: me.id,
        name: me.name,
        own: true,
        admin: false,
        at: NOW,
        text: draft.text,
        mentions: new Map(),
        files: draft.files ?? [],
        reply: null,
        edited: false,
        deleted: false,
        reactions: [],
        state: "sending",
        seenBy: [],
        until: null,
        trouble: null,
        held: null,
      };
      put(id, [...(logs.get(id) ?? []), article]);
      setTimeout(() => update(id, article.id, (a) => ({ ...a, state: "sent" })), 200);
      return Promise.resolve();
    },
    stage: async (source, about) => Promise.resolve({ id: crypto.randomUUID() as FileId, size: source.size, records: 1, key: "", digest: "", ...about }),
    keepChosen: nothing,
    chosenFiles: async () => Promise.resolve([]),
    unstage: nothing,
    readFile: async (file, take) => {
      await take(await pictureBytes(file));
      return ok(null);
    },
    edit: async (id, message, draft) => {
      update(id, message, (a) => ({ ...a, text: draft.text, edited: true }));
      return Promise.resolve();
    },
    erase: async (id, message) => {
      update(id, message, (a) => ({ ...a, deleted: true }));
      return ok(null);
    },
    react: async (id, message, emoji, on) => {
      update(id, message, (a) => {
        const others = a.reactions.filter((r) => r.emoji !== emoji);
        return { ...a, reactions: on ? [...others, { emoji, mine: true, names: [] }] : others };
      });
      return Promise.resolve();
    },
    retry: nothing,
    discard: async (id, message) => {
      update(id, message, () => null);
      return Promise.resolve();
    },
    info: async () => Promise.resolve({ at: NOW, seq: 1204, chain: "9c7103fa".repeat(8), fits: true, signed: true, delivered: ["Ágnes", "Ben"].map((name) => ({ name, at: NOW })), seen: [{ name: "Ágnes", at: NOW }], versions: [] }),
    change: async (id, to) => {
      change(id, to);
      return ok(null);
    },
    setKeep: async (id, keep) => {
      change(id, { keep });
      return ok(null);
    },
    clear: done,
    leave: done,
    rename: async (id, name) => {
      change(id, { name });
      return ok(null);
    },
    members: async () => Promise.resolve(members),
    addMembers: done,
    removeMember: done,
    setAdmin: done,
    renewKeys: done,
    request: async () => Promise.resolve({ ok: false, failure: { kind: "unknownPerson" } }),
    befriend: done,
    answer: async () => ok(null),
    writeTo: async () => ok(spring.id),
    saved: async () => ok(saved.id),
    createGroup: async () => ok(spring.id),
    invite: async () =>
      ok({
        code: "new",
        madeAt: NOW,
        until: NOW + 7 * 86_400_000,
        link: "https://chat.kovari.example/#invite=7Qm2xUeKp0c4&from=d574638619cbff603bf857164c47e850&card=13f417dd43046d3b687ecb03d1299804f492a705b13ebefc9709c75a877f1d99&v=kR8s0u3bQ2",
      }),
    invitations: async () => Promise.resolve([{ code: "old", madeAt: NOW - 26 * 3_600_000, until: NOW, link: null }]),
    withdraw: done,
    block: done,
    unfriend: done,
    askAgain: done,
    safetyNumber: async (user) => {
      const person = now.people.get(user);
      const groups = ["30241", "77520", "91846", "05533", "48210", "66397", "12958", "83004", "57412", "20863", "94175", "31629"];
      return Promise.resolve(person ? { person, groups, code: `parlance:1:${user}:13f417dd43046d3b687ecb03d1299804` } : null);
    },
    compareCode: async () => Promise.resolve("same"),
    verify: nothing,
    acceptKeys: nothing,
    search: async (text) => {
      const hits = [...logs].flatMap(([id, all]) =>
        all.flatMap((e) => {
          const c = now.conversations.find((one) => one.id === id);
          if (!c || e.kind !== "article" || !e.text.toLowerCase().includes(text.toLowerCase())) return [];
          return [{ conversation: c.id, where: c.name, message: e.id, user: e.user, name: e.name, at: e.at, text: e.text }];
        }),
      );
      return Promise.resolve({ hits, searched: 18_204 });
    },
    devices: async () =>
      ok([
        { id: "1", name: "Firefox, Linux", seenAt: NOW, idleMs: 0, since: NOW - 40 * 86_400_000, here: true },
        { id: "2", name: "Chrome, Android", seenAt: NOW - 3 * 3_600_000, idleMs: 3 * 3_600_000, since: NOW - 3 * 86_400_000, here: false },
        { id: "3", name: "Safari, macOS", seenAt: NOW - 15 * 86_400_000, idleMs: 15 * 86_400_000, since: null, here: false },
      ]),
    knowDevice: nothing,
    signOut: done,
    signOutOthers: done,
    setName: done,
    setPresence: done,
    changePassword: done,
    newSheet: async () => ok("K7QFM2XD5TRBW4HN6PLC3VJGZ6KMD5SAR2YTH7EBX4NWQ7UFC3LP"),
    newKeys: done,
    acceptRestored: async () => Promise.resolve(ok(null)),
    exportData: async () =>
      Promise.resolve({ user: me.id, name: me.name, email: me.email, at: new Date(NOW).toISOString(), contacts: [], conversations: [] }),
    deleteAccount: done,
    pushStatus: async () => ok({ key: "", endpoint: "" }),
    enablePush: done,
    disablePush: done,
    setPushSettings: nothing,
    fingerprint: () => "9c71 03fa 55d0 e8b2 41c6 7a90 2f3d b814",
    connectNow: () => undefined,
    useHere: () => undefined,
  };
}
