// A bot: accepts every request, and answers each message. It needs the package @parlance/client, and an account of its own:
//   PASSWORD='…' node bot.mjs http://127.0.0.1:8080 bot@example.org   (Node 20: with --experimental-websocket)

import { startClient } from "@parlance/client";
import { nodePorts } from "@parlance/client/node";

const [address = "http://127.0.0.1:8080", email = ""] = process.argv.slice(2);
const client = await startClient(nodePorts(address, { deviceName: "Bot" }));

// What cannot be stored, as there is no room or the session has ended, rejects: a rejection that nobody handles ends the program.
const report = (/** @type {unknown} */ error) => console.error(error);

async function acceptAll() {
  for (const request of client.state.requests) {
    const answered = await client.answer(request, true);
    if (!answered.ok) console.error(`not accepted: ${answered.failure.kind}`);
  }
}

client.onMessage(({ conversation, who, text }) => {
  console.log(`${who}: ${text}`);
  client.send(conversation, { text: `You said: ${text}`, reply: null, mentions: new Map() }).catch(report);
});
client.subscribe(({ requests }) => {
  if (requests) acceptAll().catch(report);
});

const outcome = await client.logIn(email, process.env["PASSWORD"] ?? "");
if (!outcome.ok) throw new Error(`no login: ${outcome.failure.kind}`);
console.log(`${email} is here`);
await acceptAll();

process.once("SIGTERM", () => void client.close().then(() => process.exit()));
