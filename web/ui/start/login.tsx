// Logging in, with a link to recovery for users who have lost the password.

import type { JSX } from "preact";
import { useRef, useState } from "preact/hooks";
import { isEmail, sentenceOf, stored } from "../failure.ts";
import { words } from "../i18n/words.ts";
import { Button } from "../parts/button.tsx";
import { Field, PasswordField } from "../parts/field.tsx";
import { Recover, RestoredLogin } from "../lazy.ts";
import { Mark } from "../parts/icon.tsx";
import { client } from "../state.ts";

/** The first page for users who are not logged in. */
export function LogIn({ why }: { why: "signedOut" | "disabled" | null }): JSX.Element {
  const w = words.value;
  const [lost, setLost] = useState(false);
  const [email, setEmail] = useState("");
  const [wrong, setWrong] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const [isOld, setOld] = useState(false);
  const password = useRef("");
  if (lost) return <Recover email={email} onBack={() => setLost(false)} />;
  const logIn = async (isRestored: boolean): Promise<void> => {
    if (busy) return;
    setBusy(true);
    setWrong(null);
    const outcome = await stored(client().logIn(email.trim(), password.current, isRestored));
    setBusy(false);
    if (outcome.ok) return;
    setWrong(sentenceOf(outcome.failure));
    setOld(outcome.failure.kind === "unsafe" && outcome.failure.by === "vault");
  };
  return (
    <main class="start">
      <form
        class="start-form"
        onSubmit={(event) => {
          event.preventDefault();
          void logIn(false);
        }}
        noValidate
      >
        <div class="start-mark">
          <Mark size={56} />
        </div>
        <div>
          <h1>{w.welcome}</h1>
          <p class="start-host">{location.host}</p>
        </div>
        {why && <p class="note-box">{why === "disabled" ? w.disabled : w.signedOut}</p>}
        <Field label={w.email} type="email" name="email" autoComplete="username" value={email} onText={setEmail} autoFocus />
        <PasswordField
          label={w.password}
          name="password"
          autoComplete="current-password"
          wrong={wrong}
          onText={(text) => {
            password.current = text;
          }}
        />
        {isOld && <RestoredLogin onAccept={() => void logIn(true)} />}
        <Button kind="primary" full submit busy={busy} disabled={!isEmail(email)}>
          {busy ? w.loggingIn : w.logIn}
        </Button>
        <Button kind="quiet" onClick={() => setLost(true)}>
          {w.lostPassword}
        </Button>
        <p class="start-foot">{w.noAccount}</p>
      </form>
    </main>
  );
}
