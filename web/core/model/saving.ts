// Messages between a page and the worker about a file that is saved while it is fetched.

import type { Failure } from "./view.ts";

/** Its progress: how many bytes were written, or its end. */
export type SaveProgress = { done: number } | { ended: Failure | null };

/** What the page receives: first the URL of the stream, then the progress. */
export type SaveMessage = { address: string } | SaveProgress;
