// Why the user cannot write in a conversation, and what to do about it. Drafts are kept meanwhile.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { attempt } from "../failure.ts";
import { words } from "../i18n/words.ts";
import type { Conversation } from "../../core/index.ts";
import { removeFromList } from "./menu.tsx";
import { show } from "../overlay.ts";
import { Button } from "../parts/button.tsx";
import { Icon } from "../parts/icon.tsx";
import { go } from "../route.ts";
import { client, requests } from "../state.ts";

function Notice({ text, action }: { text: string; action?: JSX.Element }): JSX.Element {
  return (
    <div class="locked-composer">
      <Icon name="lock" />
      <span>{text}</span>
      {action}
    </div>
  );
}

function KeysChanged({ user, name }: { user: string; name: string }): JSX.Element {
  const w = words.value;
  const [sure, setSure] = useState(false);
  const compare = (): void => go({ at: "verify", user });
  return (
    <>
      <div class="banner warn" role="alert">
        <Icon name="shieldWarn" />
        <div>
          <strong>{w.keysChanged(name)}</strong>
          <p>{sure ? w.acceptUnseen(name) : w.keysChangedText(name)}</p>
          <div class="banner-actions">
            <Button kind="primary" onClick={compare}>
              {w.compare}
            </Button>
            {sure ? (
              <Button onClick={() => void client().acceptKeys(user)}>{w.acceptAnyway}</Button>
            ) : (
              <Button onClick={() => setSure(true)}>{w.acceptKeys}</Button>
            )}
          </div>
        </div>
      </div>
      <Notice text={w.waitKeys(name)} />
    </>
  );
}

function Ended({ user, name }: { user: string; name: string }): JSX.Element {
  const w = words.value;
  const [busy, setBusy] = useState(false);
  const open = requests.value.find((one) => one.kind !== "group" && one.user === user);
  if (open?.kind === "sent") return <Notice text={w.requestSent(name)} />;
  const run = async (): Promise<void> => {
    setBusy(true);
    await attempt(open ? client().answer(open, true) : client().askAgain(user));
    setBusy(false);
  };
  return (
    <Notice
      text={open ? w.asksAgain(name) : w.ended(name)}
      action={
        <Button kind="quiet" busy={busy} onClick={() => void run()}>
          {open ? w.accept : w.askAgain}
        </Button>
      }
    />
  );
}

/** The banner and the locked composer; nothing if the user can write. */
export function Barrier({ conversation: c }: { conversation: Conversation }): JSX.Element | null {
  const w = words.value;
  const { barrier } = c;
  switch (barrier?.kind) {
    case undefined:
      return null;
    case "keysChanged":
      return <KeysChanged user={barrier.user} name={barrier.name} />;
    case "stranger":
      return (
        <div class="banner danger" role="alert">
          <Icon name="alert" />
          <div>
            <strong>{w.stranger}</strong>
            <p>{w.strangerText(w.format.list(barrier.names))}</p>
            <div class="banner-actions">
              <Button kind="primary" onClick={() => show({ kind: "members", id: c.id })}>
                {w.lookMembers}
              </Button>
            </div>
          </div>
        </div>
      );
    case "ended":
      return <Ended user={barrier.user} name={barrier.name} />;
    case "left":
      return <Notice text={w.left(barrier.name)} />;
    case "youBlock":
      return (
        <Notice
          text={w.youBlock(barrier.name)}
          action={
            <Button kind="quiet" onClick={() => void attempt(client().block(barrier.user, false))}>
              {w.unblock}
            </Button>
          }
        />
      );
    case "removed":
      return (
        <Notice
          text={w.youRemoved}
          action={
            <Button kind="quiet" onClick={() => void removeFromList(c)}>
              {w.removeFromList}
            </Button>
          }
        />
      );
  }
}
