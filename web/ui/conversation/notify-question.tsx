// Asks once, after the user's first message, whether this browser may show notifications. "Not now" postpones it by a week; the second
// time for good, and then only the settings offer it.

import type { JSX } from "preact";
import { words } from "../i18n/words.ts";
import { nameOf } from "../list/row.tsx";
import type { Conversation } from "../../core/index.ts";
import { Button } from "../parts/button.tsx";
import { Icon } from "../parts/icon.tsx";
import { set, settings } from "../settings.ts";
import { log } from "../state.ts";

const WEEK_MS = 7 * 86_400_000;

/** Has the browser ask for permission, and stores the choice. */
export async function turnOnNotifications(): Promise<boolean> {
  const granted = (await Notification.requestPermission()) === "granted";
  set({ notify: granted });
  return granted;
}

/** The question, above the composer. */
export function NotifyQuestion({ conversation: c }: { conversation: Conversation }): JSX.Element | null {
  const w = words.value;
  const { notify, notifyAsked } = settings.value;
  const wrote = log.value?.id === c.id && log.value.entries.some((e) => e.kind === "article" && e.own && e.state !== "sending");
  const recently = notifyAsked.some((at) => Date.now() - at < WEEK_MS);
  if (notify || !wrote || c.kind === "saved" || recently || notifyAsked.length >= 2) return null;
  if (!("Notification" in window) || Notification.permission !== "default") return null;
  const later = (): void => set({ notifyAsked: [...notifyAsked, Date.now()] });
  return (
    <div class="notify-question">
      <Icon name="bell" />
      <strong>{c.kind === "group" ? w.askNotifyGroup : w.askNotify(nameOf(c))}</strong>
      <div>
        <Button kind="quiet" onClick={later}>
          {w.notNow}
        </Button>
        <Button kind="primary" onClick={() => void turnOnNotifications().then((granted) => !granted && later())}>
          {w.yes}
        </Button>
      </div>
    </div>
  );
}
