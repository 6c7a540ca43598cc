// The waveform of a recording: as bytes in its message, and as bars on the screen. Pure.

/** How many bars a wave has. */
export const BARS = 44;

/** Reduces samples of loudness (0 to 1) to a number of bars: each is the maximum of its part. */
export function condensed(levels: readonly number[], bars = BARS): number[] {
  if (levels.length === 0) return Array.from({ length: bars }, () => 0);
  return Array.from({ length: bars }, (_, i) => {
    const from = Math.floor((i * levels.length) / bars);
    const to = Math.max(from + 1, Math.floor(((i + 1) * levels.length) / bars));
    return Math.max(...levels.slice(from, to));
  });
}

/** As it travels in a message. */
export const writeWave = (bars: readonly number[]): string => btoa(bars.map((level) => String.fromCharCode(Math.round(Math.max(0, Math.min(1, level)) * 255))).join(""));

/** The bars of a received waveform; flat if it has none. */
export function barsOf(wave: string): number[] {
  try {
    return condensed(Array.from(atob(wave), (letter) => letter.charCodeAt(0) / 255));
  } catch {
    return condensed([]);
  }
}
