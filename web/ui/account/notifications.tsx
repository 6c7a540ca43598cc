// What this device tells of new messages.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { turnOnNotifications } from "../conversation/notify-question.tsx";
import { words } from "../i18n/words.ts";
import { Switch } from "../parts/field.tsx";
import { set, settings } from "../settings.ts";

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
        <Switch label={w.preview} on={now.preview} onChange={(preview) => set({ preview })} />
        <Switch label={w.sound} on={now.sound} onChange={(sound) => set({ sound })} />
      </div>
    </>
  );
}
