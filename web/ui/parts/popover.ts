// Popovers in the top layer: their position beside a button, and closing them by a press elsewhere.

import type { RefObject } from "preact";
import { useEffect, useLayoutEffect } from "preact/hooks";

/** Where something opens: beside a button's box, or at a point. */
export type Anchor = { left: number; right: number; top: number; bottom: number };

/** The anchor of a pointer event. */
export const at = (event: { clientX: number; clientY: number }): Anchor => ({
  left: event.clientX,
  right: event.clientX,
  top: event.clientY,
  bottom: event.clientY,
});

/** Puts an element of the top layer beside its anchor, inside the window, without covering the anchor. */
function place(element: HTMLElement, anchor: Anchor): void {
  const { offsetWidth: width, offsetHeight: height } = element;
  const rtl = getComputedStyle(element).direction === "rtl";
  const wanted = rtl ? anchor.left : anchor.right - width;
  const left = Math.max(8, Math.min(wanted, innerWidth - width - 8));
  const below = anchor.bottom + 4;
  const top = below + height < innerHeight - 8 ? below : Math.max(8, anchor.top - height - 4);
  element.style.setProperty("--x", `${rtl ? innerWidth - left - width : left}px`);
  element.style.setProperty("--y", `${top}px`);
}

/** On a phone it is a sheet over a veil: the press that closes it does nothing else. */
function swallowClick(): void {
  if (!matchMedia("(width < 45rem)").matches) return;
  const swallow = (event: Event): void => {
    event.preventDefault();
    event.stopPropagation();
  };
  addEventListener("click", swallow, { capture: true, once: true });
  setTimeout(() => removeEventListener("click", swallow, { capture: true }), 400);
}

/**
 * Opens the element beside `anchor`, and closes it at a press elsewhere. The browser's own way (`popover=auto`) would
 * close it when the finger is lifted whose long press has opened it. A press on the button that opened it is left to
 * that button.
 */
export function usePopover(element: RefObject<HTMLElement | null>, anchor: Anchor, onClose: () => void): void {
  useLayoutEffect(() => {
    element.current?.showPopover();
    if (element.current) place(element.current, anchor);
  }, []);
  useEffect(() => {
    const press = (event: PointerEvent): void => {
      if (!(event.target instanceof Element) || element.current?.contains(event.target)) return;
      if (event.target.closest("[aria-haspopup][aria-expanded=true]")) return;
      swallowClick();
      onClose();
    };
    addEventListener("pointerdown", press, { capture: true });
    return () => removeEventListener("pointerdown", press, { capture: true });
  }, [onClose]);
}
