// From the start to the main screen.

import type { Outcome } from "../../core/index.ts";
import { stored } from "../failure.ts";
import { go, route } from "../route.ts";
import { client } from "../state.ts";

/** Begins the session of an account that was just made or recovered, and opens what there is to open. */
export const begin = (sheetKept: boolean): Promise<Outcome> => stored(enter(sheetKept));

async function enter(sheetKept: boolean): Promise<Outcome> {
  const opened = await client().enter(sheetKept);
  // The main screen is shown already: a user who has navigated meanwhile stays there.
  const { at } = route.value;
  if (at === "list" || at === "invitation") go(opened ? { at: "conversation", id: opened, message: null } : { at: "list" }, true);
  return { ok: true, value: null };
}
