// The details of a conversation: its settings, its members, and its keys.

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { attempt } from "../failure.ts";
import { words } from "../i18n/words.ts";
import { ConversationAvatar } from "../list/conversation-avatar.tsx";
import { nameOf } from "../list/row.tsx";
import type { Conversation, Member } from "../../core/index.ts";
import { show } from "../overlay.ts";
import { Avatar } from "../parts/avatar.tsx";
import { NameHint, IdOf } from "../parts/name-hint.tsx";
import { Button, IconButton } from "../parts/button.tsx";
import { Icon } from "../parts/icon.tsx";
import type { IconName } from "../parts/icon-paths.ts";
import { dotOf } from "../presence.ts";
import { go } from "../route.ts";
import { client, me, people } from "../state.ts";
import { openDetails } from "./details-open.ts";
import { subtitle } from "./pane.tsx";

const MAX_MEMBERS = 50;

function Entry(props: { icon: IconName; label: string; value: JSX.Element | string; onClick: () => void }): JSX.Element {
  return (
    <li>
      <button type="button" class="details-entry" onClick={props.onClick}>
        <Icon name={props.icon} />
        <span>{props.label}</span>
        <span class="details-value">{props.value}</span>
      </button>
    </li>
  );
}

const byName = new Intl.Collator();

/** The members of a group, admins first; loaded again when people, the member count or the keys change, and with the keys the roles. */
export function useMembers(c: Conversation): readonly Member[] {
  const [members, setMembers] = useState<readonly Member[]>([]);
  const known = people.value;
  useEffect(() => {
    let current = true;
    void client()
      .members(c.id)
      .then((all) => {
        if (current) setMembers([...all].sort((a, b) => Number(b.admin) - Number(a.admin) || byName.compare(a.name, b.name)));
      });
    return () => {
      current = false;
    };
  }, [c.id, c.memberCount, c.renewedAt, known]);
  return members;
}

function Members({ conversation: c }: { conversation: Conversation }): JSX.Element {
  const w = words.value;
  const members = useMembers(c);
  return (
    <section class="details-members">
      <header>
        <h3>{w.members}</h3>
        <Button kind="quiet" onClick={() => show({ kind: "members", id: c.id })}>
          {c.admin ? w.add : w.all}
        </Button>
      </header>
      <ul>
        {members.slice(0, MAX_MEMBERS).map((member) => (
          <li key={member.id}>
            <Avatar
              of={{ kind: "person", id: member.id, name: member.name }}
              size={32}
              dot={dotOf(member)}
            />
            <bdi class="cut">{member.name}</bdi>
            <NameHint of={member} />
            {member.trust === "verified" && <span class="seal"><Icon name="seal" size={16} /></span>}
            {member.trust === "changed" && <span class="chip warn">{w.newKeys}</span>}
            <small>{member.id === me.value.id ? (member.admin ? w.youAdmin : w.you) : member.admin ? w.admin : ""}</small>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Trust({ conversation: c }: { conversation: Conversation }): JSX.Element | null {
  const w = words.value;
  const other = c.other ? people.value.get(c.other) : undefined;
  if (!other) return null;
  const text = { verified: w.verified, seen: w.notVerified, changed: w.newKeys }[other.trust];
  return <Entry icon="shieldCheck" label={w.safetyNumber} value={text} onClick={() => go({ at: "verify", user: other.id })} />;
}

/** The panel of details. */
export function Details({ conversation: c }: { conversation: Conversation }): JSX.Element {
  const w = words.value;
  const other = c.other ? people.value.get(c.other) : undefined;
  const readers = { group: w.onlyMembers, direct: other?.trust === "verified" ? w.comparedKeys(c.name) : w.onlyYouTwo(c.name), saved: w.beginSaved }[c.kind];
  return (
    <aside class="details" aria-label={w.details}>
      <header class="pane-head">
        <h2>{w.details}</h2>
        <IconButton icon="close" label={w.close} onClick={() => openDetails(false)} />
      </header>
      <div class="details-scroll">
        <div class="details-who">
          <ConversationAvatar conversation={c} size={72} />
          <h3>
            <bdi>{nameOf(c)}</bdi>
            {c.kind === "group" && c.admin && (
              <IconButton icon="edit" small label={w.rename} onClick={() => show({ kind: "rename", id: c.id })} />
            )}
          </h3>
          <p>{c.kind === "group" ? w.groupOf(c.memberCount) : subtitle(c)}</p>
          {other?.alike && <IdOf user={other.id} />}
        </div>
        <ul class="details-entries">
          <Entry icon="timer" label={w.keepMessages} value={w.keepFor[c.keep]} onClick={() => show({ kind: "keep", id: c.id })} />
          <Entry
            icon="bell"
            label={w.notifications}
            value={c.muted ? w.muted : w.all}
            onClick={() => void attempt(client().change(c.id, { muted: !c.muted }))}
          />
          <Entry
            icon="palette"
            label={w.color}
            value={c.color ? <Swatch color={c.color} /> : w.noColor}
            onClick={() => show({ kind: "color", id: c.id })}
          />
          <Trust conversation={c} />
        </ul>
        {c.kind === "group" && <Members conversation={c} />}
        <p class="details-foot">
          <Icon name="lock" />
          <span>
            {readers} {c.renewedAt !== null && w.keysRenewed(c.renewedAt, Date.now())}
          </span>
        </p>
        {c.kind !== "saved" && c.barrier?.kind !== "left" && (
          <Button onClick={() => void attempt(client().renewKeys(c.id), w.lineRenewed)} icon="key">
            {w.renewKeys}
          </Button>
        )}
      </div>
    </aside>
  );
}

/** The colour as it is on the wire: the only place where it is shown unchanged. */
export const Swatch = ({ color }: { color: string }): JSX.Element => <span class="swatch" style={{ "--swatch": color }} />;
