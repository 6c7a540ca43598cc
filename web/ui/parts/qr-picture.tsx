// A QR code, black on white in both themes: cameras want it so.

import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { qrCode } from "./qr.ts";

/** The picture of `text`. */
export function Qr({ text, label }: { text: string; label: string }): JSX.Element {
  const { size, path } = useMemo(() => qrCode(text), [text]);
  return (
    <svg class="qr" role="img" aria-label={label} viewBox={`-4 -4 ${size + 8} ${size + 8}`} shape-rendering="crispEdges">
      <path d={path} />
    </svg>
  );
}
