// All shortcuts in one dialog, opened by `?`.

import type { JSX } from "preact";
import { words } from "../i18n/words.ts";
import { Dialog } from "../parts/dialog.tsx";

/** The dialog "Shortcuts". */
export function ShortcutsDialog({ onClose }: { onClose: () => void }): JSX.Element {
  const w = words.value;
  const all: readonly (readonly [string, string])[] = [
    ["Ctrl K", w.goTo],
    ["Alt ↑ ↓", w.keyNext],
    ["Alt Shift ↑ ↓", w.keyUnread],
    ["Ctrl F", w.searchHere],
    ["Ctrl Shift N", w.newGroup],
    ["Ctrl ,", w.keySettings],
    ["Esc", w.keyBack],
    ["Shift Enter", w.keyBreak],
    ["↑", w.keyLog],
    ["E, R, +", w.keyEdit],
  ];
  return (
    <Dialog title={w.shortcuts} size="small" onClose={onClose}>
      <dl class="shortcuts">
        {all.map(([keys, what]) => (
          <div key={keys}>
            <dt>{what}</dt>
            <dd dir="ltr">
              <kbd>{keys}</kbd>
            </dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
