// The language in use. Components read `words.value` while rendering, so they render again when the language changes.
// English is always there, others are loaded when chosen.

import { signal } from "@preact/signals";
import type { enFiles } from "./en-files.ts";
import type { enRest } from "./en-rest.ts";
import { type Catalogue, en } from "./en.ts";

/** The languages, each by its own name. */
export const languages = { en: "English", de: "Deutsch", hu: "Magyar", ar: "العربية" } as const;
/** One of them. */
export type Language = keyof typeof languages;

// Lazily loaded parts add their texts before they use them.
const english = { ...en } as Catalogue;

/** Adds the sentences of parts that have just been loaded. */
export function addWords(more: typeof enRest | typeof enFiles): void {
  Object.assign(english, more);
}

/** The sentences of the language in use. */
export const words = signal<Catalogue>(english);
/** The language in use. */
export const language = signal<Language>("en");

const load: Record<Language, () => Promise<Catalogue>> = {
  en: async () => Promise.resolve(english),
  de: async () => (await import("./de.ts")).de,
  hu: async () => (await import("./hu.ts")).hu,
  ar: async () => (await import("./ar.ts")).ar,
};

/** The browser's first language that we have; else English. */
export function preferred(): Language {
  for (const wanted of navigator.languages) {
    const found = (Object.keys(languages) as Language[]).find((l) => wanted.toLowerCase().startsWith(l));
    if (found) return found;
  }
  return "en";
}

/** Changes the language, and with it the page's direction. */
export async function setLanguage(to: Language): Promise<void> {
  words.value = await load[to]();
  language.value = to;
  document.documentElement.lang = to;
  document.documentElement.dir = words.value.direction;
}
