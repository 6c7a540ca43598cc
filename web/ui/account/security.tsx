// Password, recovery sheet, own keys, contacts' keys, and blocked users.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { attempt, sentenceOf } from "../failure.ts";
import { words } from "../i18n/words.ts";
import { announce } from "../parts/announcer.tsx";
import { Avatar } from "../parts/avatar.tsx";
import { NameHint } from "../parts/name-hint.tsx";
import { Button } from "../parts/button.tsx";
import { Dialog } from "../parts/dialog.tsx";
import { PasswordField, Switch } from "../parts/field.tsx";
import { NewPassword, usePassword } from "../start/new-password.tsx";
import { go } from "../route.ts";
import { NewKeys } from "./new-keys.tsx";
import { KeepSheet, Sheet } from "../start/recovery-sheet.tsx";
import { client, me, people } from "../state.ts";

function ChangePassword(): JSX.Element {
  const w = words.value;
  const next = usePassword();
  const [present, setPresent] = useState("");
  const [others, setOthers] = useState(true);
  const [wrong, setWrong] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const [done, setDone] = useState(false);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    next.change({ tried: true });
    if (busy || !next.good) return;
    setBusy(true);
    const outcome = await client().changePassword(present, next.text, others);
    setBusy(false);
    setWrong(outcome.ok ? null : sentenceOf(outcome.failure));
    setDone(outcome.ok);
    if (outcome.ok) announce(w.passwordChanged);
  };
  if (done) return <p class="card pad" role="status">{w.passwordChanged}</p>;
  return (
    <form class="card pad" onSubmit={(event) => void submit(event)} noValidate>
      <PasswordField label={w.presentPassword} autoComplete="current-password" wrong={wrong} onText={setPresent} />
      <NewPassword state={next} label={w.newPassword} />
      <Switch label={w.otherDevicesOut} on={others} onChange={setOthers} />
      <Button kind="primary" submit busy={busy} disabled={present === ""}>
        {w.changePassword}
      </Button>
    </form>
  );
}

function NewSheet(): JSX.Element {
  const w = words.value;
  const [key, setKey] = useState<string | null>(null);
  const [password, setPassword] = useState("");
  const [wrong, setWrong] = useState<string | null>(null);
  const make = async (event: Event): Promise<void> => {
    event.preventDefault();
    setWrong(null);
    const outcome = await client().newSheet(password);
    if (outcome.ok) setKey(outcome.value);
    else setWrong(sentenceOf(outcome.failure));
  };
  const of = { recoveryKey: key ?? "", name: me.value.name, email: me.value.email };
  return (
    <form class="card pad" onSubmit={(event) => void make(event)} noValidate>
      <p>
        {w.sheetText} {w.sheetNew}
      </p>
      <PasswordField label={w.presentPassword} autoComplete="current-password" wrong={wrong} onText={setPassword} />
      <Button icon="key" submit disabled={password === ""}>
        {w.makeSheet}
      </Button>
      {key && (
        <Dialog title={w.recoveryTitle} size="wide" onClose={() => setKey(null)}>
          <Sheet {...of} />
          <KeepSheet of={of} onKept={() => undefined} />
        </Dialog>
      )}
    </form>
  );
}

/** Which contacts' keys are verified, and which are only trusted on first use. */
function Contacts(): JSX.Element {
  const w = words.value;
  const friends = [...people.value.values()].filter((p) => p.friend);
  if (friends.length === 0) return <p class="account-text">{w.noFriends}</p>;
  return (
    <ul class="card devices">
      {friends.map((friend) => (
        <li key={friend.id}>
          <Avatar of={{ kind: "person", id: friend.id, name: friend.name }} size={32} />
          <span class="device-name">
            <b>
              <bdi>{friend.name}</bdi>
              <NameHint of={friend} />
            </b>
            <small>{{ verified: w.verified, seen: w.notVerified, changed: w.newKeys }[friend.trust]}</small>
          </span>
          {friend.trust !== "verified" && <Button onClick={() => go({ at: "verify", user: friend.id })}>{w.compare}</Button>}
        </li>
      ))}
    </ul>
  );
}

function Blocked(): JSX.Element {
  const w = words.value;
  const blocked = [...people.value.values()].filter((p) => p.blocked);
  if (blocked.length === 0) return <p class="account-text">{w.nobodyBlocked}</p>;
  return (
    <ul class="card devices">
      {blocked.map((person) => (
        <li key={person.id}>
          <Avatar of={{ kind: "person", id: person.id, name: person.name }} size={32} />
          <span class="device-name">
            <b>
              <bdi>{person.name}</bdi>
            </b>
          </span>
          <Button onClick={() => void attempt(client().block(person.id, false))}>{w.unblock}</Button>
        </li>
      ))}
    </ul>
  );
}

/** "Security". */
export function Security(): JSX.Element {
  const w = words.value;
  const [fingerprint, setFingerprint] = useState(client().fingerprint());
  return (
    <>
      <h2>{w.changePassword}</h2>
      <ChangePassword />
      <h2>{w.sheet}</h2>
      <NewSheet />
      <h2>{w.fingerprint}</h2>
      <p class="card pad fingerprint" dir="ltr">
        {fingerprint}
      </p>
      <h2>{w.replaceKeys}</h2>
      <NewKeys onDone={() => setFingerprint(client().fingerprint())} />
      <h2>{w.contactKeys}</h2>
      <Contacts />
      <h2>{w.blockedPeople}</h2>
      <Blocked />
    </>
  );
}
