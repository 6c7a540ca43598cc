// Ctrl K: goes to a conversation, a message or a command. The focus stays in the text; the arrows choose.

import type { JSX } from "preact";
import { useId, useState } from "preact/hooks";
import { sentenceOf } from "../failure.ts";
import { subtitle } from "../conversation/pane.tsx";
import { words } from "../i18n/words.ts";
import { ConversationAvatar } from "../list/conversation-avatar.tsx";
import { nameOf } from "../list/row.tsx";
import { show } from "../overlay.ts";
import { note } from "../parts/announcer.tsx";
import { Avatar } from "../parts/avatar.tsx";
import { Dialog } from "../parts/dialog.tsx";
import { Icon } from "../parts/icon.tsx";
import type { IconName } from "../parts/icon-paths.ts";
import { go } from "../route.ts";
import { around, byName, folded, useHits } from "./results.tsx";
import { client } from "../state.ts";
import { Marked } from "../text/text.tsx";

interface Option {
  key: string;
  picture: JSX.Element;
  label: string;
  second: string;
  keys: string;
  run: () => void;
}
interface Section {
  title: string;
  options: Option[];
}

const MAX_NAMED = 8;
const MAX_HITS = 6;

async function openSaved(): Promise<void> {
  const opened = await client().saved();
  if (opened.ok) go({ at: "conversation", id: opened.value, message: null });
  else note(sentenceOf(opened.failure));
}

function commands(): Option[] {
  const w = words.value;
  const command = (icon: IconName, label: string, keys: string, run: () => void): Option => ({
    key: label,
    picture: (
      <span class="command-icon">
        <Icon name={icon} />
      </span>
    ),
    label,
    second: "",
    keys,
    run,
  });
  return [
    command("group", w.newGroup, "Ctrl Shift N", () => show({ kind: "newGroup" })),
    command("write", w.newConversation, "", () => show({ kind: "newConversation" })),
    command("invite", w.invite, "", () => show({ kind: "invite" })),
    command("saved", w.saved, "", () => void openSaved()),
    command("person", w.profile, "Ctrl ,", () => go({ at: "account", section: "profile" })),
    command("devices", w.devices, "", () => go({ at: "account", section: "devices" })),
    command("shieldCheck", w.security, "", () => go({ at: "account", section: "security" })),
    command("half", w.appearance, "", () => go({ at: "account", section: "appearance" })),
    command("bell", w.notifications, "", () => go({ at: "account", section: "notifications" })),
    command("keyboard", w.shortcuts, "?", () => show({ kind: "shortcuts" })),
  ];
}

function useSections(typed: string): Section[] {
  const w = words.value;
  const only = typed.startsWith("@") ? "people" : typed.startsWith(">") ? "commands" : null;
  const text = (only ? typed.slice(1) : typed).trim();
  const found = useHits(only ? "" : text, null);
  const named = only === "commands" ? [] : byName(text).filter((c) => only !== "people" || c.kind === "direct");
  const sections: Section[] = [
    {
      title: w.people,
      options: named.slice(0, MAX_NAMED).map((c) => ({
        key: c.id,
        picture: <ConversationAvatar conversation={c} size={32} />,
        label: nameOf(c),
        second: subtitle(c),
        keys: "",
        run: () => go({ at: "conversation", id: c.id, message: null }),
      })),
    },
    {
      title: w.messagesHere,
      options: (found?.hits ?? []).slice(0, MAX_HITS).map((hit) => ({
        key: hit.message,
        picture: <Avatar of={{ kind: "person", id: hit.user, name: hit.name }} size={32} />,
        label: around(hit.text, text),
        second: w.where(hit.name, hit.where || w.saved, w.format.day(hit.at, Date.now())),
        keys: "",
        run: () => go({ at: "conversation", id: hit.conversation, message: hit.message }),
      })),
    },
    {
      title: w.commands,
      options: only === "people" ? [] : commands().filter((c) => folded(c.label).includes(folded(text))),
    },
  ];
  return sections.filter((section) => section.options.length > 0);
}

/** The dialog "Go to". */
export function Palette({ onClose }: { onClose: () => void }): JSX.Element {
  const w = words.value;
  const id = useId();
  const [text, setText] = useState("");
  const [chosen, setChosen] = useState(0);
  const sections = useSections(text);
  const all = sections.flatMap((section) => section.options);
  const run = (option: Option | undefined): void => {
    if (!option) return;
    onClose();
    option.run();
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key === "ArrowDown") setChosen((chosen + 1) % Math.max(1, all.length));
    else if (event.key === "ArrowUp") setChosen((chosen - 1 + all.length) % Math.max(1, all.length));
    else if (event.key === "Enter") run(all[chosen]);
    else return;
    event.preventDefault();
    document.getElementById(`${id}-${chosen}`)?.scrollIntoView({ block: "nearest" });
  };
  let index = -1;
  return (
    <Dialog title={w.goTo} size="bare" onClose={onClose}>
      <div class="palette-field">
        <Icon name="search" />
        <input
          type="text"
          role="combobox"
          aria-label={w.goTo}
          aria-expanded="true"
          aria-controls={id}
          aria-activedescendant={all.length > 0 ? `${id}-${chosen}` : undefined}
          autoComplete="off"
          autoFocus
          value={text}
          onInput={(event) => {
            setText(event.currentTarget.value);
            setChosen(0);
          }}
          onKeyDown={onKeyDown}
        />
        <kbd aria-hidden="true">Esc</kbd>
      </div>
      <div id={id} class="palette-list" role="listbox" aria-label={w.goTo}>
        {sections.map((section) => (
          <div key={section.title} role="group" aria-label={section.title}>
            <div class="palette-title" aria-hidden="true">
              {section.title}
            </div>
            {section.options.map((option) => {
              index += 1;
              const here = index === chosen;
              return (
                <div
                  key={option.key}
                  id={`${id}-${index}`}
                  class="palette-option"
                  role="option"
                  aria-selected={here}
                  onClick={() => run(option)}
                >
                  {option.picture}
                  <span class="hit-text">
                    <span class="cut" dir="auto">
                      <Marked text={option.label} find={text.replace(/^[@>]/, "").trim()} />
                    </span>
                    {option.second && <small class="cut">{option.second}</small>}
                  </span>
                  {(here || option.keys) && <kbd aria-hidden="true">{option.keys || "Enter"}</kbd>}
                </div>
              );
            })}
          </div>
        ))}
      </div>
      <div class="palette-foot not-phone" aria-hidden="true">
        <span><kbd>↑</kbd> <kbd>↓</kbd> {w.choose}</span>
        <span><kbd>Enter</kbd> {w.open}</span>
        <span><kbd>@</kbd> {w.peopleOnly}</span>
        <span><kbd>&gt;</kbd> {w.commandsOnly}</span>
        <span class="last"><kbd>?</kbd> {w.allShortcuts}</span>
      </div>
    </Dialog>
  );
}
