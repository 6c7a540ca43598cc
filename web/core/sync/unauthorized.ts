// Why this station is not let in any more.

import type { Caller } from "../wire/call.ts";
import { groupInvitations } from "../wire/group.ts";
import { isRefusedAs } from "../wire/refusal.ts";

/** Whether an operator has disabled the user: then everything is refused so. */
export const isDisabled = (error: unknown): boolean => isRefusedAs(error, "not_allowed");

/** Asks for it, by a request that is refused. */
export async function whyUnauthorized(caller: Caller): Promise<"signedOut" | "disabled"> {
  try {
    await groupInvitations(caller);
    return "signedOut";
  } catch (error) {
    return isDisabled(error) ? "disabled" : "signedOut";
  }
}
