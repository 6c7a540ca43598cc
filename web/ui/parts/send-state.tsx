// The delivery state of an own message: an icon, and its word.

import type { JSX } from "preact";
import { words } from "../i18n/words.ts";
import type { SendState } from "../../core/index.ts";
import { Icon } from "./icon.tsx";

const icons = { sending: "clock", sent: "check", delivered: "checks", seen: "eye", notSent: "failed" } as const;

/** The shape alone. */
export const StateIcon = ({ state }: { state: SendState }): JSX.Element => (
  <span class={`state-icon ${state}`}>
    <Icon name={icons[state]} size={16} />
  </span>
);

/** The word. */
export const stateWord = (state: SendState): string => words.value[state];
