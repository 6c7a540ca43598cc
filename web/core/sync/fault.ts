// What nobody waits for may fail, too: then it is said, and ends nothing. In Node a rejection that nobody hears of ends the program.

import { LostLead } from "../store/backend.ts";
import { isPassing } from "../wire/refusal.ts";

/** Hands on what is a mistake. What was under way when the connection, the lead or the session ended is nobody's. */
export const faultsTo =
  (onFault: (error: unknown) => void) =>
  (error: unknown): void => {
    if (!isPassing(error) && !(error instanceof LostLead)) onFault(error);
  };
