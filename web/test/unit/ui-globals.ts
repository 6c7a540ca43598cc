// What the screens' pure parts read of a browser while they are imported. Import it first.

Object.defineProperty(globalThis, "navigator", { value: { languages: ["en-GB"] }, configurable: true });
Object.defineProperty(globalThis, "location", { value: { hash: "" }, configurable: true });
