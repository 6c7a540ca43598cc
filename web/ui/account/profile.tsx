// One's own name and presence, one's data, and the end of the account.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { ChosenPresence } from "../../core/index.ts";
import { attempt, sentenceOf } from "../failure.ts";
import { words } from "../i18n/words.ts";
import { Button } from "../parts/button.tsx";
import { Actions, Dialog } from "../parts/dialog.tsx";
import { Choice, Field, PasswordField } from "../parts/field.tsx";
import { saveAs } from "../parts/save.ts";
import { client, me, presence } from "../state.ts";
import { exportedAs } from "./export.ts";

const SAVED_MS = 2_000;

function Name(): JSX.Element {
  const w = words.value;
  const [name, setName] = useState(me.value.name);
  const [wrong, setWrong] = useState<string | null>(null);
  const [saved, setSaved] = useState(false);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    const outcome = await client().setName(name.trim());
    if (!outcome.ok) return setWrong(sentenceOf(outcome.failure));
    setWrong(null);
    setSaved(true);
    setTimeout(() => setSaved(false), SAVED_MS);
  };
  return (
    <form class="card pad" onSubmit={(event) => void submit(event)}>
      <Field label={w.name} value={name} maxLength={100} autoComplete="name" hint={w.nameHint} wrong={wrong} onText={setName} />
      <Button kind="primary" submit icon={saved ? "check" : "edit"} disabled={name.trim() === "" || name.trim() === me.value.name}>
        {w.save}
      </Button>
    </form>
  );
}

function Presence(): JSX.Element {
  const w = words.value;
  const options = (["available", "away", "busy", "invisible"] as const).map((value) => ({ value, label: w[value] }));
  return (
    <div class="card">
      <Choice<ChosenPresence>
        label={w.presence}
        value={presence.value}
        options={options}
        onChange={(chosen) => void attempt(client().setPresence(chosen))}
      />
    </div>
  );
}

async function download(as: "json" | "html"): Promise<void> {
  const text = exportedAs(as, await client().exportData());
  saveAs(new Blob([text], { type: as === "json" ? "application/json" : "text/html" }), `parlance.${as}`);
}

function DeleteAccount({ onClose }: { onClose: () => void }): JSX.Element {
  const w = words.value;
  const [password, setPassword] = useState("");
  const [wrong, setWrong] = useState<string | null>(null);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    const outcome = await client().deleteAccount(password);
    if (!outcome.ok) setWrong(outcome.failure.kind === "login" ? w.loginFailed : sentenceOf(outcome.failure));
  };
  return (
    <Dialog title={w.deleteAccount} size="small" onClose={onClose}>
      <form class="dialog-form" onSubmit={(event) => void submit(event)}>
        <p>{w.deleteAccountText}</p>
        <PasswordField label={w.password} autoComplete="current-password" wrong={wrong} onText={setPassword} />
        <Actions>
          <Button onClick={onClose}>{w.keep}</Button>
          <Button kind="danger" submit disabled={password === ""}>
            {w.deleteAccount}
          </Button>
        </Actions>
      </form>
    </Dialog>
  );
}

/** "Profile". */
export function Profile(): JSX.Element {
  const w = words.value;
  const [deleting, setDeleting] = useState(false);
  return (
    <>
      <Name />
      <Presence />
      <h2>{w.exportTitle}</h2>
      <p class="account-text">{w.exportText}</p>
      <div class="account-buttons">
        <Button icon="download" onClick={() => void download("html")}>
          {w.exportHtml}
        </Button>
        <Button icon="download" onClick={() => void download("json")}>
          {w.exportJson}
        </Button>
      </div>
      <h2>{w.deleteAccount}</h2>
      <p class="account-text">{w.deleteAccountText}</p>
      <div class="account-buttons">
        <Button kind="danger" onClick={() => setDeleting(true)}>
          {w.deleteAccount}
        </Button>
      </div>
      {deleting && <DeleteAccount onClose={() => setDeleting(false)} />}
    </>
  );
}
