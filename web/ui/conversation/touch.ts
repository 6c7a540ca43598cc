// Touch gestures on a message: a long press opens the menu, a swipe towards the line's start replies.

import { useRef } from "preact/hooks";

/** How long a long press takes. */
export const LONG_PRESS_MS = 400;
const REPLY_PX = 56;
/** Beyond this the finger scrolls. */
const SCROLL_PX = 24;

interface Handlers {
  onTouchStart: (event: TouchEvent) => void;
  onTouchMove: (event: TouchEvent) => void;
  onTouchEnd: (event: TouchEvent) => void;
  onTouchCancel: (event: TouchEvent) => void;
}

/** The handlers for an element: `onLong` gets its box, `onSwipe` is called when the finger is lifted. */
export function useTouch(onLong: (box: DOMRect) => void, onSwipe: (() => void) | null): Handlers {
  const now = useRef<{ timer: number; x: number; y: number; moved: number } | null>(null);
  const elementOf = (event: TouchEvent): HTMLElement => event.currentTarget as HTMLElement;
  const end = (element: HTMLElement): void => {
    if (now.current) clearTimeout(now.current.timer);
    now.current = null;
    element.classList.remove("swiped");
    element.style.removeProperty("--swipe");
  };
  return {
    onTouchStart: (event) => {
      const [finger] = event.touches;
      const element = elementOf(event);
      // A slider is dragged in the same direction.
      const isSlider = event.target instanceof Element && event.target.matches("input, audio, video");
      if (!finger || event.touches.length > 1 || isSlider) return end(element);
      const timer = setTimeout(() => {
        end(element);
        onLong(element.getBoundingClientRect());
      }, LONG_PRESS_MS);
      now.current = { timer, x: finger.clientX, y: finger.clientY, moved: 0 };
    },
    onTouchMove: (event) => {
      const [finger] = event.touches;
      const element = elementOf(event);
      if (!finger || !now.current) return;
      clearTimeout(now.current.timer);
      if (Math.abs(finger.clientY - now.current.y) > SCROLL_PX) return end(element);
      if (!onSwipe) return;
      const towards = getComputedStyle(element).direction === "rtl" ? 1 : -1;
      const moved = Math.max(0, Math.min(REPLY_PX, (finger.clientX - now.current.x) * towards));
      now.current.moved = moved;
      element.classList.toggle("swiped", moved > 0);
      element.style.setProperty("--swipe", `${moved * towards}px`);
    },
    onTouchEnd: (event) => {
      const far = (now.current?.moved ?? 0) >= REPLY_PX;
      end(elementOf(event));
      if (far) onSwipe?.();
    },
    onTouchCancel: (event) => end(elementOf(event)),
  };
}
