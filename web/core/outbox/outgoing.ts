// The outcome of an attempt to send; a pure function.
//
//   queued ──seal──▶ sealed ──stored──▶ (a row)
//     ▲                │ no answer: the same bytes again, for ever
//     └──sealAgain─────┤
//                      └──▶ held: nothing happens until the person decides
//
// What a message is after that (sent, delivered, seen) is computed from rows and reports (model/timeline.ts).

import { isPassing, Refused } from "../wire/refusal.ts";
import type { Held } from "../store/records.ts";

/** What to do after an attempt. */
export type Verdict =
  | { kind: "retry" }
  /** It was not stored: seal it again, under the present epoch. */
  | { kind: "sealAgain" }
  /** It may be stored in another form: look for its id before anything else. */
  | { kind: "lookUp" }
  | { kind: "hold"; held: Held };

/** Decides what to do after a failed attempt. */
export function judge(error: unknown): Verdict {
  if (isPassing(error)) return { kind: "retry" };
  if (!(error instanceof Refused)) return { kind: "retry" };
  switch (error.code) {
    case "stale_epoch":
    case "stale_roster":
      return { kind: "sealAgain" };
    case "message_id_conflict":
      return { kind: "lookUp" };
    // A file that no message had for a day: it is sent again.
    case "file_not_found":
    case "replayed":
      return { kind: "retry" };
    // The station is not authorized: the engine stops, and the message stays.
    case "unknown_station":
    case "signature_invalid":
    case "signature_missing":
      return { kind: "retry" };
    default:
      return { kind: "hold", held: { code: error.code, sentence: error.sentence } };
  }
}
