// The account is opened with the recovery sheet: its 52 letters and a new password.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { isEmail, sentenceOf, stored } from "../failure.ts";
import { words } from "../i18n/words.ts";
import { RecoverySheet } from "../lazy.ts";
import { note } from "../parts/announcer.tsx";
import { Button } from "../parts/button.tsx";
import { Field } from "../parts/field.tsx";
import { Scan } from "../parts/scan.tsx";
import { client } from "../state.ts";
import { NewPassword, usePassword } from "./new-password.tsx";

const LETTERS = 52;
/** In groups of four, as the sheet has it; what is no letter of the key is dropped. */
const grouped = (text: string): string =>
  text
    .toUpperCase()
    .replace(/[^A-Z2-7]/g, "")
    .slice(0, LETTERS)
    .replace(/(.{4})(?=.)/g, "$1 ");

/** The form of the sheet. */
export function Recover({ email: given, onBack }: { email: string; onBack: () => void }): JSX.Element {
  const w = words.value;
  const [email, setEmail] = useState(given);
  const [key, setKey] = useState("");
  const [wrong, setWrong] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const [sheet, setSheet] = useState<string | null>(null);
  const password = usePassword();
  if (sheet) return <RecoverySheet recoveryKey={sheet} name="" email={email} note={w.sheetUsed} />;
  const letters = key.replaceAll(" ", "").length;
  const scanned = (text: string): void => {
    const [, address = "", found = ""] = /^parlance-recovery:1:(.+):([^:]+)$/.exec(text) ?? [];
    if (found === "") return note(w.scan.nothing);
    setEmail(address);
    setKey(grouped(found));
  };
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (busy || !password.good) return;
    setBusy(true);
    setWrong(null);
    const outcome = await stored(client().recover(email.trim(), key.replaceAll(" ", ""), password.text));
    setBusy(false);
    if (outcome.ok) setSheet(outcome.value);
    else setWrong(sentenceOf(outcome.failure));
  };
  return (
    <main class="start">
      <form class="start-form" onSubmit={(event) => void submit(event)} noValidate>
        <div>
          <h1>{w.recoverTitle}</h1>
          <p class="start-host">{w.recoverText}</p>
        </div>
        <Field label={w.email} type="email" autoComplete="username" value={email} onText={setEmail} />
        <Field
          label={w.recoveryKey}
          mono
          autoComplete="off"
          autoCapitalize="characters"
          spellcheck={false}
          value={key}
          hint={w.recoverKeyHint(letters)}
          wrong={wrong}
          onText={(text) => setKey(grouped(text))}
          autoFocus
        />
        <Scan label={w.scan.sheet} onText={scanned} />
        <NewPassword state={password} label={w.newPassword} />
        <Button kind="primary" full submit busy={busy} disabled={letters < LETTERS || !isEmail(email)}>
          {w.openAccount}
        </Button>
        <Button kind="quiet" onClick={onBack}>
          {w.back}
        </Button>
        <p class="start-foot">{w.noSheet}</p>
      </form>
    </main>
  );
}
