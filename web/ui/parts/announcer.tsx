// What is spoken without moving the focus: one polite and one assertive region for the whole page.

import { signal } from "@preact/signals";
import type { JSX } from "preact";

const polite = signal("");
const assertive = signal("");

/** Has a screen reader say `text`; the same text twice is said twice. */
export function announce(text: string, urgent = false): void {
  const region = urgent ? assertive : polite;
  region.value = region.value === text ? `${text}\u00a0` : text;
}

/** The regions; drawn once. */
export function Announcer(): JSX.Element {
  return (
    <>
      <div class="unseen" aria-live="polite">
        {polite}
      </div>
      <div class="unseen" aria-live="assertive">
        {assertive}
      </div>
    </>
  );
}
