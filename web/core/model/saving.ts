// A file that the browser saves while it is fetched, as a page and the worker speak of it.

import type { Failure } from "./view.ts";

/** How it goes on: how many bytes there are, and its end. */
export type SaveProgress = { done: number } | { ended: Failure | null };

/** What the page hears: where it is streamed from, then how it goes on. */
export type SaveMessage = { address: string } | SaveProgress;
