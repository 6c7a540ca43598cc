// A button that scans a QR code with the device's camera. Not all browsers can: elsewhere there is no button, and people compare or type
// what the code says.

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Button } from "./button.tsx";
import { canReadCodes, codeIn } from "./read-code.ts";

/** A button that takes a picture; `onText` is called with what the code in it says, empty if there is none. */
export function Scan({ label, onText }: { label: string; onText: (text: string) => void }): JSX.Element | null {
  const input = useRef<HTMLInputElement>(null);
  const [canScan, setCanScan] = useState(false);
  useEffect(() => {
    void canReadCodes().then(setCanScan);
  }, []);
  if (!canScan) return null;
  const onChange = ({ currentTarget }: { currentTarget: HTMLInputElement }): void => {
    const [file] = currentTarget.files ?? [];
    if (file) void codeIn(file).then(onText);
    // Reset, so that the next picture counts as another one.
    currentTarget.value = "";
  };
  return (
    <>
      <Button full onClick={() => input.current?.click()}>
        {label}
      </Button>
      <input ref={input} type="file" accept="image/*" capture="environment" hidden onChange={onChange} />
    </>
  );
}
