// A dialog that stands over everything: the browser keeps the focus inside and gives it back to the opener.
// On a phone it is a sheet from below.

import type { ComponentChildren, JSX } from "preact";
import { useId, useLayoutEffect, useRef } from "preact/hooks";
import { words } from "../i18n/words.ts";
import { IconButton } from "./button.tsx";

interface DialogProps {
  title: string;
  /** Called when the person closes it; the owner then stops drawing it. */
  onClose: () => void;
  size?: "small" | "medium" | "wide" | "bare";
  /** `alertdialog` where a choice has to be made. */
  alert?: boolean;
  children: ComponentChildren;
}

/** A modal dialog with its title and its way out. */
export function Dialog(props: DialogProps): JSX.Element {
  const { title, onClose, size = "medium", alert, children } = props;
  const element = useRef<HTMLDialogElement>(null);
  const id = useId();
  useLayoutEffect(() => {
    const dialog = element.current;
    dialog?.showModal();
    return () => dialog?.close();
  }, []);
  return (
    <dialog
      ref={element}
      class={`dialog ${size}`}
      role={alert ? "alertdialog" : undefined}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onPointerDown={(event) => {
        if (event.target === element.current) onClose();
      }}
    >
      <div class="dialog-box">
        <div class={size === "bare" ? "unseen" : "dialog-head"}>
          <h2 id={id}>{title}</h2>
          {size !== "bare" && !alert && <IconButton icon="close" label={words.value.close} onClick={onClose} />}
        </div>
        {children}
      </div>
    </dialog>
  );
}

/** The row of buttons that ends a dialog; the primary one comes last. */
export function Actions({ children }: { children: ComponentChildren }): JSX.Element {
  return <div class="dialog-actions">{children}</div>;
}
