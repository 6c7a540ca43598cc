// The dialog for a friend request.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { isEmail, sentenceOf } from "../failure.ts";
import { words } from "../i18n/words.ts";
import { show } from "../overlay.ts";
import { Button } from "../parts/button.tsx";
import { Actions, Dialog } from "../parts/dialog.tsx";
import { Field } from "../parts/field.tsx";
import { go } from "../route.ts";
import { client, me, people } from "../state.ts";

/** The dialog "New conversation". */
export function NewConversation({ onClose }: { onClose: () => void }): JSX.Element {
  const w = words.value;
  const [email, setEmail] = useState("");
  const [wrong, setWrong] = useState<string | null>(null);
  const [unknown, setUnknown] = useState(false);
  const [busy, setBusy] = useState(false);
  const [sent, setSent] = useState(false);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    const wanted = email.trim().toLowerCase();
    setUnknown(false);
    if (!isEmail(wanted)) return setWrong(w.emailWrong);
    if (wanted === me.value.email.toLowerCase()) return openSaved();
    setBusy(true);
    const friend = [...people.value.values()].find((p) => p.friend && p.email.toLowerCase() === wanted);
    if (friend) {
      const opened = await client().writeTo(friend.id);
      if (opened.ok) {
        onClose();
        return go({ at: "conversation", id: opened.value, message: null });
      }
    }
    const outcome = await client().request(wanted);
    setBusy(false);
    if (outcome.ok) return setSent(true);
    setWrong(sentenceOf(outcome.failure));
    setUnknown(outcome.failure.kind === "unknownPerson");
  };
  const openSaved = async (): Promise<void> => {
    const opened = await client().saved();
    if (!opened.ok) return setWrong(sentenceOf(opened.failure));
    onClose();
    go({ at: "conversation", id: opened.value, message: null });
  };
  return (
    <Dialog title={w.newConversation} size="small" onClose={onClose}>
      {sent ? (
        <>
          <p role="status">{w.requestSent(email.trim())}</p>
          <Actions>
            <Button kind="primary" onClick={onClose} autoFocus>
              {w.close}
            </Button>
          </Actions>
        </>
      ) : (
        <form class="dialog-form" onSubmit={(event) => void submit(event)} noValidate>
          <p>{w.requestText}</p>
          <Field
            label={w.email}
            type="email"
            autoComplete="off"
            value={email}
            wrong={wrong}
            onText={(text) => {
              setEmail(text);
              setWrong(null);
            }}
            autoFocus
          />
          <Actions>
            <Button kind="quiet" icon="saved" onClick={() => void openSaved()}>
              {w.saved}
            </Button>
            {unknown && (
              <Button kind="plain" icon="invite" onClick={() => show({ kind: "invite" })}>
                {w.invite}
              </Button>
            )}
            <Button kind="primary" submit busy={busy}>
              {w.sendRequest}
            </Button>
          </Actions>
        </form>
      )}
    </Dialog>
  );
}
