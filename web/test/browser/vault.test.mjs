// What a vault gives: a password that can be changed, a sheet that opens the account, and a list of devices.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { violations } from "./chromium.mjs";
import { picture } from "./files.mjs";
import { Person, password, scans, stories } from "./world.mjs";

const { world, story, joins, pair } = stories({ REGISTRATION: "open" });

story("a changed password is the only one that opens", async (t) => {
  const [ann] = await pair(t);
  await ann.looksAt("Security");
  const next = "another horse battery 7";
  const form = ann.tab.locator("form", { has: ann.button("Change password") });
  await form.getByLabel("Current password").fill(password);
  await form.getByRole("textbox", { name: "New password", exact: true }).fill(next);
  await form.getByRole("textbox", { name: "Repeat password", exact: true }).fill(next);
  await ann.button("Change password").click();
  await ann.tab.getByRole("status").getByText("Your password is changed.").waitFor();
  const elsewhere = await Person.at(world, "", ann.name, ann.email);
  t.after(() => elsewhere.context.close());
  await elsewhere.fills("E-mail", ann.email);
  await elsewhere.fills("Password", password);
  await elsewhere.button("Log in").click();
  await elsewhere.tab.getByText("E-mail or password is not right").waitFor();
  await elsewhere.logsIn(next);
  await elsewhere.row("Ben").waitFor();
});

story("the recovery sheet opens the account again, with everything in it", async (t) => {
  const ann = await Person.at(world, "#invite=", "Ann", "ann-with-sheet@example.org");
  t.after(() => ann.context.close());
  await ann.fills("E-mail", ann.email);
  await ann.fills("Name", ann.name);
  await ann.button("Create account").click();
  await ann.button("Continue").waitFor();
  const [key] = /(?:[A-Z2-7]{4}\s*){13}/.exec(await ann.tab.locator(".sheet").textContent());
  await ann.button("Continue").click();
  await ann.search.waitFor();
  const ben = await joins(t, "Ben");
  await ann.befriends(ben);
  await ann.opens("Ben");
  await ann.says("Before the password was lost");
  await ann.knows("Before the password was lost", "Sent", "Delivered", "Seen");
  const again = await Person.at(world, "", ann.name, ann.email);
  t.after(() => again.context.close());
  await again.button("Lost your password?").click();
  await again.fills("E-mail", ann.email);
  await again.fills("Recovery key", key);
  await again.button("Open account").click();
  await again.button("Continue").click();
  await again.opens("Ben");
  await again.sees("Before the password was lost");
});

story("where a browser reads codes, the sheet is scanned with the camera instead of typed", async (t) => {
  const ann = await Person.at(world, "#invite=", "Ann", "ann-scans@example.org");
  t.after(() => ann.context.close());
  await ann.fills("E-mail", ann.email);
  await ann.fills("Name", ann.name);
  await ann.button("Create account").click();
  await ann.button("Continue").waitFor();
  const [key] = /(?:[A-Z2-7]{4}\s*){13}/.exec(await ann.tab.locator(".sheet").textContent());
  const again = await Person.at(world, "", ann.name, ann.email, { width: 390, height: 844, beforePage: scans });
  t.after(() => again.context.close());
  await again.button("Lost your password?").click();
  const shoot = async (code) => {
    await again.tab.evaluate((text) => (globalThis.seenCode = text), code);
    const asked = again.tab.waitForEvent("filechooser");
    await again.button("Scan the sheet").click();
    const chooser = await asked;
    assert.equal(await chooser.element().getAttribute("capture"), "environment");
    await chooser.setFiles(await picture(again.tab, "photo.jpg"));
  };
  await shoot("https://example.org/");
  await again.tab.getByText("No such code in the picture.").first().waitFor();
  assert.deepEqual(await violations(again.tab), []);
  await shoot(`parlance-recovery:1:${ann.email}:${key}`);
  await again.tab.getByText("52 of 52 letters").waitFor();
  assert.equal(await again.tab.getByRole("textbox", { name: "E-mail", exact: true }).inputValue(), ann.email);
  await again.button("Open account").click();
  await again.button("Continue").click();
  await again.search.waitFor();
});

story("scanning a contact's code compares keys; another one's is told apart", async (t) => {
  const [ann, ben] = await Promise.all([joins(t, "Ann"), joins(t, "Ben", { width: 390, height: 844, beforePage: scans })]);
  await ann.befriends(ben);
  await ben.chooses("Safety number");
  const shoot = async (code) => {
    await ben.tab.evaluate((text) => (globalThis.seenCode = text), code);
    const asked = ben.tab.waitForEvent("filechooser");
    await ben.button("Scan Ann's code").click();
    await (await asked).setFiles(await picture(ben.tab, "photo.jpg"));
  };
  const idOf = ({ email }) => createHash("md5").update(email).digest("hex");
  const codeOf = (person) => `parlance:1:${idOf(person)}:${"0".repeat(64)}:${"0".repeat(32)}:0:${"0".repeat(64)}`;
  await shoot(codeOf(ben));
  await ben.tab.getByText("No such code in the picture.").first().waitFor();
  assert.equal(await ben.button("Stop sending").count(), 0);
  await shoot(codeOf(ann));
  await ben.tab.getByRole("alert").getByText("Do not write anything secret here.").waitFor();
  await ben.button("Stop sending").waitFor();
  assert.deepEqual(await violations(ben.tab), []);
});

story("a device that is signed out from another one says so", async (t) => {
  const [ann, ben] = await pair(t);
  const second = await ann.onAnotherDevice();
  t.after(() => second.context.close());
  await second.opens("Ben");
  await ann.looksAt("Devices");
  const device = (text) => ann.tab.getByRole("listitem").filter({ hasText: text });
  await device("This device").getByText(/^Now · logged in on/).waitFor();
  // It is known to the hour.
  await device("Sign out").getByText(/^Used within the last hour · logged in on/).waitFor();
  await ann.tab.getByRole("button", { name: /^Sign out (?!all)/ }).click();
  await ann.confirms("Sign out");
  await second.tab.getByText("This device was signed out. Log in to go on.").waitFor();
  await second.logsIn();
  await second.opens("Ben");
  await second.says("here again");
  await ben.sees("here again");
});
