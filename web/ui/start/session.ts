// From the start to the main screen.

import { go } from "../route.ts";
import { client } from "../state.ts";

/** Begins the session of an account that was just made or recovered, and opens what there is to open. */
export async function begin(sheetKept: boolean): Promise<void> {
  const opened = await client().enter(sheetKept);
  go(opened ? { at: "conversation", id: opened, message: null } : { at: "list" }, true);
}
