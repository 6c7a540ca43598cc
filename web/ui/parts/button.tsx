// Buttons: with words, or with an icon alone, whose name is its label and its tooltip.

import type { ButtonHTMLAttributes, ComponentChildren, JSX, Ref } from "preact";
import { Icon } from "./icon.tsx";
import type { IconName } from "./icon-paths.ts";

type Rest = Omit<ButtonHTMLAttributes<HTMLButtonElement>, "icon" | "label" | "class" | "type" | "ref" | "disabled" | "children">;

interface ButtonProps extends Rest {
  kind?: "primary" | "plain" | "quiet" | "danger";
  icon?: IconName;
  /** The action is under way: the button stays where it is, and cannot be pressed again. */
  busy?: boolean;
  disabled?: boolean;
  full?: boolean;
  submit?: boolean;
  inner?: Ref<HTMLButtonElement>;
  children: ComponentChildren;
}

/** A button with words. */
export function Button(props: ButtonProps): JSX.Element {
  const { kind = "plain", icon, busy = false, disabled = false, full, submit, inner, children, ...rest } = props;
  return (
    <button
      {...rest}
      ref={inner ?? null}
      type={submit ? "submit" : "button"}
      class={`button ${kind}${full ? " full" : ""}${busy ? " busy" : ""}`}
      disabled={disabled}
      aria-disabled={busy ? "true" : undefined}
    >
      {busy ? <Icon name="refresh" size={18} /> : icon && <Icon name={icon} size={18} />}
      <span>{children}</span>
    </button>
  );
}

interface IconButtonProps extends Rest {
  icon: IconName;
  label: string;
  pressed?: boolean;
  disabled?: boolean;
  small?: boolean;
  primary?: boolean;
  submit?: boolean;
  inner?: Ref<HTMLButtonElement>;
}

/** A button that shows an icon only. */
export function IconButton(props: IconButtonProps): JSX.Element {
  const { icon, label, pressed, small, primary, submit, inner, ...rest } = props;
  return (
    <button
      {...rest}
      ref={inner ?? null}
      type={submit ? "submit" : "button"}
      class={`icon-button${small ? " small" : ""}${primary ? " primary" : ""}`}
      aria-label={label}
      title={label}
      aria-pressed={pressed}
    >
      <Icon name={icon} />
    </button>
  );
}
