// One line about something that happened in a conversation besides messages.

import type { JSX } from "preact";
import { words } from "../i18n/words.ts";
import type { Line } from "../../core/index.ts";
import { Icon } from "../parts/icon.tsx";
import { go } from "../route.ts";

function sentence({ what }: Line): string {
  const w = words.value;
  switch (what.kind) {
    case "added":
      return w.lineAdded(what.by, w.format.list(what.who));
    case "removed":
      return w.lineRemoved(w.format.list(what.who));
    case "admin":
      return w.lineAdmin(what.who);
    case "member":
      return w.lineMember(what.who);
    case "newKeys":
      return w.lineKeys(what.who);
    case "verified":
      return w.lineVerified(what.who);
    case "renewed":
      return w.lineRenewed;
  }
}

/** The line. */
export function SystemLine({ line }: { line: Line }): JSX.Element {
  const { what } = line;
  if (what.kind !== "newKeys") return <p class="system-line">{sentence(line)}</p>;
  return (
    <p class="system-line warn">
      <Icon name="shieldWarn" size={16} />
      {sentence(line)}
      <button type="button" onClick={() => go({ at: "verify", user: what.user })}>
        {words.value.compare}
      </button>
    </p>
  );
}
