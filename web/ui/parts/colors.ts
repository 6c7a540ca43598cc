// The colours that depend on data: of a conversation, and of a person's avatar.
// Only the hue is theirs. Lightness and chroma are ours, so that text on them can be read in both themes.
// Each result has both themes, as a CSS light-dark(), so that nothing is recomputed when the theme changes.

/** How many colours are kept before all are forgotten. */
const MAX_KEPT = 10_000;

type Rgb = readonly [number, number, number];

const toLinear = (c: number): number => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
const toGamma = (c: number): number => (c <= 0.0031308 ? c * 12.92 : 1.055 * c ** (1 / 2.4) - 0.055);

/** Lightness, chroma and hue in OKLCH (Björn Ottosson's OKLab) of an sRGB colour. */
function oklch([red, green, blue]: Rgb): { chroma: number; hue: number } {
  const r = toLinear(red);
  const g = toLinear(green);
  const b = toLinear(blue);
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  const x = 1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s;
  const y = 0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s;
  return { chroma: Math.hypot(x, y), hue: Math.atan2(y, x) };
}

function rgb(lightness: number, chroma: number, hue: number): Rgb {
  const x = chroma * Math.cos(hue);
  const y = chroma * Math.sin(hue);
  const l = (lightness + 0.3963377774 * x + 0.2158037573 * y) ** 3;
  const m = (lightness - 0.1055613458 * x - 0.0638541728 * y) ** 3;
  const s = (lightness - 0.0894841775 * x - 1.291485548 * y) ** 3;
  return [
    toGamma(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s),
    toGamma(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s),
    toGamma(-0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s),
  ];
}

/** As #rrggbb; outside of sRGB the chroma is lowered until it fits. */
function hex(lightness: number, chroma: number, hue: number): string {
  let color = rgb(lightness, chroma, hue);
  for (let c = chroma; c > 0 && color.some((v) => v < -0.0005 || v > 1.0005); c -= 0.002) {
    color = rgb(lightness, c, hue);
  }
  return `#${color.map((v) => Math.round(Math.min(1, Math.max(0, v)) * 255).toString(16).padStart(2, "0")).join("")}`;
}

/** A colour in both themes. */
export interface Pair {
  light: string;
  dark: string;
}

/** What a conversation's colour becomes. */
export interface ConversationColors {
  own: Pair;
  spine: Pair;
  ground: Pair;
  letter: Pair;
}

const clamp = (value: number, low: number, high: number): number => Math.min(high, Math.max(low, value));

function computeConversation(wire: string): ConversationColors | null {
  const parts = /^#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})$/i.exec(wire);
  if (!parts) return null;
  const at = (i: number): number => Number.parseInt(parts[i] ?? "0", 16) / 255;
  const { chroma, hue } = oklch([at(1), at(2), at(3)]);
  if (chroma < 0.02) return null;
  return {
    own: {
      light: hex(0.945, Math.min(0.6 * chroma, 0.03), hue),
      dark: hex(0.3, Math.min(0.5 * chroma, 0.03), hue),
    },
    spine: { light: hex(0.56, clamp(chroma, 0.08, 0.14), hue), dark: hex(0.74, clamp(chroma, 0.08, 0.13), hue) },
    ground: { light: hex(0.87, 0.06, hue), dark: hex(0.38, 0.05, hue) },
    letter: { light: hex(0.34, 0.08, hue), dark: hex(0.92, 0.04, hue) },
  };
}

const hues = [20, 50, 75, 105, 135, 160, 185, 215, 245, 275, 305, 340];

/** Memoizes by argument: a list uses the same few again and again. */
export function memoized<T>(compute: (of: string) => T): (of: string) => T {
  const known = new Map<string, T>();
  return (of) => {
    const found = known.get(of);
    if (found !== undefined) return found;
    if (known.size >= MAX_KEPT) known.clear();
    const made = compute(of);
    known.set(of, made);
    return made;
  };
}

function computePerson(user: string): { ground: Pair; letter: Pair } {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(user)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  const hue = ((hues[hash % 12] ?? 0) * Math.PI) / 180;
  return {
    ground: { light: hex(0.89, 0.045, hue), dark: hex(0.36, 0.05, hue) },
    letter: { light: hex(0.36, 0.075, hue), dark: hex(0.92, 0.04, hue) },
  };
}

/** The shades for a colour of the wire (`#rrggbb`), or null if it has no hue or is none. */
export const colors = memoized(computeConversation);

/** Ground and letters of a person's avatar, by FNV-1a over the user's id. */
export const personColors = memoized(computePerson);

/** A pair as CSS. */
export const css = (pair: Pair): string => `light-dark(${pair.light}, ${pair.dark})`;
