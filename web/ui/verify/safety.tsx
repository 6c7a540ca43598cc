// Comparing the keys of two people: the same twelve numbers on both screens mean that nobody is in between.

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { SafetyNumber } from "../../core/index.ts";
import { attempt } from "../failure.ts";
import { words } from "../i18n/words.ts";
import { note } from "../parts/announcer.tsx";
import { Avatar } from "../parts/avatar.tsx";
import { Button, IconButton } from "../parts/button.tsx";
import { Icon } from "../parts/icon.tsx";
import { Qr } from "../parts/qr-picture.tsx";
import { Scan } from "../parts/scan.tsx";
import { go } from "../route.ts";
import { client, conversations, me, people } from "../state.ts";

function leave(user: string): void {
  const direct = conversations.value.find((c) => c.other === user);
  go(direct ? { at: "conversation", id: direct.id, message: null } : { at: "list" });
}

function Numbers({ number, user }: { number: SafetyNumber; user: string }): JSX.Element {
  const w = words.value;
  const [differ, setDiffer] = useState(false);
  const { person } = number;
  const chip = {
    verified: <span class="chip ok"><Icon name="seal" size={16} />{w.verified}</span>,
    seen: <span class="chip"><Icon name="shield" size={16} />{w.notVerified}</span>,
    changed: <span class="chip warn"><Icon name="shieldWarn" size={16} />{w.newKeys}</span>,
  }[person.trust];
  const same = async (): Promise<void> => {
    await client().verify(user);
    leave(user);
  };
  const scanned = async (text: string): Promise<void> => {
    const result = await client().compareCode(user, text);
    if (result === "same") return same();
    if (result === "different") setDiffer(true);
    else note(w.scan.nothing);
  };
  return (
    <>
      <div class="safety-two">
        <Avatar of={{ kind: "person", id: person.id, name: person.name }} size={56} />
        <Avatar of={{ kind: "person", id: me.value.id, name: me.value.name }} size={48} />
      </div>
      <h2>{w.youTwo(person.name)}</h2>
      {chip}
      {number.code && <Qr text={number.code} label={w.qrLabel} />}
      <div class="safety-numbers" dir="ltr">
        {number.groups.map((group, i) => (
          <span key={i}>
            <span aria-hidden="true">{group}</span>
            <span class="unseen">{[...group].join(" ")}</span>
          </span>
        ))}
      </div>
      <p role={differ ? "alert" : undefined}>{differ ? w.differText : w.compareText(person.name)}</p>
      <div class="safety-actions">
        <Scan label={w.scan.code(person.name)} onText={(text) => void scanned(text)} />
        <Button kind="primary" full onClick={() => void same()}>
          {w.same}
        </Button>
        {differ ? (
          <Button kind="danger" full onClick={() => void attempt(client().block(user, true)).then((done) => done && leave(user))}>
            {w.stopSending}
          </Button>
        ) : (
          <Button kind="quiet" full onClick={() => setDiffer(true)}>
            {w.differ}
          </Button>
        )}
      </div>
    </>
  );
}

/** The page "Safety number". */
export function SafetyPage({ user }: { user: string }): JSX.Element {
  const w = words.value;
  const [number, setNumber] = useState<SafetyNumber | null | undefined>(undefined);
  const person = people.value.get(user);
  useEffect(() => {
    void client().safetyNumber(user).then(setNumber);
  }, [user, person]);
  return (
    <main class="safety">
      <header class="pane-head">
        <IconButton icon="back" label={w.back} onClick={() => leave(user)} />
        <h1>{w.safetyNumber}</h1>
      </header>
      <div class="safety-body">
        {number && <Numbers number={number} user={user} />}
        {number === null && <p>{w.noKeyYet(person?.name ?? "")}</p>}
      </div>
    </main>
  );
}
