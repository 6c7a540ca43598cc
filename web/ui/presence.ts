// Who is here, as far as it is known now: without a connection nobody's presence is shown, the user's own included.

import { computed, effect, signal } from "@preact/signals";
import type { Person } from "../core/index.ts";
import type { Dot } from "./parts/avatar.tsx";
import { connection, presence } from "./state.ts";

/** A connection that was lost for a shorter time is not noticed. */
const LOST_MS = 2_000;

/** Whether the browser says that there is no network: only a hint, as a server on the same computer needs none. */
export const noNetwork = signal(!navigator.onLine);
for (const event of ["online", "offline"]) {
  addEventListener(event, () => {
    noNetwork.value = !navigator.onLine;
  });
}

const isLive = computed(() => connection.value.kind === "live");
const wasLive = signal(false);
const look = (): void => {
  wasLive.value = isLive.value;
};
effect(() => {
  const timer = setTimeout(look, isLive.value ? 0 : LOST_MS);
  return () => clearTimeout(timer);
});

/** Whether what the server has said of people is true now. */
export const isKnown = computed(() => wasLive.value && !noNetwork.value);

/** The dot at somebody's avatar. */
export const dotOf = (person: Pick<Person, "presence"> | undefined): Dot =>
  !isKnown.value || person === undefined || person.presence === "offline" ? null : person.presence;

/** The dot at the current user's own avatar. */
export const ownDot = computed(() => (!isKnown.value || presence.value === "invisible" ? null : presence.value));
