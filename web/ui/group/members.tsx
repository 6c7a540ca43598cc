// The members of a group, and an admin's actions. Rows are rendered as they come into view, up to 5,000.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { useMembers } from "../conversation/details.tsx";
import { attempt, sentenceOf } from "../failure.ts";
import { words } from "../i18n/words.ts";
import type { Conversation, ConversationId, Member, UserId } from "../../core/index.ts";
import { ask, show } from "../overlay.ts";
import { Avatar } from "../parts/avatar.tsx";
import { NameHint } from "../parts/name-hint.tsx";
import { Button } from "../parts/button.tsx";
import { Actions, Dialog } from "../parts/dialog.tsx";
import { Switch } from "../parts/field.tsx";
import { Icon } from "../parts/icon.tsx";
import { type MenuItem, MenuButton } from "../parts/menu.tsx";
import { useMore } from "../parts/more.ts";
import { dotOf } from "../presence.ts";
import { go } from "../route.ts";
import { folded } from "../search/results.tsx";
import { client, conversationOf, me } from "../state.ts";
import { ChoosePeople, friends } from "./new-group.tsx";

function memberItems(c: Conversation, member: Member, onClose: () => void): MenuItem[] {
  const w = words.value;
  const items: MenuItem[] = [];
  if (member.friend) {
    const write = async (): Promise<void> => {
      const outcome = await client().writeTo(member.id);
      if (!outcome.ok) return;
      onClose();
      go({ at: "conversation", id: outcome.value, message: null });
    };
    items.push({ label: w.writeTo(member.name), icon: "write", run: () => void write() });
  } else if (member.email !== "") {
    const run = (): void => void attempt(client().request(member.email), w.requestSent(member.name));
    items.push({ label: w.sendRequest, icon: "invite", run });
  }
  items.push({
    label: w.compare,
    icon: "shieldCheck",
    run: () => {
      onClose();
      go({ at: "verify", user: member.id });
    },
  });
  if (!c.admin) return items;
  items.push({
    label: member.admin ? w.makeMember : w.makeAdmin,
    icon: "crown",
    run: () => void attempt(client().setAdmin(c.id, member.id, !member.admin)),
  });
  const run = async (): ReturnType<ReturnType<typeof client>["removeMember"]> => client().removeMember(c.id, member.id);
  items.push({
    label: w.removeFromGroup,
    icon: "close",
    danger: true,
    run: () => ask({ title: w.removeTitle(member.name), text: w.removeText(member.name), yes: w.removeFromGroup, no: w.keep, run }),
  });
  return items;
}

function MemberRow({ conversation: c, member, onClose }: { conversation: Conversation; member: Member; onClose: () => void }): JSX.Element {
  const w = words.value;
  const self = member.id === me.value.id;
  const role = self ? (member.admin ? w.youAdmin : w.you) : member.admin ? w.admin : w.member;
  return (
    <li class="member">
      <Avatar
        of={{ kind: "person", id: member.id, name: member.name }}
        size={40}
        dot={dotOf(member)}
      />
      <span class="member-names">
        <span class="member-name">
          <bdi class="cut">{member.name}</bdi>
          <NameHint of={member} />
          {member.trust === "verified" && <span class="seal"><Icon name="seal" size={16} /><span class="unseen">{w.verified}</span></span>}
        </span>
        <small class="cut">{self ? me.value.email : member.email}</small>
      </span>
      {member.trust === "changed" && (
        <span class="chip warn">
          <Icon name="shieldWarn" size={16} />
          {w.newKeys}
        </span>
      )}
      <span class={member.admin ? "member-role admin" : "member-role"}>{role}</span>
      {self ? <span class="member-space" /> : <MenuButton icon="more" label={w.memberMenu(member.name)} items={() => memberItems(c, member, onClose)} />}
    </li>
  );
}

function AddPeople({ conversation: c, members, onDone }: { conversation: Conversation; members: readonly Member[]; onDone: () => void }): JSX.Element {
  const w = words.value;
  const [chosen, setChosen] = useState<ReadonlySet<UserId>>(new Set());
  const [history, setHistory] = useState(false);
  const [wrong, setWrong] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const inside = new Set(members.map((m) => m.id));
  const others = friends().filter((p) => !inside.has(p.id));
  const add = async (): Promise<void> => {
    setBusy(true);
    const outcome = await client().addMembers(c.id, [...chosen], history);
    setBusy(false);
    if (outcome.ok) onDone();
    else setWrong(sentenceOf(outcome.failure));
  };
  if (others.length === 0) {
    return (
      <>
        <p>{w.allAreIn}</p>
        <Actions>
          <Button onClick={onDone}>{w.back}</Button>
          <Button kind="primary" icon="invite" onClick={() => show({ kind: "invite" })}>
            {w.invite}
          </Button>
        </Actions>
      </>
    );
  }
  return (
    <>
      <ChoosePeople from={others} chosen={chosen} onChange={setChosen} />
      <Switch label={w.shareHistory} on={history} onChange={setHistory} />
      {wrong && <p class="form-wrong" role="alert">{wrong}</p>}
      <Actions>
        <Button onClick={onDone}>{w.back}</Button>
        <Button kind="primary" busy={busy} disabled={chosen.size === 0} onClick={() => void add()}>
          {w.addPeople}
        </Button>
      </Actions>
    </>
  );
}

/** The dialog "Members". */
export function MembersDialog({ id, onClose }: { id: ConversationId; onClose: () => void }): JSX.Element | null {
  const c = conversationOf(id);
  return c ? <Members conversation={c} onClose={onClose} /> : null;
}

function Members({ conversation: c, onClose }: { conversation: Conversation; onClose: () => void }): JSX.Element {
  const w = words.value;
  const members = useMembers(c);
  const [filter, setFilter] = useState("");
  const [adding, setAdding] = useState(false);
  const { most, onScroll } = useMore();
  const shown = members.filter((m) => folded(`${m.name} ${m.email}`).includes(folded(filter)));
  return (
    <Dialog title={`${c.name} · ${w.memberCount(c.memberCount)}`} size="wide" onClose={onClose}>
      {adding ? (
        <AddPeople conversation={c} members={members} onDone={() => setAdding(false)} />
      ) : (
        <>
          <div class="members-head">
            <div class="search-box inset">
              <Icon name="search" size={18} />
              <input
                type="text"
                aria-label={w.searchMembers}
                placeholder={w.searchMembers}
                value={filter}
                onInput={(event) => setFilter(event.currentTarget.value)}
              />
            </div>
            {c.admin && (
              <Button kind="primary" icon="invite" onClick={() => setAdding(true)}>
                {w.addPeople}
              </Button>
            )}
          </div>
          <ul class="members" aria-label={w.members} onScroll={onScroll}>
            {shown.slice(0, most).map((member) => (
              <MemberRow key={member.id} conversation={c} member={member} onClose={onClose} />
            ))}
          </ul>
          <p class="members-foot">{w.removedNote}</p>
        </>
      )}
    </Dialog>
  );
}
