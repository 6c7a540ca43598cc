// How a request may fail, and what to do about it.

/** The server refused a request, and did nothing of it. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    /** `errorcode` of docs/api.md. */
    readonly code: string,
    /** One sentence for a person. */
    readonly sentence: string,
    /** Seconds to wait, if the server says so. */
    readonly retryAfter: number | null,
    /** Of `stale_roster`: who takes part, or would after what was asked. */
    readonly participants: readonly string[] = [],
    /** With `stale_card`: the newest one; null if there is none, or the server does not disclose it. */
    readonly newestCard: { n: number; hash: string } | null = null,
  ) {
    super(`${code}: ${sentence}`);
    this.name = "Refused";
  }
}

/** There was no answer, or none that can be understood: nobody knows whether it was done. */
export class Unreachable extends Error {
  constructor(why: string, options?: ErrorOptions) {
    super(`no answer: ${why}`, options);
    this.name = "Unreachable";
  }
}

/** Whether the same request may be sent again later. 408: it did not arrive whole, or in time. */
export const isPassing = (error: unknown): boolean =>
  error instanceof Unreachable ||
  (error instanceof Refused && (error.status === 408 || error.status === 429 || (error.status >= 500 && error.code !== "disk_full") || error.code === "timestamp_out_of_range"));

/** Whether this station is not authorized any more: it was signed out, or the user was deleted. */
export const isUnauthorized = (error: unknown): boolean =>
  error instanceof Refused && (error.code === "unknown_station" || error.code === "signature_invalid");

/** Whether a refusal is one of these. */
export const isRefusedAs = (error: unknown, ...codes: readonly string[]): error is Refused =>
  error instanceof Refused && codes.includes(error.code);

/** Whether this server does not know a call: it is older, or of the published form. */
export const isUnknownCall = (error: unknown): boolean =>
  error instanceof Refused && (error.code === "unknown_action" || error.code === "unknown_api");
