// Requests by fetch; in Node, too.

import type { Http } from "../core/ports.ts";

/** Requests to the server at this address, which ends with a slash. */
export const httpTo =
  (base: string): Http =>
  async (path, body, headers, signal, heard) => {
    const method = body === null ? "GET" : "POST";
    const answer = await fetch(base + path, { method, body, headers, signal, cache: "no-store", credentials: "omit" });
    const [date, retryAfter] = [answer.headers.get("Date"), answer.headers.get("Retry-After")];
    const head = { status: answer.status, date, retryAfter };
    if (body === null && answer.ok && answer.body) {
      const each = new TransformStream<Uint8Array, Uint8Array>({
        transform: (piece, onward) => {
          heard();
          onward.enqueue(piece);
        },
      });
      return { ...head, text: "", bytes: new Uint8Array(await new Response(answer.body.pipeThrough(each)).arrayBuffer()) };
    }
    return { ...head, text: await answer.text() };
  };
