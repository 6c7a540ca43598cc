// Registration with an invitation's link. The page says who invites before it asks anything.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Invitation } from "../../core/index.ts";
import { isEmail, sentenceOf, stored } from "../failure.ts";
import { words } from "../i18n/words.ts";
import { RecoverySheet } from "../lazy.ts";
import { begin } from "./session.ts";
import { Avatar } from "../parts/avatar.tsx";
import { Button } from "../parts/button.tsx";
import { Field } from "../parts/field.tsx";
import { Icon, Mark } from "../parts/icon.tsx";
import { go } from "../route.ts";
import { client } from "../state.ts";
import { NewPassword, usePassword } from "./new-password.tsx";
import { FormWrong, Page } from "./pages.tsx";

function Welcome({ invitation }: { invitation: Invitation }): JSX.Element {
  const w = words.value;
  const { from, name } = invitation;
  const first = from === "";
  return (
    <div class="start-welcome">
      {name && (
        <div class="start-inviter">
          <Avatar of={{ kind: "person", name, id: from }} size={72} />
          <span class="chip">{w.namedByLink}</span>
        </div>
      )}
      <h1>{first ? w.setUp : name ? w.invites(name) : w.invitesUnnamed}</h1>
      <p>
        {first && `${w.setUpText} `}
        {w.privateServer(location.host)}
      </p>
    </div>
  );
}

/** The page of an invitation; of a link that is not whole, it says so. */
export function InvitationPage({ invitation }: { invitation: Invitation | null }): JSX.Element {
  const w = words.value;
  if (invitation) return <Join invitation={invitation} />;
  return (
    <Page title={w.linkBroken} text={w.linkBrokenText}>
      <Button onClick={() => go({ at: "list" })}>{w.haveAccount}</Button>
    </Page>
  );
}

function Join({ invitation }: { invitation: Invitation }): JSX.Element {
  const w = words.value;
  const [email, setEmail] = useState("");
  const [name, setName] = useState("");
  const [tried, setTried] = useState(false);
  const [wrong, setWrong] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const [sheet, setSheet] = useState<string | null>(null);
  const password = usePassword();
  if (sheet) return <RecoverySheet recoveryKey={sheet} name={name.trim()} email={email.trim()} />;
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    setTried(true);
    password.change({ tried: true });
    if (busy || !isEmail(email) || name.trim() === "" || !password.good) return;
    setBusy(true);
    setWrong(null);
    const of = { invitation, email: email.trim(), name: name.trim(), password: password.text };
    const made = await stored(client().createAccount(of));
    if (made.ok && made.value !== "") setSheet(made.value);
    // Where there is no sheet, one goes on at once.
    const outcome = made.ok && made.value === "" ? await begin(true) : made;
    setBusy(false);
    if (!outcome.ok) setWrong(sentenceOf(outcome.failure));
  };
  return (
    <main class="start wide">
      <div class="start-brand">
        <Mark size={28} />
        <span>Parlance</span>
      </div>
      <Welcome invitation={invitation} />
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
        <FormWrong sentence={wrong} />
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
