// Errors of background tasks are reported. In Node an unhandled rejection would end the program.

import { LostLead } from "../store/backend.ts";
import { isPassing } from "../wire/refusal.ts";

/** Reports bugs only: tasks may fail when the connection, the lead or the session ends. */
export const faultsTo =
  (onFault: (error: unknown) => void) =>
  (error: unknown): void => {
    if (!isPassing(error) && !(error instanceof LostLead)) onFault(error);
  };
