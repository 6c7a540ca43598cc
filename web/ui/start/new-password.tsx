// A suggested password, which is visible; a password that the user types instead has to be repeated.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { words } from "../i18n/words.ts";
import { PasswordField } from "../parts/field.tsx";
import { client } from "../state.ts";

/** How hard a password is to guess: 0 is too easy, 4 is very strong. It rules out the worst, and guarantees nothing. */
export function strength(password: string): 0 | 1 | 2 | 3 | 4 {
  const classes = [/\p{Ll}/u, /\p{Lu}/u, /\d/, /[^\p{L}\d]/u].filter((c) => c.test(password)).length;
  const different = new Set(password.toLowerCase()).size;
  const bits = Math.min([...password].length, different * 1.8) * (2 + classes * 0.6);
  if ([...password].length < 10 || different < 6 || bits < 28) return 0;
  if (bits < 40) return 1;
  if (bits < 52) return 2;
  return bits < 62 ? 3 : 4;
}

/** What the fields below hold. */
export interface PasswordState {
  text: string;
  good: boolean;
  own: boolean;
  repeated: string;
  tried: boolean;
  change: (to: Partial<Pick<PasswordState, "text" | "own" | "repeated" | "tried">>) => void;
}

/** The state of a new password: a suggestion at first. */
export function usePassword(): PasswordState {
  const [state, setState] = useState(() => ({
    text: client().suggestPassword(),
    own: false,
    repeated: "",
    tried: false,
  }));
  const good = strength(state.text) > 0 && (!state.own || state.text === state.repeated);
  return { ...state, good, change: (to) => setState((before) => ({ ...before, ...to })) };
}

/** The field, how strong it is, and the repetition. */
export function NewPassword({ state, label }: { state: PasswordState; label: string }): JSX.Element {
  const w = words.value;
  const strong = strength(state.text);
  const hint = strong === 0 ? w.passwordWeak : state.own ? w.passwordStrong : w.passwordMade;
  const differs = state.repeated !== "" && state.text !== state.repeated;
  return (
    <>
      <PasswordField
        label={label}
        visible
        name="new-password"
        autoComplete="new-password"
        value={state.text}
        onText={(text) => state.change({ text, own: true })}
        wrong={state.tried && strong === 0 ? w.passwordWeak : null}
        hint={
          <>
            <span class={`strength s${strong}`} aria-hidden="true">
              <i />
              <i />
              <i />
              <i />
            </span>
            {hint}{" "}
            <button
              type="button"
              class="link"
              onClick={() => state.change({ text: client().suggestPassword(), own: false, repeated: "" })}
            >
              {w.another}
            </button>
          </>
        }
      />
      {state.own && (
        <PasswordField
          label={w.repeatPassword}
          visible
          autoComplete="new-password"
          value={state.repeated}
          onText={(repeated) => state.change({ repeated })}
          wrong={(state.tried && !state.good && strong > 0) || differs ? w.repeatWrong : null}
        />
      )}
    </>
  );
}
