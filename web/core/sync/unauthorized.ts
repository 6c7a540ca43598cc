// Why this station is not authorized any more.

import type { Caller } from "../wire/call.ts";
import { groupInvitations } from "../wire/group.ts";
import { isRefusedAs } from "../wire/refusal.ts";

/** Whether an operator has disabled the user: then every request is refused with this code. */
export const isDisabled = (error: unknown): boolean => isRefusedAs(error, "not_allowed");

/** Finds out by a request, whose refusal says why. */
export async function whyUnauthorized(caller: Caller): Promise<"signedOut" | "disabled"> {
  try {
    await groupInvitations(caller);
    return "signedOut";
  } catch (error) {
    return isDisabled(error) ? "disabled" : "signedOut";
  }
}
