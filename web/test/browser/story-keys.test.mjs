// New keys in place of the old ones.

import assert from "node:assert/strict";
import { violations } from "./chromium.mjs";
import { password, stories } from "./world.mjs";

const { pair, story, joins } = stories({ REGISTRATION: "open" });

const field = ({ tab }) =>
  tab.locator("form", { has: tab.getByRole("button", { name: "Replace my keys", exact: true }) }).getByLabel("Current password", { exact: true });

story("after replacing their keys a user reads and writes on, stays verified, and has this device only", async (t) => {
  const [ann, ben] = await pair(t);
  await ann.says("Before");
  await ben.sees("Before");
  await ben.chooses("Safety number");
  await ben.button("They are the same").click();
  const second = await ann.onAnotherDevice();
  t.after(() => second.context.close());
  await ann.button("It was me").click();

  await ann.looksAt("Security");
  const fingerprint = () => ann.tab.locator(".fingerprint").innerText();
  const before = await fingerprint();
  await field(ann).fill("not this one");
  await ann.button("Replace my keys").click();
  await ann.tab.getByText("E-mail or password is not right.").waitFor();
  assert.equal(await fingerprint(), before);
  await field(ann).fill(password);
  await ann.button("Replace my keys").click();
  await ann.tab.locator("p[role=status]", { hasText: "You have new keys." }).waitFor();
  assert.notEqual(await fingerprint(), before);
  assert.deepEqual(await violations(ann.tab), []);
  await second.button("Log in").waitFor();

  await ann.tab.goto(`${ann.world.proxy.address}#/`);
  await ann.opens("Ben");
  await ann.sees("Before");
  await ann.says("After");
  await ben.sees("After");
  await ben.log.getByText("Ann has new keys.").waitFor();
  // The old keys vouch for the new ones: nothing to look at, and nothing to compare.
  assert.equal(await ben.tab.getByRole("alert").count(), 0);
  await ben.box.fill("Welcome back");
  await ben.button("Send").click();
  await ann.sees("Welcome back");
  await ben.does("After", "Info");
  await ben.tab.getByRole("dialog").getByText("Verified", { exact: true }).waitFor();
  await ben.tab.getByRole("dialog").getByText("Signed by the sender").waitFor();
  await ben.tab.keyboard.press("Escape");
  // A new device has the new keys, and what opens the old secrets.
  await second.logsIn();
  await second.opens("Ben");
  await second.sees("Before");
  await second.sees("Welcome back");
  assert.equal(await second.log.getByText("Waiting for the key").count(), 0);
  // What was seen is kept by a reload, with the new keys.
  await ann.tab.reload();
  await ann.sees("Before");
  await ann.says("And on");
  await second.sees("And on");
});

story("a server that sends no push messages says so before a user tries to turn them on", async (t) => {
  const ann = await joins(t, "Ann");
  await ann.looksAt("Notifications");
  await ann.tab.getByText("This server does not offer it.").waitFor();
  assert.ok(await ann.tab.getByRole("switch", { name: "Notify when Parlance is closed" }).isDisabled());
});
