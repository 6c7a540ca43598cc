// What one's other devices call this one: the browser and the system, as far as a browser says.

const first = (text: string, names: readonly (readonly [pattern: RegExp, name: string])[]): string =>
  names.find(([pattern]) => pattern.test(text))?.[1] ?? "";

// Each names its ancestors, too: the younger ones come first.
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

/** "Firefox, Linux", of what a browser says of itself; empty if it says nothing that is known. */
export const deviceNameOf = (userAgent: string): string =>
  [first(userAgent, browsers), first(userAgent, systems)].filter((name) => name !== "").join(", ");
