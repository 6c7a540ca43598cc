// The outcome of an action, as it is shown to the user.

import type { Failure, Outcome } from "../model/view.ts";
import { Unsafe } from "../session/unsafe.ts";
import { isPassing, isUnknownCall, Refused, Unreachable } from "../wire/refusal.ts";
import type { Clock } from "../ports.ts";

/** Success. */
export const ok = <T>(value: T): Outcome<T> => ({ ok: true, value });

/** Failure. */
export const failed = (failure: Failure): { ok: false; failure: Failure } => ({ ok: false, failure });

/** The server does not support the call. */
export const notOffered = failed({ kind: "notOffered" });

/** The failure to show for an error; `null` for a bug. */
function failureOf(error: unknown): Failure | null {
  if (error instanceof Unreachable) return { kind: "noAnswer" };
  if (error instanceof Unsafe) return { kind: "unsafe", by: error.by };
  if (!(error instanceof Refused)) return null;
  if (isUnknownCall(error)) return notOffered.failure;
  switch (error.code) {
    case "login_failed":
      return { kind: "login" };
    case "already_exists":
      return { kind: "alreadyHere" };
    case "user_not_found":
      return { kind: "unknownPerson" };
    case "file_not_found":
      return { kind: "fileGone" };
    case "registration_closed":
      return { kind: "linkUsed" };
    case "rate_limited":
      return { kind: "tooMany", minutes: Math.max(1, Math.ceil((error.retryAfter ?? 60) / 60)) };
    default:
      // The server failed this time: it is unknown whether the request took effect.
      if (isPassing(error)) return { kind: "noAnswer" };
      return { kind: "refused", sentence: error.sentence };
  }
}

/** Runs a task and returns its outcome. Bugs are rethrown. */
export async function attempt<T>(task: () => Promise<T>): Promise<Outcome<T>> {
  try {
    return ok(await task());
  } catch (error) {
    const failure = failureOf(error);
    if (!failure) throw error;
    return failed(failure);
  }
}

/** How long an optional task may take. */
const BRIEF_MS = 5000;

/** Runs an optional task; resolves when it has ended or failed, or after a while. */
export async function withTimeout(clock: Clock, task: () => Promise<unknown>): Promise<void> {
  const done = attempt(task).catch(() => undefined);
  await new Promise<void>((resolve) => {
    const cancel = clock.after(BRIEF_MS, resolve);
    void done.then(() => {
      cancel();
      resolve();
    });
  });
}
