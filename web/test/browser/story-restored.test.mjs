// A server that was restored from an older backup: users are warned, and can accept it.

import assert from "node:assert/strict";
import { violations } from "./chromium.mjs";
import { stories } from "./world.mjs";

const { world, story, joins, pair } = stories();

story("a user accepts a restored backup and goes on; what was lost is gone", async (t) => {
  const [ann, ben] = await pair(t);
  await ann.says("Kept");
  await ben.sees("Kept");
  await ann.knows("Kept", "Delivered", "Seen");
  await world.server.keepCopy();
  await world.server.start();
  await joins(t, "Cleo");
  await ann.chooses("Renew keys");
  await ann.tab.getByText("The keys were renewed.").first().waitFor();
  await ann.says("Lost");
  await ben.sees("Lost");
  await world.server.goBack();
  await world.server.start();
  for (const person of [ann, ben]) {
    await person.tab.evaluate(() => dispatchEvent(new Event("online")));
    await person.tab.getByText(/^The server's list of keys is not the one that this device has seen/).waitFor();
  }
  assert.deepEqual(await violations(ann.tab), []);
  for (const person of [ann, ben]) {
    await person.button("Was a backup restored?").click();
    await person.question.getByText(/Go on only if whoever runs it has told you so/).waitFor();
    await person.confirms("Go on with the backup");
    await person.button("Was a backup restored?").waitFor({ state: "detached" });
    await person.sees("Kept");
    await person.article("Lost").waitFor({ state: "detached" });
  }
  await ann.says("And on");
  await ben.sees("And on");
  await ben.says("As before");
  await ann.sees("As before");
  assert.deepEqual(await ann.texts(), ["Kept", "And on", "As before"]);
});

story("messages that a restored server has lost are told of, although all keys are as they were", async (t) => {
  const [ann, ben] = await pair(t);
  await ann.says("Kept");
  await ben.sees("Kept");
  await ann.knows("Kept", "Delivered", "Seen");
  await world.server.keepCopy();
  await world.server.start();
  await ann.says("Lost");
  await ben.sees("Lost");
  await ann.knows("Lost", "Delivered", "Seen");
  await world.server.goBack();
  await world.server.start();
  for (const person of [ann, ben]) {
    await person.tab.evaluate(() => dispatchEvent(new Event("online")));
    await person.tab.getByText(/^The server no longer has messages that are on this device/).waitFor();
  }
  await ben.article("Lost").getByText("You and Ann were shown different messages.").waitFor();
  await ann.article("Lost").getByText("You and Ben were shown different messages.").waitFor();
  await ben.article("Lost").getByRole("button", { name: "Why?" }).click();
  await ben.tab.getByRole("dialog").getByText("The signature is right.").waitFor();
  await ben.tab.keyboard.press("Escape");
  await ben.box.fill("Waits");
  await ben.button("Send").click();
  await ben.tab.getByText("The server has lost what was written before this.").waitFor();
  assert.deepEqual(await violations(ben.tab), []);
  for (const person of [ann, ben]) {
    await person.button("Was a backup restored?").click();
    await person.confirms("Go on with the backup");
    await person.button("Was a backup restored?").waitFor({ state: "detached" });
    await person.sees("Kept");
    await person.article("Lost").waitFor({ state: "detached" });
  }
  await ben.button("Retry").click();
  await ann.sees("Waits");
  await ann.says("And on");
  await ben.sees("And on");
  assert.deepEqual(await ann.texts(), ["Kept", "Waits", "And on"]);
});
