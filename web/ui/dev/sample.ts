// Sample data for the pictures and for work on the screens without a server. Never shipped.

import type { Article, Conversation, ConversationId, Entry, FileId, FileInfo, Line, Me, Member, MessageId, Person, State, UserId } from "../../core/index.ts";

const asUser = (n: number): UserId => n.toString(16).padStart(32, "0") as UserId;
const asConversation = (n: number): ConversationId => (n + 256).toString(16).padStart(32, "0") as ConversationId;
const asMessage = (n: number): MessageId => `00000000-0000-4000-8000-${n.toString(16).padStart(12, "0")}` as MessageId;

/** A Tuesday, twenty past two in the afternoon: what the pictures show as now. */
export const NOW = new Date(2026, 10, 24, 14, 20).getTime();
const today = (hour: number, minute: number): number => new Date(2026, 10, 24, hour, minute).getTime();
const daysAgo = (days: number, hour = 12): number => new Date(2026, 10, 24 - days, hour, 0).getTime();

const person = (n: number, name: string, email: string, more: Partial<Person> = {}): Person => ({
  id: asUser(n),
  name,
  email,
  presence: "offline",
  trust: "seen",
  blocked: false,
  friend: true,
  left: false,
  alike: false,
  ...more,
});

export const nora = person(0x1a0, "Nora Weiss", "nora@weiss.example", { presence: "available", trust: "verified" });
const agnes = person(0x2b3, "Ágnes Kővári", "agnes@kovari.example", { presence: "available", trust: "verified" });
const ben = person(0x3c7, "Ben Osei", "ben.osei@printshop.example", { presence: "away", trust: "verified" });
const marta = person(0x4d1, "Marta Lindqvist", "marta.lindqvist@a-rather-long-domain-name.example", { presence: "available" });
const tomas = person(0x5e2, "Tomás Rivera", "tomas@rivera.example");
const yusuf = person(0x6f9, "Yusuf Demir", "yusuf@demir.example", { trust: "changed" });
const ann = person(0x7a4, "Ann Keller", "ann@keller.example", { presence: "available", trust: "verified" });
const sophie = person(0x8b6, "Sophie Petit", "sophie@petit.example", { presence: "busy" });
const lena = person(0x9c8, "Lena Brandt", "lena@brandt.example", { friend: false });

export const everyone = [agnes, ben, marta, tomas, yusuf, ann, sophie, lena];
export const members: Member[] = [nora, agnes, yusuf, ben, marta, tomas].map((p) => ({ ...p, admin: p === nora || p === agnes }));

const conversation = (n: number, kind: Conversation["kind"], name: string, more: Partial<Conversation>): Conversation => ({
  id: asConversation(n),
  kind,
  name,
  other: null,
  color: "",
  favorite: false,
  muted: false,
  hidden: false,
  keep: "forever",
  unread: 0,
  lastAt: 0,
  preview: null,
  lastState: null,
  draft: "",
  draftTarget: null,
  memberCount: kind === "group" ? 6 : 2,
  availableCount: kind === "group" ? 3 : 0,
  admin: kind === "group",
  barrier: null,
  renewedAt: daysAgo(22),
  ...more,
});

const said = (who: Person | null, text: string): Conversation["preview"] => ({ name: who?.name.split(" ")[0] ?? null, own: who === null, text, files: null, instead: null });

export const spring = conversation(1, "group", "Spring concert", {
  color: "#bae1ff",
  favorite: true,
  lastAt: today(14, 12),
  preview: said(null, "Sending it in a minute. Yes to the programmes, and I'll take the flowers too."),
  lastState: "seen",
});
export const withAnn = conversation(2, "direct", "Ann Keller", { other: ann.id, color: "#ffdfba", favorite: true, lastAt: today(13, 58), preview: said(ann, "Yes! See you at the station") });
export const withYusuf = conversation(8, "direct", "Yusuf Demir", {
  other: yusuf.id,
  lastAt: daysAgo(1, 9),
  preview: said(yusuf, "🎻"),
  barrier: { kind: "keysChanged", user: yusuf.id, name: "Yusuf" },
});

export const withMarta = conversation(10, "group", "Hall pictures", { lastAt: daysAgo(15), preview: { name: "Marta", own: false, text: "", files: { shape: "picture", count: 3, name: "" }, instead: null } });

export const saved = conversation(6, "saved", "", { memberCount: 1, lastAt: daysAgo(1, 16), preview: said(null, "Plan of the hall, final") });

