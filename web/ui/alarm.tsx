// Alarms about keys and lost messages; and how to go on where an older backup of the server may explain them.

import type { JSX } from "preact";
import type { AlarmOf } from "../core/index.ts";
import { words } from "./i18n/words.ts";
import { ask } from "./overlay.ts";
import { Icon } from "./parts/icon.tsx";
import { client } from "./state.ts";

function askRestored(): void {
  const { restored, notNow } = words.value;
  ask({ title: restored.title, text: restored.text, yes: restored.yes, no: notNow, run: () => client().acceptRestored() });
}

/** The text of the bar. */
export function Alarm({ of }: { of: AlarmOf }): JSX.Element {
  const w = words.value;
  const text = { ...w.alarmOf, keys: w.alarmKeys }[of];
  return (
    <>
      <Icon name="shieldWarn" size={16} />
      <span>{text}</span>
      {(of === "log" || of === "vault" || of === "lost") && (
        <button type="button" onClick={askRestored}>
          {w.restored.ask}
        </button>
      )}
    </>
  );
}

/** Shown below a login that was refused because the vault is older than one that this device has seen. */
export function RestoredLogin({ onAccept }: { onAccept: () => void }): JSX.Element {
  const w = words.value;
  return (
    <p class="note-box">
      {w.restored.login}{" "}
      <button type="button" class="link" onClick={onAccept}>
        {w.restored.yes}
      </button>
    </p>
  );
}
