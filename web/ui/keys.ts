// The shortcuts of the whole window, in one table.

import { useEffect } from "preact/hooks";
import { overlay, show } from "./overlay.ts";
import { go, route } from "./route.ts";
import { conversations } from "./state.ts";

interface Pressed {
  key: string;
  ctrl: boolean;
  alt: boolean;
  shift: boolean;
}

/** Goes to the conversation after or before the open one; with `unread`, to one that has something new. */
function step(by: 1 | -1, unread: boolean): void {
  const all = conversations.value.filter((c) => !c.hidden);
  const at = route.value;
  const now = at.at === "conversation" ? all.findIndex((c) => c.id === at.id) : -1;
  for (let i = 1; i <= all.length; i++) {
    const next = all[(now + by * i + all.length * 2) % all.length];
    if (next && (!unread || next.unread > 0)) {
      go({ at: "conversation", id: next.id, message: null });
      return;
    }
  }
}

function back(): boolean {
  const at = route.value;
  if (overlay.value || document.querySelector("dialog[open], :popover-open") || at.at === "list") return false;
  go({ at: "list" });
  return true;
}

function act({ key, ctrl, alt, shift }: Pressed, typing: boolean): boolean {
  if (ctrl && key === "k") show({ kind: "palette" });
  else if (ctrl && shift && key === "n") show({ kind: "newGroup" });
  else if (ctrl && key === ",") go({ at: "account", section: "profile" });
  else if (alt && key === "arrowdown") step(1, shift);
  else if (alt && key === "arrowup") step(-1, shift);
  else if (key === "?" && !typing && !overlay.value) show({ kind: "shortcuts" });
  else if (key === "escape" && !typing) return back();
  else return false;
  return true;
}

/** Listens as long as the part is drawn. */
export function useShortcuts(): void {
  useEffect(() => {
    const listen = (event: KeyboardEvent): void => {
      if (event.defaultPrevented || event.isComposing) return;
      const typing = event.target instanceof HTMLElement && event.target.matches("input, textarea");
      const pressed = {
        key: event.key.toLowerCase(),
        ctrl: event.ctrlKey || event.metaKey,
        alt: event.altKey,
        shift: event.shiftKey,
      };
      if (act(pressed, typing)) event.preventDefault();
    };
    addEventListener("keydown", listen);
    return () => removeEventListener("keydown", listen);
  }, []);
}
