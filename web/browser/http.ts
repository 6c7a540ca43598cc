// Requests by fetch; in Node, too.

import type { Http } from "../core/ports.ts";

/** Requests to the server at this address, which ends with a slash. */
export const httpTo =
  (base: string): Http =>
  async (path, body, headers, signal) => {
    const answer = await fetch(base + path, { method: "POST", body, headers, signal, cache: "no-store", credentials: "omit" });
    const [date, retryAfter] = [answer.headers.get("Date"), answer.headers.get("Retry-After")];
    return { status: answer.status, date, retryAfter, text: await answer.text() };
  };
