// A menu of actions: opened by a button, a right click or a long press; walked by arrows, Home, End and
// first letters; closed by Escape, Tab and a click elsewhere. On a phone it is a sheet from below.

import type { ComponentChildren, JSX } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { words } from "../i18n/words.ts";
import { IconButton } from "./button.tsx";
import { Icon } from "./icon.tsx";
import type { IconName } from "./icon-paths.ts";
import { type Anchor, usePopover } from "./popover.ts";

/** One action of a menu. */
export interface MenuItem {
  label: string;
  icon: IconName;
  /** Whether what it switches is on; left out where it switches nothing. */
  on?: boolean;
  danger?: boolean;
  run: () => void;
}

const itemsOf = (menu: HTMLElement): HTMLElement[] => [...menu.querySelectorAll<HTMLElement>("[role=menuitem]")];

function walk(event: KeyboardEvent, menu: HTMLElement): boolean {
  const all = itemsOf(menu);
  const now = all.indexOf(document.activeElement as HTMLElement);
  const to = (index: number): boolean => {
    all[(index + all.length) % all.length]?.focus();
    return true;
  };
  switch (event.key) {
    case "ArrowDown":
      return to(now + 1);
    case "ArrowUp":
      return to(now - 1);
    case "Home":
      return to(0);
    case "End":
      return to(-1);
  }
  if (event.key.length !== 1 || event.ctrlKey || event.metaKey || event.altKey || event.key === " ") return false;
  const letter = event.key.toLocaleLowerCase();
  const next = [...all.slice(now + 1), ...all.slice(0, now + 1)].find((item) =>
    (item.textContent ?? "").trim().toLocaleLowerCase().startsWith(letter),
  );
  next?.focus();
  return next !== undefined;
}

interface MenuProps {
  label: string;
  items: readonly MenuItem[];
  anchor: Anchor;
  /** What stands above the actions, as the row of emoji of a message. */
  head?: ComponentChildren;
  onClose: () => void;
}

/** An open menu. Its owner draws it as long as it is open. */
export function Menu({ label, items, anchor, head, onClose }: MenuProps): JSX.Element {
  const element = useRef<HTMLDivElement>(null);
  const opener = useRef<Element | null>(null);
  usePopover(element, anchor, onClose);
  useLayoutEffect(() => {
    opener.current = document.activeElement;
    if (element.current) itemsOf(element.current)[0]?.focus({ preventScroll: true });
  }, []);
  const close = (): void => {
    if (opener.current instanceof HTMLElement) opener.current.focus({ preventScroll: true });
    onClose();
  };
  return (
    <div
      ref={element}
      class="menu"
      popover="manual"
      onKeyDown={(event) => {
        event.stopPropagation();
        if (event.key === "Escape" || event.key === "Tab") {
          event.preventDefault();
          close();
        } else if (element.current && walk(event, element.current)) {
          event.preventDefault();
        }
      }}
    >
      {head}
      <div role="menu" aria-label={label}>
        {items.map((item) => (
          <button
            key={item.label}
            type="button"
            role="menuitem"
            tabIndex={-1}
            class={item.danger ? "menu-item danger" : "menu-item"}
            aria-description={item.on ? words.value.isOn : undefined}
            onClick={() => {
              close();
              item.run();
            }}
          >
            <Icon name={item.icon} />
            <span>{item.label}</span>
            {item.on && <Icon name="check" size={16} />}
          </button>
        ))}
      </div>
    </div>
  );
}

interface MenuButtonProps {
  label: string;
  icon: IconName;
  small?: boolean;
  items: () => readonly MenuItem[];
  head?: (close: () => void) => ComponentChildren;
}

/** A button with an icon that opens a menu. The items are made when it opens. */
export function MenuButton({ label, icon, small = false, items, head }: MenuButtonProps): JSX.Element {
  const [anchor, setAnchor] = useState<Anchor | null>(null);
  const button = useRef<HTMLButtonElement>(null);
  const close = (): void => setAnchor(null);
  return (
    <>
      <IconButton
        inner={button}
        icon={icon}
        label={label}
        small={small}
        aria-haspopup="menu"
        aria-expanded={anchor !== null}
        onClick={() => setAnchor(anchor ? null : (button.current?.getBoundingClientRect() ?? null))}
      />
      {anchor && <Menu label={label} items={items()} anchor={anchor} head={head?.(close)} onClose={close} />}
    </>
  );
}