export const conversations: Conversation[] = [
  spring,
  withAnn,
  conversation(3, "direct", "Ben Osei", { other: ben.id, unread: 2, lastAt: today(12, 40), preview: said(ben, "Could you look at the second page before I print it?") }),
  conversation(4, "group", "Kitchen rota", { color: "#baffc9", muted: true, unread: 14, lastAt: today(11, 5), preview: said(marta, "Bread is in the oven") }),
  conversation(5, "direct", "Tomás Rivera", { other: tomas.id, draft: "I think we should", lastAt: daysAgo(1, 18) }),
  saved,
  conversation(7, "group", "Board", { color: "#e7c6ff", lastAt: daysAgo(1, 10), preview: said(null, "Minutes are in the folder"), lastState: "delivered" }),
  withYusuf,
  conversation(9, "group", "Programme notes — proof reading", { lastAt: daysAgo(12), preview: said(ben, "Page four has the old date") }),
  withMarta,
  conversation(12, "group", "Flowers", { color: "#ffb3ba", lastAt: daysAgo(16), preview: { name: nora.name, own: true, text: "", files: null, instead: "deleted" } }),
  conversation(11, "direct", "Sophie Petit", { other: sophie.id, hidden: true, lastAt: daysAgo(30), preview: said(sophie, "Merci !") }),
];

let fileCount = 0;
const file = (name: string, mime: string, size: number, more: Partial<FileInfo> = {}): FileInfo => ({
  id: `00000000-0000-4000-9000-${String((fileCount += 1)).padStart(12, "0")}` as FileId,
  name,
  mime,
  size,
  records: 1,
  key: "",
  digest: "",
  w: null,
  h: null,
  ms: null,
  thumb: "",
  wave: "",
  ...more,
});
const photo = (name: string, w = 1600, h = 1200): FileInfo => file(name, "image/jpeg", 480_000, { w, h });
const wave = btoa(Array.from({ length: 44 }, (_, i) => String.fromCharCode(40 + Math.round(100 * (1 + Math.sin(i * i * 0.37))))).join(""));

let count = 0;
function article(who: Person, at: number, text: string, more: Partial<Article> = {}): Article {
  count += 1;
  return {
    kind: "article",
    id: asMessage(count),
    user: who.id,
    name: who.name,
    own: who === nora,
    admin: who === agnes,
    at,
    text,
    mentions: new Map([["Nora", nora.id]]),
    files: [],
    reply: null,
    edited: false,
    deleted: false,
    reactions: [],
    state: who === nora ? "delivered" : null,
    seenBy: [],
    until: null,
    trouble: null,
    held: null,
    ...more,
  };
}
const line = (what: Line["what"], at: number): Line => ({ kind: "line", id: `line ${(count += 1)}`, at, what });

const table = article(nora, today(13, 34), "Then I'd leave the long table by the window and move the small ones out.");
const good = article(agnes, today(14, 6), "Good. The hall is ours on **Thursday from 18:30**, the caretaker opens for us. @Nora can you bring the 40 programmes?", {
  reply: { id: table.id, name: "Nora", own: true, quote: table.text, deleted: false },
  reactions: [
    { emoji: "👍", mine: true, names: ["Ágnes", "Ben"] },
    { emoji: "🎉", mine: false, names: ["Marta", "Tomás"] },
  ],
});

const inSpring: Entry[] = [
  article(tomas, today(12, 50), "Morning all. Did anyone get an answer about the hall? I asked twice, and the office says that only Ágnes may sign. 😅"),
  article(marta, today(13, 31), "I measured the stage again: it is 40 cm deeper than the drawing says. So the choir fits in two rows, and the piano can stay where it is."),
  article(marta, today(13, 32), "Photos tonight."),
  table,
  article(nora, today(13, 36), "The order is in `seating.txt`, for whoever prints it:\n```\nRow A   1–14   reserved\nRow B   1–16   choir families\nRow C   1–16   open\n```"),
  good,
  article(ben, today(14, 9), "I can print them, if someone sends me the last version. Mine still has the old date on page four.", { edited: true }),
  article(nora, today(14, 12), "Sending it in a minute. Yes to the programmes, and I'll take the flowers too.", {
    state: "seen",
    seenBy: [agnes, ben, marta],
  }),
];

