// The dialog with an invitation: a single-use link, also as a QR code.

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { sentenceOf } from "../failure.ts";
import { words } from "../i18n/words.ts";
import type { OpenInvitation } from "../../core/index.ts";
import { Button } from "../parts/button.tsx";
import { Dialog } from "../parts/dialog.tsx";
import { Field } from "../parts/field.tsx";
import { Icon } from "../parts/icon.tsx";
import { Qr } from "../parts/qr-picture.tsx";
import { client } from "../state.ts";

const COPIED_MS = 2_000;

function CopyLink({ link }: { link: string }): JSX.Element {
  const w = words.value;
  const [copied, setCopied] = useState(false);
  const copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(link);
    setCopied(true);
    setTimeout(() => setCopied(false), COPIED_MS);
  };
  return (
    <Button kind="primary" full icon={copied ? "check" : "copy"} onClick={() => void copy()}>
      {copied ? w.copied : w.copyLink}
    </Button>
  );
}

function Open({ all, onWithdraw }: { all: readonly OpenInvitation[]; onWithdraw: (code: string) => void }): JSX.Element {
  const w = words.value;
  const now = Date.now();
  return (
    <section class="invite-open">
      <h3>{w.openInvitations}</h3>
      <ul>
        {all.map((one) => (
          <li key={one.code}>
            <Icon name="invite" />
            <span>{w.madeAt(one.madeAt, now)}</span>
            <Button kind="quiet" onClick={() => onWithdraw(one.code)}>
              {w.withdraw}
            </Button>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** The dialog "Invite". */
export function InviteDialog({ onClose }: { onClose: () => void }): JSX.Element {
  const w = words.value;
  const [made, setMade] = useState<OpenInvitation | null>(null);
  const [others, setOthers] = useState<readonly OpenInvitation[]>([]);
  const [wrong, setWrong] = useState<string | null>(null);
  const make = async (): Promise<void> => {
    setWrong(null);
    setMade(null);
    const outcome = await client().invite();
    if (!outcome.ok) return setWrong(sentenceOf(outcome.failure));
    setMade(outcome.value);
    const all = await client().invitations();
    setOthers(all.filter((one) => one.code !== outcome.value.code));
  };
  // On a slow line each further press would make another one.
  const isMaking = made === null && wrong === null;
  useEffect(() => {
    void make();
  }, []);
  const withdraw = async (code: string): Promise<void> => {
    const outcome = await client().withdraw(code);
    if (outcome.ok) setOthers((all) => all.filter((one) => one.code !== code));
    else setWrong(sentenceOf(outcome.failure));
  };
  return (
    <Dialog title={w.inviteSomeone} onClose={onClose}>
      <p>{w.inviteText}</p>
      <div class="invite-link">
        <div class="invite-code">{made?.link && <Qr text={made.link} label={w.qrLabel} />}</div>
        <div class="invite-fields">
          <Field
            label={w.invitationLink}
            readOnly
            dir="ltr"
            value={made?.link ?? ""}
            placeholder={w.making}
            wrong={wrong}
            onFocus={(event) => event.currentTarget.select()}
          />
          {made?.link && <CopyLink link={made.link} />}
          <Button full icon="refresh" busy={isMaking} onClick={() => void (isMaking || make())}>
            {w.newLink}
          </Button>
          {made && <small>{w.inviteUntil(made.until)}</small>}
        </div>
      </div>
      <p class="note-box">
        <Icon name="shieldCheck" />
        <span>{w.inviteCare}</span>
      </p>
      {others.length > 0 && <Open all={others} onWithdraw={(code) => void withdraw(code)} />}
    </Dialog>
  );
}
