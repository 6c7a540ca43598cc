// What a vault gives: a password that can be changed, a sheet that opens the account, and a list of devices.

import { Person, password, stories } from "./world.mjs";

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