const sending = article(nora, today(13, 59), "", { state: "sending", files: [file("rehearsal-recording.mp4", "application/zip", 96_000_000)] });
const inFiles: Entry[] = [
  article(marta, today(13, 40), "The hall from all sides. The curtain is still the red one.", {
    files: ["hall", "curtain", "lamps", "stairs", "door", "yard", "roof"].map((name) => photo(`${name}.jpg`)),
  }),
  article(marta, today(13, 41), "", { files: [file("Seating and emergency exits, second draft.pdf", "application/pdf", 1_840_000)] }),
  article(ann, today(13, 52), "", { files: [file("voice-2026-11-24.webm", "audio/webm", 61_000, { ms: 18_400, wave })] }),
  article(nora, today(13, 55), "", { state: "seen", files: [photo("poster.jpg", 900, 1400)] }),
  article(nora, today(13, 56), "Both sides", { state: "delivered", files: [photo("front.jpg"), photo("back.jpg")] }),
  article(ann, today(13, 57), "", { files: [file("walk-through.mp4", "video/mp4", 24_000_000, { w: 1920, h: 1080, ms: 64_000 }), file("recording.mp3", "audio/mpeg", 3_400_000, { ms: 180_000 })] }),
  sending,
  article(nora, today(14, 0), "", { state: "notSent", held: { kind: "fileTooLarge", detail: "" }, files: [file("programme-v7.pdf", "application/pdf", 140_000_000)] }),
];

const inAnn: Entry[] = [
  line({ kind: "verified", who: "Ann", user: ann.id }, today(13, 40)),
  article(ann, today(13, 52), "The 17:04 is cancelled. There is one at 17:31, we would still make it."),
  article(ann, today(13, 52), "🙈"),
  article(nora, today(13, 55), "Let's take that one. Platform 4?"),
  article(nora, today(13, 55), "I'll bring the flowers, so save me a seat by the door", {
    state: "seen",
    reply: { id: asMessage(1), name: "Ann", own: false, quote: "There is one at 17:31", deleted: false },
  }),
  article(ann, today(13, 58), "Yes! See you at the station", { reactions: [{ emoji: "❤️", mine: true, names: [] }] }),
];

const inYusuf: Entry[] = [
  article(yusuf, daysAgo(1, 8), "Rehearsal moves to ~~seven~~ half past seven", { edited: true, until: NOW + 6 * 86_400_000 }),
  article(yusuf, daysAgo(1, 8), "", { trouble: "waitingForKey" }),
  article(yusuf, daysAgo(1, 8), "", { deleted: true }),
  article(nora, daysAgo(1, 9), "Can you open the side door at six?", { state: "sent" }),
  article(nora, daysAgo(1, 9), "We will be eight with the children", { state: "notSent", held: { kind: "other", detail: "the conversation is full" } }),
  article(yusuf, daysAgo(1, 9), "Please send me the new door code.", { trouble: "notProven" }),
  line({ kind: "newKeys", who: "Yusuf", user: yusuf.id }, daysAgo(1, 9)),
];

export const entries = new Map<string, readonly Entry[]>([
  [spring.id, inSpring],
  [withAnn.id, inAnn],
  [withYusuf.id, inYusuf],
  [withMarta.id, inFiles],
]);
export const firstUnread = new Map<string, MessageId>([[spring.id, good.id]]);

export const me: Me = { id: nora.id, name: nora.name, email: nora.email, hasSheet: false, fileLimit: 104_857_600 };

/** `n` conversations; the first one has a long log. */
export const many = (n: number): Conversation[] =>
  Array.from({ length: n }, (_, i) =>
    conversation(1_000 + i, i % 3 === 0 ? "group" : "direct", `Conversation ${i}`, {
      other: i % 3 === 0 ? null : ann.id,
      color: i % 5 === 0 ? "#bae1ff" : "",
      lastAt: NOW - i * 60_000,
      preview: said(ann, `The last of conversation ${i}`),
    }),
  );

/** A log of `n` messages. */
export const long = (n: number): Entry[] =>
  Array.from({ length: n }, (_, i) => article(i % 4 === 0 ? nora : ann, NOW - (n - i) * 90_000, `Message ${i} with **some** text and a \`word\` of code`));

/** The state that the pictures show. */
export const state: State = {
  session: { kind: "in", me },
  conversations,
  people: new Map(everyone.map((p) => [p.id, p])),
  presence: "available",
  requests: [],
  log: null,
  writing: new Map([[spring.id, ["Marta"]]]),
  connection: { kind: "live" },
  waiting: 0,
  firstSync: null,
  clockOff: 0,
  newDevices: [],
  alarm: [],
  uploads: new Map([[sending.id, { done: 42_300_000, all: 96_000_000, stalled: false }]]),
  forgotten: new Set(),
};
export const request = { kind: "friend" as const, id: lena.id, name: lena.name, user: lena.id, group: "", alike: false };
