// The name of this device for the user's other devices: the browser and the system, as far as a browser discloses them.

const first = (text: string, names: readonly (readonly [pattern: RegExp, name: string])[]): string =>
  names.find(([pattern]) => pattern.test(text))?.[1] ?? "";

// User agents name their ancestors as well, so the more specific ones come first.
const browsers = [
  [/\bEdgA?\//, "Edge"],
  [/\bOPR\//, "Opera"],
  [/\bSamsungBrowser\//, "Samsung Internet"],
  [/\bFirefox\/|\bFxiOS\//, "Firefox"],
  [/\b(?:Headless)?Chrome\/|\bCriOS\/|\bChromium\//, "Chrome"],
  [/\bSafari\//, "Safari"],
] as const;
const systems = [
  [/\biPhone\b/, "iPhone"],
  [/\biPad\b/, "iPad"],
  [/\bAndroid\b/, "Android"],
  [/\bWindows\b/, "Windows"],
  [/\bMac OS X\b/, "macOS"],
  [/\bCrOS\b/, "ChromeOS"],
  [/\bLinux\b/, "Linux"],
] as const;

/** "Firefox, Linux", from a user agent; empty if nothing is recognized. */
export const deviceNameOf = (userAgent: string): string =>
  [first(userAgent, browsers), first(userAgent, systems)].filter((name) => name !== "").join(", ");
