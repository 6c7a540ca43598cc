// The appearance on this device.

import type { JSX } from "preact";
import { useId } from "preact/hooks";
import { type Language, languages, words } from "../i18n/words.ts";
import { Choice, Switch } from "../parts/field.tsx";
import { set, settings } from "../settings.ts";

function TextSize(): JSX.Element {
  const w = words.value;
  const id = useId();
  return (
    <div class="setting">
      <label for={id}>{w.textSize}</label>
      <input
        id={id}
        class="slider"
        type="range"
        min={85}
        max={150}
        step={5}
        value={settings.value.textSize}
        onChange={(event) => set({ textSize: Number(event.currentTarget.value) })}
      />
    </div>
  );
}

/** "Appearance". */
export function Appearance(): JSX.Element {
  const w = words.value;
  const now = settings.value;
  const themes = [
    { value: "auto", label: w.auto, icon: "half" },
    { value: "light", label: w.light, icon: "sun" },
    { value: "dark", label: w.dark, icon: "moon" },
  ] as const;
  const all = (Object.keys(languages) as Language[]).map((value) => ({ value, label: languages[value] }));
  return (
    <>
      <p class="account-text">{w.appearanceText}</p>
      <div class="card">
        <Choice label={w.theme} value={now.theme} options={themes} onChange={(theme) => set({ theme })} />
        <TextSize />
        <Switch label={w.dense} on={now.dense} onChange={(dense) => set({ dense })} />
        <Switch label={w.enterSends} on={now.enterSends} onChange={(enterSends) => set({ enterSends })} />
        <Choice label={w.languageLabel} value={now.language} options={all} onChange={(language) => set({ language })} />
      </div>
    </>
  );
}
