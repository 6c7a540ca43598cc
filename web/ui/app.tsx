// The shell: which screen is shown where, and the dialogs over it. A component that throws is replaced by a notice.

import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { Bars } from "./bars.tsx";
import { ConversationPane } from "./conversation/pane.tsx";
import { words } from "./i18n/words.ts";
import { useShortcuts } from "./keys.ts";
import {
  AccountPage,
  ConversationDialog,
  InfoDialog,
  InvitationPage,
  InviteDialog,
  InvitedDialog,
  Lightbox,
  MembersDialog,
  NewConversation,
  NewGroup,
  Palette,
  QuestionDialog,
  SafetyPage,
  ShortcutsDialog,
} from "./lazy.ts";
import { ListPane } from "./list/list.tsx";
import { overlay, show } from "./overlay.ts";
import { Announcer } from "./parts/announcer.tsx";
import { Boundary } from "./parts/boundary.tsx";
import { Button } from "./parts/button.tsx";
import { Mark } from "./parts/icon.tsx";
import { go, type Route, route } from "./route.ts";
import { LogIn } from "./start/login.tsx";
import { Page } from "./start/pages.tsx";
import { session } from "./state.ts";

function Broken(): JSX.Element {
  const w = words.value;
  return (
    <Page title={w.broken} text={w.brokenText}>
      <Button kind="primary" onClick={() => location.reload()}>
        {w.reload}
      </Button>
    </Page>
  );
}

function Overlays(): JSX.Element | null {
  const close = (): void => show(null);
  const open = overlay.value;
  switch (open?.kind) {
    case undefined:
      return null;
    case "newConversation":
      return <NewConversation onClose={close} />;
    case "newGroup":
      return <NewGroup onClose={close} />;
    case "invite":
      return <InviteDialog onClose={close} />;
    case "invited":
      return <InvitedDialog invitation={open.invitation} onClose={close} />;
    case "members":
      return <MembersDialog id={open.id} onClose={close} />;
    case "color":
    case "keep":
    case "rename":
      return <ConversationDialog kind={open.kind} id={open.id} onClose={close} />;
    case "info":
      return <InfoDialog id={open.id} article={open.article} onClose={close} />;
    case "picture":
      return <Lightbox file={open.file} onClose={close} />;
    case "question":
      return <QuestionDialog key={open.question.title} question={open.question} onClose={close} />;
    case "palette":
      return <Palette onClose={close} />;
    case "shortcuts":
      return <ShortcutsDialog onClose={close} />;
  }
}

function NoneOpen(): JSX.Element {
  return (
    <aside class="none-open" aria-label={words.value.noneOpen}>
      <Mark size={40} />
      <p>{words.value.noneOpen}</p>
    </aside>
  );
}

/** The invitation with which the user has just registered. */
let accepted: Route | null = null;

function Main(): JSX.Element {
  const at = route.value;
  useShortcuts();
  useEffect(() => {
    if (route.value.at !== "invitation") return;
    const { invitation } = route.value;
    if (route.value !== accepted && invitation) show({ kind: "invited", invitation });
    // Removes its secret from the address bar.
    go({ at: "list" }, true);
  }, [at]);
  if (at.at === "account") return <AccountPage section={at.section} />;
  if (at.at === "verify") return <SafetyPage user={at.user} />;
  const open = at.at === "conversation" ? at : null;
  return (
    <div class={open ? "shell open" : "shell"}>
      <ListPane open={open?.id ?? null} />
      <div class="pane">
        <Boundary key={open?.id ?? ""} instead={Broken}>
          {open ? <ConversationPane key={open.id} id={open.id} target={open.message} /> : <NoneOpen />}
        </Boundary>
      </div>
    </div>
  );
}

function Screen(): JSX.Element | null {
  const at = route.value;
  const now = session.value;
  switch (now.kind) {
    case "starting":
      return null;
    case "out":
      if (at.at === "invitation") accepted = at;
      return at.at === "invitation" ? <InvitationPage invitation={at.invitation} /> : <LogIn why={now.why} />;
    case "in":
      return <Main />;
  }
}

/** Everything. */
export function App(): JSX.Element {
  return (
    <Boundary instead={Broken}>
      <Screen />
      <Bars />
      {session.value.kind === "in" && <Overlays />}
      <Announcer />
    </Boundary>
  );
}
