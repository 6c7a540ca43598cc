// Messages between a page and the worker about a file that is saved while it is fetched.

import type { Failure } from "./view.ts";

/** Progress: bytes written so far, or the end. */
export type SaveProgress = { done: number } | { ended: Failure | null };

/** What the page receives: first the URL of the stream, then the progress. */
export type SaveMessage = { address: string } | SaveProgress;
