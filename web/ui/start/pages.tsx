// Pages that only say something: not a secure context, too old a browser, a part that failed.

import type { ComponentChildren, JSX } from "preact";
import { words } from "../i18n/words.ts";
import { reload } from "../install.ts";
import { Button } from "../parts/button.tsx";
import { Icon } from "../parts/icon.tsx";

/** A page with a heading, a sentence and perhaps a way out. */
export function Page(props: { title: string; text: string; children?: ComponentChildren }): JSX.Element {
  return (
    <main class="start">
      <div class="start-form">
        <h1>{props.title}</h1>
        <p class="start-host">{props.text}</p>
        {props.children}
      </div>
    </main>
  );
}

/** What did not work with a form; nothing, if it is null. */
export function FormWrong({ sentence }: { sentence: string | null }): JSX.Element | null {
  if (!sentence) return null;
  return (
    <p class="form-wrong" role="alert">
      <Icon name="failed" size={16} />
      {sentence}
    </p>
  );
}

/** Instead of everything where what lies on this device cannot be opened. */
export function CannotOpen(): JSX.Element {
  const w = words.value;
  return (
    <Page title={w.cannotOpen} text={w.cannotOpenText}>
      <Button kind="primary" onClick={() => void reload()}>
        {w.reload}
      </Button>
    </Page>
  );
}

/** Instead of any form where the browser offers no encryption. */
export function NotSecure(): JSX.Element {
  const w = words.value;
  return (
    <main class="start">
      <div class="start-form">
        <Icon name="lock" size={32} />
        <h1>{w.notSecure}</h1>
        <p class="start-host">{w.notSecureText}</p>
        <p class="start-host">{w.notSecureRun}</p>
      </div>
    </main>
  );
}

/** Instead of any form where the browser lacks what encryption needs. */
export function TooOld(): JSX.Element {
  const w = words.value;
  return <Page title={w.tooOld} text={w.tooOldText} />;
}
