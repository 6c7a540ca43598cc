// A new group: its name and who is in it.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { sentenceOf } from "../failure.ts";
import { words } from "../i18n/words.ts";
import type { Person, UserId } from "../../core/index.ts";
import { show } from "../overlay.ts";
import { Avatar } from "../parts/avatar.tsx";
import { NameHint } from "../parts/name-hint.tsx";
import { Button } from "../parts/button.tsx";
import { Actions, Dialog } from "../parts/dialog.tsx";
import { Field } from "../parts/field.tsx";
import { Icon } from "../parts/icon.tsx";
import { useMore } from "../parts/more.ts";
import { go } from "../route.ts";
import { folded } from "../search/results.tsx";
import { client, people } from "../state.ts";

/** From how many people on a filter helps. */
const FILTER_FROM = 8;

/** Checkboxes by name; those chosen stand above as chips. */
export function ChoosePeople(props: {
  from: readonly Person[];
  chosen: ReadonlySet<UserId>;
  onChange: (chosen: ReadonlySet<UserId>) => void;
}): JSX.Element {
  const w = words.value;
  const { from, chosen, onChange } = props;
  const [filter, setFilter] = useState("");
  const { most, onScroll } = useMore();
  const toggle = (id: UserId): void => {
    const next = new Set(chosen);
    if (!next.delete(id)) next.add(id);
    onChange(next);
  };
  const shown = from.filter((p) => folded(p.name).includes(folded(filter)));
  return (
    <>
      {chosen.size > 0 && (
        <div class="chosen-people">
          {from
            .filter((p) => chosen.has(p.id))
            .map((p) => (
              <button key={p.id} type="button" class="chip" aria-label={w.takeOut(p.name)} onClick={() => toggle(p.id)}>
                <bdi>{p.name}</bdi>
                <Icon name="close" size={12} />
              </button>
            ))}
        </div>
      )}
      {from.length >= FILTER_FROM && (
        <div class="search-box inset">
          <Icon name="search" size={18} />
          <input
            type="text"
            aria-label={w.filterPeople}
            placeholder={w.filterPeople}
            value={filter}
            onInput={(event) => setFilter(event.currentTarget.value)}
          />
        </div>
      )}
      <ul class="people" onScroll={onScroll}>
        {shown.slice(0, most).map((p) => (
          <li key={p.id}>
            <label class="check-row">
              <Avatar of={{ kind: "person", id: p.id, name: p.name }} size={32} />
              <bdi class="cut">{p.name}</bdi>
              <NameHint of={p} />
              <input type="checkbox" aria-label={p.name} checked={chosen.has(p.id)} onChange={() => toggle(p.id)} />
            </label>
          </li>
        ))}
      </ul>
    </>
  );
}

/** The user's friends, by name. */
export const friends = (): Person[] =>
  [...people.value.values()].filter((p) => p.friend && !p.blocked).sort((a, b) => a.name.localeCompare(b.name));

/** The dialog "New group". */
export function NewGroup({ onClose }: { onClose: () => void }): JSX.Element {
  const w = words.value;
  const [name, setName] = useState("");
  const [chosen, setChosen] = useState<ReadonlySet<UserId>>(new Set());
  const [wrong, setWrong] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const all = friends();
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (busy || name.trim() === "" || chosen.size === 0) return;
    setBusy(true);
    const outcome = await client().createGroup(name.trim(), [...chosen]);
    setBusy(false);
    if (!outcome.ok) return setWrong(sentenceOf(outcome.failure));
    onClose();
    go({ at: "conversation", id: outcome.value, message: null });
  };
  return (
    <Dialog title={w.newGroup} size="small" onClose={onClose}>
      <form class="dialog-form" onSubmit={(event) => void submit(event)}>
        <Field label={w.groupName} value={name} maxLength={100} autoComplete="off" onText={setName} wrong={wrong} autoFocus />
        {all.length === 0 ? (
          <p>{w.noFriends}</p>
        ) : (
          <ChoosePeople from={all} chosen={chosen} onChange={setChosen} />
        )}
        <Actions>
          {all.length === 0 && (
            <Button icon="invite" onClick={() => show({ kind: "invite" })}>
              {w.invite}
            </Button>
          )}
          <Button kind="primary" submit busy={busy} disabled={name.trim() === "" || chosen.size === 0}>
            {w.createGroup}
          </Button>
        </Actions>
      </form>
    </Dialog>
  );
}
