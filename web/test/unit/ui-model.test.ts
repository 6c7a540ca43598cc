// The pure parts of the screens: addresses, runs and day lines, passwords, initials, and QR codes.

import "./ui-globals.ts";
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Article, Entry } from "../../core/index.ts";
import { blocksOf, newestOwn } from "../../ui/conversation/timeline.ts";
import { qrCode } from "../../ui/parts/qr.ts";
import { strength } from "../../ui/start/new-password.tsx";
import { writeInvitation } from "../../core/model/invitation.ts";
import { hashOf, parseRoute, type Route } from "../../ui/route.ts";

test("an address leads where it was made for", () => {
  const places: Route[] = [
    { at: "list" },
    { at: "conversation", id: "0123456789abcdef0123456789abcdef", message: null },
    { at: "conversation", id: "0123456789abcdef0123456789abcdef", message: "00000000-0000-4000-8000-000000000000" },
    { at: "account", section: null },
    { at: "account", section: "devices" },
    { at: "verify", user: "0123456789abcdef0123456789abcdef" },
  ];
  for (const place of places) assert.deepEqual(parseRoute(hashOf(place)), place);
  assert.deepEqual(parseRoute("#invite=C%2B1"), {
    at: "invitation",
    invitation: { code: "C+1", from: "", card: "", secret: "", name: "" },
  });
  for (const odd of ["", "#", "#/c/", "#/c/<script>", "#/nowhere", "#//", "#/account/everything/else", "#/c/abc", "#/verify/0123"]) {
    assert.equal(parseRoute(odd).at, "list", odd);
  }
});

test("a link is an invitation only if it is whole; its name is short, and turns nothing around", () => {
  const [from, hash] = ["0".repeat(32), "a".repeat(64)];
  const link = (parts: string) => {
    const place = parseRoute(`#invite=C${parts}`);
    return place.at === "invitation" ? place.invitation : undefined;
  };
  const whole = `&from=${from}&card=${hash}&v=${hash}`;
  assert.deepEqual(link(whole), { code: "C", from, card: hash, secret: hash, name: "" });
  for (const part of ["&from=u&card=aa&v=s", `&from=${from}`, `${whole}&v=${hash}`, `${whole}0`, "&x", `${whole}&name=%E0`]) {
    assert.equal(link(part), null, part);
  }
  assert.equal(link(`${whole}&name=Ann%20%E2%80%AEB%0A`)?.name, "Ann B");
  assert.equal(link(`${whole}&name=${"n".repeat(1000)}`)?.name.length, 100);
  const written = writeInvitation({ code: "C&v=", from, card: hash, secret: hash, name: "Ágnes & <b>" });
  assert.deepEqual(parseRoute(written), { at: "invitation", invitation: { code: "C&v=", from, card: hash, secret: hash, name: "Ágnes & <b>" } });
});

const noon = new Date(2026, 10, 24, 12, 0).getTime();
const said = (id: string, user: string, at: number, own = false): Article =>
  ({ kind: "article", id, user, at, own, deleted: false }) as unknown as Article;

test("runs end with the sender, after five minutes, at a new day and before what is new", () => {
  const entries: Entry[] = [
    said("1", "a", noon - 86_400_000),
    said("2", "a", noon),
    said("3", "a", noon + 60_000),
    said("4", "a", noon + 7 * 60_000),
    said("5", "b", noon + 8 * 60_000),
    { kind: "line", id: "l", at: noon + 8 * 60_000, what: { kind: "renewed" } },
    said("6", "b", noon + 8 * 60_000),
    said("7", "b", noon + 9 * 60_000),
  ] as Entry[];
  const shape = blocksOf(entries, "7" as Article["id"]).map((block) =>
    block.kind === "run" ? block.articles.map((a) => a.id).join("") : block.kind,
  );
  assert.deepEqual(shape, ["day", "1", "day", "23", "4", "5", "line", "6", "new", "7"]);
});

test("a run keeps its key when rows are trimmed or loaded before it, and while it is as it was, its object", () => {
  const all = Array.from({ length: 6 }, (_, i) => said(String(i), "a", noon + i * 1_000));
  const runs = (entries: readonly Entry[], before?: ReturnType<typeof blocksOf>, first: string | null = null) => blocksOf(entries, first as Article["id"] | null, before);
  const [middle] = [runs(all.slice(2, 5))];
  assert.deepEqual(runs(all.slice(2, 5), middle), middle);
  assert.equal(runs(all.slice(2, 5), middle)[1], middle[1]);
  const trimmed = runs(all.slice(3), middle);
  const whole = runs(all, trimmed);
  assert.deepEqual([trimmed[1]?.key, whole[1]?.key], ["2", "2"]);
  // Divided by the line before what is new, each part has a key of its own.
  const divided = runs(all, whole, "2");
  assert.deepEqual(divided.map(({ key }) => key).slice(1), ["0", "new", "2"]);
  assert.equal(new Set(divided.map(({ key }) => key)).size, divided.length);
});

test("the newest own message is the last one that is not deleted", () => {
  const entries = [said("1", "me", noon, true), { ...said("2", "me", noon, true), deleted: true }, said("3", "b", noon)];
  assert.equal(newestOwn(entries), "1");
  assert.equal(newestOwn([]), null);
});

test("a QR code has its finder patterns, and the size of its version", () => {
  const { size, path } = qrCode("HELLO");
  assert.equal(size, 21);
  const dark = new Set([...path.matchAll(/M(\d+) (\d+)/g)].map(([, x, y]) => `${x},${y}`));
  for (const [x, y] of [[0, 0], [14, 0], [0, 14]] as const) {
    for (let i = 0; i < 7; i++) assert.ok(dark.has(`${x + i},${y}`) && dark.has(`${x},${y + i}`));
    assert.ok(!dark.has(`${x + 1},${y + 1}`) && dark.has(`${x + 3},${y + 3}`));
  }
  assert.equal(qrCode("x".repeat(300)).size, 69);
  assert.throws(() => qrCode("x".repeat(3_000)), RangeError);
});

test("what is easy to guess is too easy; what we suggest is very strong", () => {
  for (const easy of ["", "12345678", "password", "aaaaaaaaaaaaaaaa", "abababababababab", "Passw0rd!"]) assert.equal(strength(easy), 0, easy);
  for (const good of ["correct horse battery", "a password of my own 7"]) assert.ok(strength(good) > 0, good);
  assert.equal(strength("k7qf-m2xd-5trb-w4hn"), 4);
});
