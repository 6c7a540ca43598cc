import assert from "node:assert/strict";
import { test } from "node:test";
import { hex } from "../../core/crypto/bytes.ts";
import { announce, parseAnnouncement, rosterHash } from "../../core/crypto/epoch.ts";
import { importSeed, rsaHash } from "../../core/crypto/keys.ts";
import { conversationId, userId } from "../../core/model/ids.ts";
import { conversation } from "../../core/wire/conversation.ts";
import { newConversation, type ConversationRecord } from "../../core/store/records.ts";
import { newPerson } from "../../core/sync/people.ts";
import { isDue } from "../../core/sync/renew.ts";

const [ann, ben] = [userId("a".repeat(32)), userId("b".repeat(32))];
const now = Date.UTC(2026, 10, 24);
const DAY = 86_400_000;
const people = [ann, ben].map((id, i) => ({ ...newPerson(id), publicKey: ["QQ==", "Qg=="][i] ?? "" }));

async function record(change: Partial<ConversationRecord> = {}, listed = [ann, ben]): Promise<ConversationRecord> {
  const id = conversationId("c".repeat(32));
  const members = await Promise.all(people.map(async (one) => [one.id, hex(await rsaHash(one.publicKey))] as const));
  const roster = await rosterHash(new Map(members));
  const changes = { conversation: id, roster, admins: [], added: [ann, ben], removed: [], secret: new Uint8Array(32), by: ann, head: [0, ""] as const };
  const { announcement } = await announce(changes, null, await importSeed(new Uint8Array(32)));
  const wire = conversation(
    {
      id,
      isgroup: false,
      participants: listed.map((userid) => ({ userid, username: "" })),
      displayname: "",
      lastmessageid: "",
      lastreportid: "",
      lastaccess: 0,
      secret: "",
      instance: "abcdefghij",
      hiddenby: [],
      properties: [],
      epoch: parseAnnouncement(announcement).epoch,
    },
    "",
  );
  const head = { seq: 5, chain: "", message: { id: "" as never, date: 0 } };
  return { ...newConversation(wire), head, roster: { announcement, members: [...members] as [typeof ann, string][] }, rosterAt: now - DAY, ...change };
}

test("a new epoch is due when somebody left, when keys are others, by age and by use; else not", async () => {
  assert.equal(await isDue(await record(), people, ann, now), false);
  assert.equal(await isDue(await record({}, [ann]), people.slice(0, 1), ann, now), true);
  const renewed = people.map((one) => (one.id === ben ? { ...one, publicKey: "Qw==" } : one));
  assert.equal(await isDue(await record(), renewed, ann, now), true);
  assert.equal(await isDue(await record({ rosterAt: now - 31 * DAY }), people, ann, now), true);
  const many = { seq: 10_000, chain: "", message: { id: "" as never, date: 0 } };
  assert.equal(await isDue(await record({ head: many }), people, ann, now), true);
});

test("none is due without messages, for strangers, or before changed keys were looked at", async () => {
  assert.equal(await isDue(await record({ head: null, rosterAt: now - 31 * DAY }), people, ann, now), false);
  const cleo = userId("d".repeat(32));
  assert.equal(await isDue(await record({ rosterAt: now - 31 * DAY }, [ann, ben, cleo]), people, ann, now), false);
  const changed = people.map((one) => (one.id === ben ? { ...one, publicKey: "Qw==", trust: "changed" as const } : one));
  assert.equal(await isDue(await record(), changed, ann, now), false);
  assert.equal(await isDue(await record({ roster: null }), people, ann, now), false);
});
