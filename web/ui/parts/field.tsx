// Text fields with their label, what helps and what is wrong; passwords that can be looked at; switches and
// a choice of one.

import type { ComponentChildren, JSX, Ref } from "preact";
import { useId, useState } from "preact/hooks";
import { words } from "../i18n/words.ts";
import { IconButton } from "./button.tsx";
import { Icon } from "./icon.tsx";
import type { IconName } from "./icon-paths.ts";

/** What a field hands on to its input. */
interface Rest {
  type?: "text" | "email" | "password";
  name?: string;
  value?: string;
  maxLength?: number;
  autoComplete?: string;
  autoCapitalize?: "none" | "characters";
  autoFocus?: boolean;
  spellcheck?: boolean;
  readOnly?: boolean;
  dir?: "ltr" | "auto";
  placeholder?: string;
  onFocus?: (event: { currentTarget: HTMLInputElement }) => void;
}

interface FieldProps extends Rest {
  label: string;
  hint?: ComponentChildren;
  /** What is wrong; it is spoken, and the field is marked. */
  wrong?: string | null;
  onText?: (text: string) => void;
  inner?: Ref<HTMLInputElement>;
  /** What stands inside at the end. */
  tail?: ComponentChildren;
  mono?: boolean;
}

/** A text field. */
export function Field(props: FieldProps): JSX.Element {
  const { label, hint, wrong, onText, inner, tail, mono, ...rest } = props;
  const id = useId();
  // Preact's types are a union over `type`; to them every kind of field is one of text.
  const input = rest as Rest & { type?: "text" };
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <div class={`field-box${wrong ? " wrong" : ""}${mono ? " mono" : ""}`}>
        <input
          {...input}
          id={id}
          ref={inner ?? null}
          aria-invalid={wrong ? "true" : undefined}
          aria-describedby={wrong || hint ? `${id}-note` : undefined}
          onInput={(event) => onText?.(event.currentTarget.value)}
        />
        {tail}
      </div>
      <div id={`${id}-note`} aria-live="polite" class="field-note">
        {wrong ? (
          <p class="wrong">
            <Icon name="failed" size={16} />
            <span>{wrong}</span>
          </p>
        ) : (
          hint && <div class="hint">{hint}</div>
        )}
      </div>
    </div>
  );
}

/** A field for a password: hidden until its owner wants to see it, or visible from the start. */
export function PasswordField({ visible = false, tail, ...rest }: FieldProps & { visible?: boolean }): JSX.Element {
  const [shown, setShown] = useState(visible);
  const w = words.value;
  return (
    <Field
      {...rest}
      mono={shown}
      type={shown ? "text" : "password"}
      autoCapitalize="none"
      spellcheck={false}
      tail={
        <>
          {tail}
          <IconButton
            icon={shown ? "eyeOff" : "eye"}
            label={shown ? w.hideTyped : w.showTyped}
            onClick={() => setShown(!shown)}
          />
        </>
      }
    />
  );
}

/** A setting that is on or off. */
export function Switch(props: {
  label: string;
  on: boolean;
  hint?: string;
  disabled?: boolean;
  onChange: (on: boolean) => void;
}): JSX.Element {
  const id = useId();
  return (
    <div class="setting">
      <span id={id}>
        {props.label}
        {props.hint && <small>{props.hint}</small>}
      </span>
      <button
        type="button"
        role="switch"
        class="switch"
        aria-labelledby={id}
        aria-checked={props.on}
        disabled={props.disabled}
        onClick={() => props.onChange(!props.on)}
      />
    </div>
  );
}

/** A choice of one among a few. */
export function Choice<T extends string>(props: {
  label: string;
  value: T;
  options: readonly { value: T; label: string; icon?: IconName }[];
  onChange: (value: T) => void;
}): JSX.Element {
  const name = useId();
  return (
    <fieldset class="setting">
      <legend>{props.label}</legend>
      <div class="choice">
        {props.options.map((option) => (
          <label key={option.value}>
            <input
              type="radio"
              name={name}
              checked={option.value === props.value}
              onChange={() => props.onChange(option.value)}
            />
            {option.icon && <Icon name={option.icon} size={16} />}
            <span>{option.label}</span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}
