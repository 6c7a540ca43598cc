// The dialog for an invitation's link that a logged-in user opens: it can still make a contact.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Invitation } from "../../core/index.ts";
import { sentenceOf } from "../failure.ts";
import { words } from "../i18n/words.ts";
import { Button } from "../parts/button.tsx";
import { Actions, Dialog } from "../parts/dialog.tsx";
import { go } from "../route.ts";
import { client, me, people } from "../state.ts";

/** Shows whose link it is, and offers to contact them. */
export function InvitedDialog({ invitation, onClose }: { invitation: Invitation; onClose: () => void }): JSX.Element {
  const w = words.value;
  const [busy, setBusy] = useState(false);
  const [said, setSaid] = useState<string | null>(null);
  const isOwn = invitation.from === me.value.id;
  const known = people.value.get(invitation.from);
  const ask = async (): Promise<void> => {
    setBusy(true);
    const outcome = await client().befriend(invitation);
    setBusy(false);
    if (!outcome.ok) return setSaid(sentenceOf(outcome.failure));
    if (outcome.value === null) return setSaid(w.invitedSent);
    onClose();
    go({ at: "conversation", id: outcome.value, message: null });
  };
  const canAsk = !isOwn && invitation.from !== "" && said === null;
  return (
    <Dialog title={w.invitedTitle} size="small" onClose={onClose}>
      <p>{isOwn ? w.invitedOwn : w.invitedText(me.value.name)}</p>
      {canAsk && !known?.friend && <p>{w.invitedAsk}</p>}
      {said && <p role="status">{said}</p>}
      <Actions>
        <Button onClick={onClose}>{canAsk ? w.notNow : w.close}</Button>
        {canAsk && (
          <Button kind="primary" busy={busy} onClick={() => void ask()} autoFocus>
            {known?.friend ? w.writeTo(known.name) : w.sendRequest}
          </Button>
        )}
      </Actions>
    </Dialog>
  );
}
