// Long lists are drawn as far as they are scrolled.

import { useState } from "preact/hooks";

const STEP = 100;
const NEAR_PX = 400;

/** How many rows to draw, and what to do when the list is scrolled. */
export function useMore(): { most: number; onScroll: (event: Event) => void } {
  const [most, setMost] = useState(STEP);
  const onScroll = (event: Event): void => {
    const box = event.currentTarget as HTMLElement;
    if (box.scrollHeight - box.scrollTop - box.clientHeight < NEAR_PX) setMost((now) => now + STEP);
  };
  return { most, onScroll };
}
