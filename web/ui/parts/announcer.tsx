// Announcements without moving the focus: a polite and an assertive live region for the whole page, and a note that is also visible
// for a moment. Nothing important is said by a note alone.

import { signal } from "@preact/signals";
import type { JSX } from "preact";

const NOTE_MS = 5_000;

const polite = signal("");
const assertive = signal("");
const shown = signal("");
let hide: ReturnType<typeof setTimeout> | undefined;

/** Has a screen reader say `text`; the same text twice is said twice. */
export function announce(text: string, urgent = false): void {
  const region = urgent ? assertive : polite;
  region.value = region.value === text ? `${text}\u00a0` : text;
}

/** Says `text`, and shows it for a moment at the foot of the page. */
export function note(text: string): void {
  announce(text);
  shown.value = text;
  clearTimeout(hide);
  hide = setTimeout(() => {
    shown.value = "";
  }, NOTE_MS);
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
      {shown.value && (
        <div class="note" aria-hidden="true">
          {shown}
        </div>
      )}
    </>
  );
}
