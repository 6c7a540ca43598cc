// Pages that only say something: not a secure context, too old a browser, a part that failed.

import type { ComponentChildren, JSX } from "preact";
import { words } from "../i18n/words.ts";
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
