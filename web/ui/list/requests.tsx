// Friend requests and group invitations: a card each, above the conversations.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { sentenceOf } from "../failure.ts";
import { words } from "../i18n/words.ts";
import type { Request } from "../../core/index.ts";
import { announce } from "../parts/announcer.tsx";
import { Avatar } from "../parts/avatar.tsx";
import { IdOf } from "../parts/name-hint.tsx";
import { Button, IconButton } from "../parts/button.tsx";
import { go } from "../route.ts";
import { client, requests } from "../state.ts";

function RequestCard({ request }: { request: Request }): JSX.Element {
  const w = words.value;
  const [busy, setBusy] = useState(false);
  const [wrong, setWrong] = useState<string | null>(null);
  const answer = async (accept: boolean): Promise<void> => {
    setBusy(true);
    const outcome = await client().answer(request, accept);
    setBusy(false);
    if (!outcome.ok) {
      setWrong(sentenceOf(outcome.failure));
      announce(sentenceOf(outcome.failure), true);
    } else if (outcome.value) {
      go({ at: "conversation", id: outcome.value, message: null });
    }
  };
  const sentence = { friend: w.wantsToWrite, group: w.invitesToGroup(request.group), sent: w.acceptsAwaited }[request.kind];
  return (
    <div class={`request ${request.kind}`} role="group" aria-label={request.name}>
      <Avatar of={{ kind: "person", id: request.user, name: request.name }} size={32} />
      <div class="request-text">
        <strong class="cut">
          <bdi>{request.name}</bdi>
        </strong>
        <span>{wrong ?? sentence}</span>
        {request.alike && <IdOf user={request.user} />}
      </div>
      {request.kind !== "sent" && (
        <Button kind="primary" busy={busy} onClick={() => void answer(true)}>
          {w.accept}
        </Button>
      )}
      <IconButton icon="close" label={request.kind === "sent" ? w.withdrawRequest(request.name) : w.decline(request.name)} onClick={() => void answer(false)} />
    </div>
  );
}

/** The cards. */
export function Requests(): JSX.Element {
  return (
    <>
      {requests.value.map((request) => (
        <RequestCard key={`${request.kind}${request.id}`} request={request} />
      ))}
    </>
  );
}
