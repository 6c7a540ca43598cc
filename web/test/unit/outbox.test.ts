// The outbox: messages are sealed and signed ahead, sent in order, and sealed again behind a refused one.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import type { Http } from "../../core/ports.ts";
import { articlesOf, Person } from "../world/person.ts";
import { Version4 } from "../world/version-4.ts";

const server = new Version4();
/** What becomes of a request of Ann's that stores a message; `null` where the server gets it. */
let refuses: (id: string) => "cut" | "tooLarge" | "lost" | null = () => null;
/** The ids of messages that Ann has sent, in order. */
const asked: string[] = [];
/** Whether a request of Ann's that erases messages does not get through, and what is called after one that did. */
let isEraseCut = false;
let onErased = (): void => undefined;

const refusal = { status: 413, date: null, retryAfter: null, text: JSON.stringify({ status: "ERROR", errormessage: "", errorcode: "too_large" }) };
const http: Http = async (path, body, headers, signal, heard) => {
  const fields = (typeof body === "string" ? JSON.parse(body) : {}) as Record<string, unknown>;
  if (fields["action"] === "erase") {
    if (isEraseCut) throw new Error("cut");
    const answer = await server.http(path, body, headers, signal, heard);
    onErased();
    return answer;
  }
  if (fields["action"] !== "add" || !path.endsWith("chatconversation")) return server.http(path, body, headers, signal, heard);
  const { ID } = JSON.parse(String(fields["message"])) as { ID: string };
  asked.push(ID);
  const why = refuses(ID);
  if (why === "tooLarge") return refusal;
  if (why === "cut") throw new Error("cut");
  const answer = await server.http(path, body, headers, signal, heard);
  if (why === "lost") throw new Error("the answer was lost");
  return answer;
};

const [ann, ben] = await Promise.all([
  Person.joins("Ann", { http, openSocket: server.openSocket, onFault: () => undefined }),
  Person.joins("Ben", { http: server.http, openSocket: server.openSocket, onFault: () => undefined }),
]);
after(() => Promise.all([ann.client.close(), ben.client.close()]));
const id = await ann.befriends(ben);
await Promise.all([ann.client.open(id), ben.client.open(id)]);
const troubles = (person: Person): unknown[] => articlesOf(person.client.state.log?.entries ?? []).map(({ trouble }) => trouble);

test("many are written at once, and arrive in order, each once, though every third answer is lost", async () => {
  const lost = new Set<string>();
  refuses = (of) => (lost.size * 3 < asked.length && !lost.has(of) && lost.add(of) ? "lost" : null);
  const words = Array.from({ length: 12 }, (_, i) => `Word ${i}`);
  await Promise.all(words.map((word) => ann.types(id, word)));
  await ben.reads("Word 11");
  assert.ok(lost.size > 2);
  assert.deepEqual(ben.texts(), words);
  assert.ok(troubles(ben).every((trouble) => trouble === null));
  await ann.sees("an empty outbox", ({ waiting }) => waiting === 0 || undefined);
});

test("messages behind a refused one are sealed again, without a gap in their numbers", async () => {
  refuses = () => "cut";
  await ann.types(id, "Too long");
  const long = await ann.reads("Too long");
  for (let i = 0; i < 12; i++) await ann.types(id, `After ${i}`);
  refuses = (of) => (of === long.id ? "tooLarge" : null);
  ann.client.connectNow();
  await ann.sees("why it waits", ({ log }) => articlesOf(log?.entries ?? []).find(({ held }) => held?.kind === "tooLong"));
  await ann.client.discard(id, long.id);
  await ben.reads("After 11");
  assert.deepEqual(ben.texts().slice(-13), ["Word 11", ...Array.from({ length: 12 }, (_, i) => `After ${i}`)]);
  assert.ok(troubles(ben).every((trouble) => trouble === null));
});

test("what is deleted while it is being sent, or while the network is cut, is erased on the server, too", async () => {
  const isErased = (of: string): boolean => server.conversations.get(id)?.messages.find(({ ID }) => ID === of)?.Data === "";
  const erased = async (of: string): Promise<void> => {
    while (!isErased(of)) await new Promise<void>((resolve) => { onErased = resolve; });
  };
  // For all that Ann's client knows, the server has it.
  const isSent = new Promise<void>((resolve) => {
    refuses = () => {
      resolve();
      return "cut";
    };
  });
  await ann.types(id, "A slip");
  const slip = await ann.reads("A slip");
  await isSent;
  await ann.client.erase(id, slip.id);
  refuses = () => null;
  ann.client.connectNow();
  await erased(slip.id);

  await ann.types(id, "Another");
  const another = await ben.reads("Another");
  await ann.sees("that it is sent", ({ waiting }) => waiting === 0 || undefined);
  refuses = () => "cut";
  isEraseCut = true;
  await ann.client.erase(id, another.id);
  assert.ok(!isErased(another.id));
  refuses = () => null;
  isEraseCut = false;
  ann.client.connectNow();
  await erased(another.id);
  await ann.sees("an empty outbox", ({ waiting }) => waiting === 0 || undefined);
});
