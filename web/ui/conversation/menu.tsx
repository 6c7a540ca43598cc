// The menu of a conversation, in its header and in its list row.

import { attempt } from "../failure.ts";
import { words } from "../i18n/words.ts";
import type { Conversation } from "../../core/index.ts";
import { ask, show } from "../overlay.ts";
import type { MenuItem } from "../parts/menu.tsx";
import { go, route } from "../route.ts";
import { client, people } from "../state.ts";

function leave(c: Conversation): void {
  const w = words.value;
  const run = async (): ReturnType<ReturnType<typeof client>["leave"]> => {
    const outcome = await client().leave(c.id);
    if (outcome.ok && route.value.at === "conversation" && route.value.id === c.id) go({ at: "list" });
    return outcome;
  };
  ask({ title: w.leaveTitle(c.name), text: w.leaveText, yes: w.leaveGroup, no: w.stay, run });
}

/** Removes a group that the user is no longer in. */
export async function removeFromList(c: Conversation): Promise<void> {
  const isForgotten = await attempt(client().leave(c.id));
  if (isForgotten && route.value.at === "conversation" && route.value.id === c.id) go({ at: "list" });
}

function block(c: Conversation, user: string, on: boolean): void {
  const w = words.value;
  if (!on) void attempt(client().block(user, false));
  else ask({ title: w.blockTitle(c.name), text: w.blockText(c.name), yes: w.block, no: w.notNow, run: async () => client().block(user, true) });
}

function removeContact(c: Conversation, user: string): void {
  const w = words.value;
  const run = async (): ReturnType<ReturnType<typeof client>["unfriend"]> => client().unfriend(user);
  ask({ title: w.removeContactTitle(c.name), text: w.removeContactText(c.name), yes: w.removeContact, no: w.keep, run });
}

/** What can be done with a conversation. */
export function conversationItems(c: Conversation): MenuItem[] {
  const w = words.value;
  if (c.barrier?.kind === "removed") {
    return [{ label: w.removeFromList, icon: "close", danger: true, run: () => void removeFromList(c) }];
  }
  const change = (to: Parameters<ReturnType<typeof client>["change"]>[1]) => (): void => void attempt(client().change(c.id, to));
  const items: MenuItem[] = [
    { label: w.favorite, icon: c.favorite ? "starFill" : "star", on: c.favorite, run: change({ favorite: !c.favorite }) },
    { label: w.mute, icon: "bellOff", on: c.muted, run: change({ muted: !c.muted }) },
    { label: w.hide, icon: "hide", on: c.hidden, run: change({ hidden: !c.hidden }) },
    { label: w.color, icon: "palette", run: () => show({ kind: "color", id: c.id }) },
  ];
  if (c.kind === "group") items.push({ label: w.members, icon: "group", run: () => show({ kind: "members", id: c.id }) });
  if (c.kind === "group" && c.admin) items.push({ label: w.rename, icon: "edit", run: () => show({ kind: "rename", id: c.id }) });
  items.push({ label: w.keepMessages, icon: "timer", run: () => show({ kind: "keep", id: c.id }) });
  const other = c.other;
  if (other) {
    items.push({ label: w.safetyNumber, icon: "shieldCheck", run: () => go({ at: "verify", user: other }) });
  }
  if (c.kind !== "saved") items.push({ label: w.renewKeys, icon: "key", run: () => void attempt(client().renewKeys(c.id), w.lineRenewed) });
  const clear = async (): ReturnType<ReturnType<typeof client>["clear"]> => client().clear(c.id);
  items.push({
    label: w.clear,
    icon: "broom",
    danger: true,
    run: () => ask({ title: w.clearTitle, text: w.clearText, yes: w.clear, no: w.keep, run: clear }),
  });
  if (c.kind === "group") items.push({ label: w.leaveGroup, icon: "logout", danger: true, run: () => leave(c) });
  if (other) {
    const person = people.value.get(other);
    if (person?.friend) items.push({ label: w.removeContact, icon: "close", danger: true, run: () => removeContact(c, other) });
    const blocked = person?.blocked ?? false;
    items.push({ label: blocked ? w.unblock : w.block, icon: "block", danger: !blocked, run: () => block(c, other, !blocked) });
  }
  return items;
}
