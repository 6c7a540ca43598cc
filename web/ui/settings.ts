// What is set for this device only. It lies in localStorage, holds no secret, and is read before the first paint.

import { effect, signal } from "@preact/signals";
import { type Language, languages, preferred, setLanguage } from "./i18n/words.ts";

/** The settings, with their defaults. */
export interface Settings {
  theme: "auto" | "light" | "dark";
  /** 85 to 150, in percent. */
  textSize: number;
  dense: boolean;
  enterSends: boolean;
  language: Language;
  notify: boolean;
  sound: boolean;
  preview: boolean;
  /** Whether the details stand open on a wide screen. */
  details: boolean;
  /** When the question about notifications was put off, in ms; twice is for ever. */
  notifyAsked: readonly number[];
}

const KEY = "parlance.settings";

const defaults = (): Settings => ({
  theme: "auto",
  textSize: 100,
  dense: false,
  enterSends: !matchMedia("(pointer: coarse)").matches,
  language: preferred(),
  notify: false,
  sound: true,
  preview: true,
  details: false,
  notifyAsked: [],
});

function read(): Settings {
  const found = defaults();
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    if (typeof stored !== "object" || stored === null) return found;
    const kept = stored as Record<string, unknown>;
    if (kept["theme"] === "light" || kept["theme"] === "dark") found.theme = kept["theme"];
    if (typeof kept["textSize"] === "number") found.textSize = Math.min(150, Math.max(85, kept["textSize"]));
    if (typeof kept["language"] === "string" && kept["language"] in languages) found.language = kept["language"] as Language;
    if (Array.isArray(kept["notifyAsked"])) found.notifyAsked = kept["notifyAsked"].filter((t) => typeof t === "number");
    for (const key of ["dense", "enterSends", "notify", "sound", "preview", "details"] as const) {
      const value = kept[key];
      if (typeof value === "boolean") found[key] = value;
    }
  } catch {
    // Storage is off, or not ours: the defaults hold.
  }
  return found;
}

/** What is set. */
export const settings = signal<Settings>(read());

/** Sets some of it, for this device and all its windows. */
export function set(change: Partial<Settings>): void {
  settings.value = { ...settings.value, ...change };
  try {
    localStorage.setItem(KEY, JSON.stringify(settings.value));
  } catch {
    // Storage is off: it holds until the reload.
  }
}

/** Keeps the page's root as the settings say; once, at the start. */
export function applySettings(): void {
  addEventListener("storage", (event) => {
    if (event.key === KEY) settings.value = read();
  });
  effect(() => {
    const { theme, textSize, dense } = settings.value;
    const root = document.documentElement;
    if (theme === "auto") root.removeAttribute("data-theme");
    else root.dataset["theme"] = theme;
    root.toggleAttribute("data-dense", dense);
    root.style.setProperty("--text-size", String(textSize / 100));
  });
  effect(() => {
    void setLanguage(settings.value.language);
  });
}
