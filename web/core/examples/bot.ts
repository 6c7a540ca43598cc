// A bot: accepts every request, and answers each message. Run it from web/ with
//   npx esbuild core/examples/bot.ts --bundle --platform=node --format=esm --outfile=.test/bot.mjs
//   node --experimental-websocket .test/bot.mjs http://127.0.0.1:8080 bot@example.org   (the password in PASSWORD)

import { nodePorts } from "../../node/ports.ts";
import { type Client, startClient } from "../index.ts";

// What cannot be written down, as there is no room or the session has ended, rejects: a rejection that nobody hears of ends the program.
const report = (error: unknown): void => console.error(error);

async function acceptAll(client: Client): Promise<void> {
  for (const request of client.state.requests) {
    const answered = await client.answer(request, true);
    if (!answered.ok) console.error(`not accepted: ${answered.failure.kind}`);
  }
}

async function main(address: string, email: string, password: string): Promise<void> {
  const client = await startClient(nodePorts(address));
  const outcome = await client.logIn(email, password);
  if (!outcome.ok) throw new Error(`no login: ${outcome.failure.kind}`);
  client.onMessage(({ conversation, text, who }) => {
    console.log(`${who}: ${text}`);
    client.send(conversation, { text: `You said: ${text}`, reply: null, mentions: new Map() }).catch(report);
  });
  client.subscribe(({ requests }) => {
    if (requests) acceptAll(client).catch(report);
  });
  await acceptAll(client);
}

const [address = "http://127.0.0.1:8080", email = ""] = process.argv.slice(2);
await main(address, email, process.env["PASSWORD"] ?? "");
