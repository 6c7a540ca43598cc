// Notifications on this device, also while Parlance is closed.

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { turnOnNotifications } from "../conversation/notify-question.tsx";
import { words } from "../i18n/words.ts";
import { Switch } from "../parts/field.tsx";
import { canPush, isOffered, isPushed, type NotPushed, turnOffPush, turnOnPush } from "../push.ts";
import { set, settings } from "../settings.ts";

/** "Notify when Parlance is closed". */
function PushSwitch(): JSX.Element {
  const w = words.value;
  const [on, setOn] = useState(false);
  const [why, setWhy] = useState<NotPushed | null>(canPush() ? null : "unsupported");
  const [busy, setBusy] = useState(canPush());
  useEffect(() => {
    if (!canPush()) return;
    void Promise.all([isPushed(), isOffered()]).then(([is, offered]) => {
      setOn(is);
      if (!offered) setWhy("notOffered");
      setBusy(false);
    });
  }, []);
  const hints = { unsupported: w.pushUnsupported, denied: w.notifyDenied, notOffered: w.notOffered, failed: w.pushFailed };
  const change = async (wanted: boolean): Promise<void> => {
    setBusy(true);
    const found = wanted ? await turnOnPush() : null;
    if (!wanted) await turnOffPush();
    setWhy(found);
    setOn(wanted && found === null);
    setBusy(false);
  };
  return (
    <Switch
      label={w.push}
      on={on}
      hint={why === null ? w.pushText : hints[why]}
      disabled={busy || why === "unsupported" || why === "notOffered"}
      onChange={(wanted) => void change(wanted)}
    />
  );
}

/** "Notifications". */
export function Notifications(): JSX.Element {
  const w = words.value;
  const now = settings.value;
  const [denied, setDenied] = useState("Notification" in window && Notification.permission === "denied");
  const change = async (on: boolean): Promise<void> => {
    if (!on) set({ notify: false });
    else setDenied(!(await turnOnNotifications()));
  };
  return (
    <>
      <p class="account-text">{w.notifyText}</p>
      <div class="card">
        <Switch
          label={w.notifyOn}
          on={now.notify && !denied}
          {...(denied ? { hint: w.notifyDenied } : {})}
          onChange={(on) => void change(on)}
        />
        <PushSwitch />
        <Switch label={w.preview} on={now.preview} onChange={(preview) => set({ preview })} />
        <Switch label={w.sound} on={now.sound} onChange={(sound) => set({ sound })} />
      </div>
    </>
  );
}
