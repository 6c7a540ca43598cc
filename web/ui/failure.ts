// The sentences for failures.

import { words } from "./i18n/words.ts";
import { note } from "./parts/announcer.tsx";
import type { Failure, Outcome } from "../core/index.ts";

/** The sentence for a failure. */
export function sentenceOf(failure: Failure): string {
  const w = words.value;
  switch (failure.kind) {
    case "device":
      return w.cannotStore;
    case "login":
      return w.loginFailed;
    case "linkUsed":
      return w.linkUsed;
    case "alreadyHere":
      return w.alreadyHere;
    case "unknownPerson":
      return w.notKnown;
    case "recoveryKey":
      return w.recoverWrong;
    case "noAnswer":
      return w.noAnswer;
    case "notOffered":
      return w.notOffered;
    case "fileGone":
      return w.fileGone;
    case "fileDamaged":
      return w.fileDamaged;
    case "otherType":
      return w.otherType;
    case "unexpected":
      return w.strangerText(w.format.list(failure.names));
    case "noKey":
      return w.noKeysOf(w.format.list(failure.names));
    case "tooMany":
      return w.tooManyTries(failure.minutes);
    case "unsafe":
      return { server: w.unsafeServer, kdf: w.unsafeKdf, vault: w.unsafeVault, keys: w.unsafeKeys, log: w.alarmKeys }[failure.by];
    case "refused":
      return w.notTaken(failure.sentence);
  }
}

/** Whether the error is a failed dynamic import, for which each engine has its own message. */
export const isMissingFile = (error: unknown): boolean => error instanceof TypeError && /module/.test(error.message);

/** Turns the error of a failed write on this device into an outcome. */
export async function stored<T>(work: Promise<Outcome<T>>): Promise<Outcome<T>> {
  try {
    return await work;
  } catch (error) {
    reportError(error);
    return { ok: false, failure: { kind: isMissingFile(error) ? "noAnswer" : "device" } };
  }
}

/** Whether a text can be an e-mail address; the server decides. */
export const isEmail = (text: string): boolean => /^[^\s@]+@[^\s@]+$/.test(text.trim());

/** For actions of a single click: shows a failure; `done` confirms success where nothing else shows it. */
export async function attempt(work: Promise<Outcome<unknown>>, done?: string): Promise<boolean> {
  const outcome = await work;
  if (!outcome.ok) note(sentenceOf(outcome.failure));
  else if (done !== undefined) note(done);
  return outcome.ok;
}
