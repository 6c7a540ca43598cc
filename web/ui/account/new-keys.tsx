// Replaces the user's keys, for instance after they may have been stolen.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { sentenceOf } from "../failure.ts";
import { words } from "../i18n/words.ts";
import { announce } from "../parts/announcer.tsx";
import { Button } from "../parts/button.tsx";
import { PasswordField } from "../parts/field.tsx";
import { client, waiting } from "../state.ts";

/** The form; `onDone` is called when there are new keys. */
export function NewKeys({ onDone }: { onDone: () => void }): JSX.Element {
  const w = words.value;
  const [password, setPassword] = useState("");
  const [wrong, setWrong] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const [done, setDone] = useState(false);
  const replace = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (busy) return;
    setWrong(null);
    setBusy(true);
    announce(w.replaceKeysMaking);
    const outcome = await client().newKeys(password);
    setBusy(false);
    if (!outcome.ok) return setWrong(sentenceOf(outcome.failure));
    setDone(true);
    announce(w.replaceKeysDone);
    onDone();
  };
  if (done) return <p class="card pad" role="status">{w.replaceKeysDone}</p>;
  // Messages that are sealed with the present keys have to be sent first.
  const waits = waiting.value > 0;
  return (
    <form class="card pad" onSubmit={(event) => void replace(event)} noValidate>
      <p>{w.replaceKeysText}</p>
      <p>{w.replaceKeysCare}</p>
      <PasswordField label={w.presentPassword} autoComplete="current-password" wrong={wrong} onText={setPassword} />
      {waits && <p role="status">{w.replaceKeysWaiting(waiting.value)}</p>}
      <Button icon="key" submit busy={busy} disabled={password === "" || waits}>
        {busy ? w.replaceKeysMaking : w.replaceKeys}
      </Button>
    </form>
  );
}
