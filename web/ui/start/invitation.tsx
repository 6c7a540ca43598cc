// Who opens an invitation's link makes an account here. The page says who invites before it asks anything.

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Invitation } from "../../core/index.ts";
import { isEmail, sentenceOf } from "../failure.ts";
import { words } from "../i18n/words.ts";
import { RecoverySheet } from "../later.ts";
import { begin } from "./session.ts";
import { Avatar } from "../parts/avatar.tsx";
import { Button } from "../parts/button.tsx";
import { Field } from "../parts/field.tsx";
import { Icon, Mark } from "../parts/icon.tsx";
import { go } from "../route.ts";
import { client } from "../state.ts";
import { NewPassword, usePassword } from "./new-password.tsx";

type Inviter = { name: string; id: string } | null;

function Welcome({ invitation, inviter }: { invitation: Invitation; inviter: Inviter }): JSX.Element {
  const w = words.value;
  const first = invitation.from === "";
  return (
    <div class="start-welcome">
      {inviter && (
        <div class="start-inviter">
          <Avatar of={{ kind: "person", ...inviter }} size={72} />
          {invitation.card && (
            <span class="chip ok">
              <Icon name="seal" size={16} />
              {w.verifiedByLink}
            </span>
          )}
        </div>
      )}
      <h1>{first ? w.setUp : inviter ? w.invites(inviter.name) : w.invitesUnnamed}</h1>
      <p>
        {first && `${w.setUpText} `}
        {w.privateServer(location.host)}
      </p>
    </div>
  );
}

/** The page of an invitation. */
export function InvitationPage({ invitation }: { invitation: Invitation }): JSX.Element {
  const w = words.value;
  const [inviter, setInviter] = useState<Inviter>(null);
  const [email, setEmail] = useState("");
  const [name, setName] = useState("");
  const [tried, setTried] = useState(false);
  const [wrong, setWrong] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const [sheet, setSheet] = useState<string | null>(null);
  const password = usePassword();
  useEffect(() => {
    if (invitation.from !== "") void client().inviter(invitation).then(setInviter);
  }, [invitation]);
  if (sheet) return <RecoverySheet recoveryKey={sheet} name={name.trim()} email={email.trim()} />;
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    setTried(true);
    password.change({ tried: true });
    if (busy || !isEmail(email) || name.trim() === "" || !password.good) return;
    setBusy(true);
    setWrong(null);
    const of = { invitation, email: email.trim(), name: name.trim(), password: password.text };
    const outcome = await client().createAccount(of);
    setBusy(false);
    if (outcome.ok && outcome.value !== "") setSheet(outcome.value);
    else if (outcome.ok) await begin(true);
    else setWrong(sentenceOf(outcome.failure));
  };
  return (
    <main class="start wide">
      <div class="start-brand">
        <Mark size={28} />
        <span>Parlance</span>
      </div>
      <Welcome invitation={invitation} inviter={inviter} />
      <form class="start-card" onSubmit={(event) => void submit(event)} noValidate>
        <h2>{w.createYours}</h2>
        <Field
          label={w.email}
          type="email"
          name="email"
          autoComplete="email"
          value={email}
          onText={setEmail}
          wrong={tried && !isEmail(email) ? w.emailWrong : null}
        />
        <Field
          label={w.name}
          name="name"
          autoComplete="name"
          maxLength={100}
          value={name}
          onText={setName}
          hint={w.nameHint}
          wrong={tried && name.trim() === "" ? w.nameMissing : null}
        />
        <NewPassword state={password} label={w.password} />
        <p class="note-box">
          <Icon name="key" />
          <span>{w.passwordNote}</span>
        </p>
        {wrong && (
          <p class="form-wrong" role="alert">
            <Icon name="failed" size={16} />
            {wrong}
          </p>
        )}
        <Button kind="primary" full submit busy={busy}>
          {busy ? w.creating : w.createAccount}
        </Button>
        <Button kind="quiet" onClick={() => go({ at: "list" })}>
          {w.haveAccount}
        </Button>
      </form>
    </main>
  );
}
