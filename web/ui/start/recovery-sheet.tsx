// The sheet that opens the account if the password is lost: shown once, printed, saved or copied.

import type { JSX } from "preact";
import { useLayoutEffect, useMemo, useState } from "preact/hooks";
import { sentenceOf } from "../failure.ts";
import { words } from "../i18n/words.ts";
import { Button } from "../parts/button.tsx";
import { Icon, Mark } from "../parts/icon.tsx";
import { FormWrong } from "./pages.tsx";
import { Qr } from "../parts/qr-picture.tsx";
import { saveAs } from "../parts/save.ts";
import { begin } from "./session.ts";

interface Of {
  recoveryKey: string;
  name: string;
  email: string;
}

const rows = (key: string): string[][] => {
  const groups = key.replaceAll(" ", "").match(/.{1,4}/g) ?? [];
  return Array.from({ length: Math.ceil(groups.length / 4) }, (_, i) => groups.slice(4 * i, 4 * i + 4));
};

function asText({ recoveryKey, name, email }: Of): string {
  const w = words.value;
  return [
    `Parlance · ${w.sheet}`,
    w.madeOn(Date.now()),
    "",
    ...(name ? [`${w.name}: ${name}`] : []),
    `${w.email}: ${email}`,
    `${w.server}: ${location.host}`,
    "",
    `${w.recoveryKey}:`,
    ...rows(recoveryKey).map((row) => row.join("  ")),
    "",
    `1. ${w.how1}`,
    `2. ${w.how2}`,
    `3. ${w.how3}`,
    "",
    w.sheetFoot,
    "",
  ].join("\n");
}

/** The sheet itself, as it is printed. */
export function Sheet(of: Of): JSX.Element {
  const w = words.value;
  return (
    <section class="sheet" aria-label={w.sheet}>
      <header>
        <Mark size={26} />
        <h2>{w.sheet}</h2>
        <small>{w.madeOn(Date.now())}</small>
      </header>
      <dl>
        {of.name && (
          <>
            <dt>{w.name}</dt>
            <dd>
              <bdi>{of.name}</bdi>
            </dd>
          </>
        )}
        <dt>{w.email}</dt>
        <dd>
          <bdi>{of.email}</bdi>
        </dd>
        <dt>{w.server}</dt>
        <dd>
          <bdi>{location.host}</bdi>
        </dd>
      </dl>
      <div class="sheet-key">
        <div>
          <h3>{w.recoveryKey}</h3>
          <ol dir="ltr">
            {rows(of.recoveryKey).map((row) => (
              <li key={row.join()}>
                {row.map((group) => (
                  <b key={group}>{group}</b>
                ))}
              </li>
            ))}
          </ol>
        </div>
        <Qr text={`parlance-recovery:1:${of.email}:${of.recoveryKey}`} label={w.qrLabel} />
      </div>
      <h3>{w.howTo}</h3>
      <ol class="sheet-how">
        <li>{w.how1}</li>
        <li>{w.how2}</li>
        <li>{w.how3}</li>
      </ol>
      <footer>{w.sheetFoot}</footer>
    </section>
  );
}

/** The buttons that keep a sheet: print, save, copy. */
export function KeepSheet({ of, onKept }: { of: Of; onKept: () => void }): JSX.Element {
  const w = words.value;
  const [copied, setCopied] = useState(false);
  const keep = (how: () => void) => (): void => {
    how();
    onKept();
  };
  return (
    <>
      <Button kind="primary" full icon="print" onClick={keep(() => print())}>
        {w.printSheet}
      </Button>
      <div class="sheet-two">
        <Button full icon="download" onClick={keep(() => saveAs(new Blob([asText(of)], { type: "text/plain" }), "parlance-recovery-sheet.txt"))}>
          {w.saveFile}
        </Button>
        <Button
          full
          icon={copied ? "check" : "copy"}
          onClick={keep(() => {
            void navigator.clipboard.writeText(asText(of)).then(() => setCopied(true));
          })}
        >
          {copied ? w.copied : w.copy}
        </Button>
      </div>
    </>
  );
}

/** The page after an account was made or recovered. "Continue" is always there. */
export function RecoverySheet({ note, ...of }: Of & { note?: string }): JSX.Element {
  const w = words.value;
  const [kept, setKept] = useState(false);
  const [busy, setBusy] = useState(false);
  const [wrong, setWrong] = useState<string | null>(null);
  useLayoutEffect(() => document.scrollingElement?.scrollTo(0, 0), []);
  const sheet = useMemo(() => <Sheet {...of} />, [of.recoveryKey]);
  const enter = async (): Promise<void> => {
    setBusy(true);
    const begun = await begin(kept);
    setBusy(false);
    setWrong(begun.ok ? null : sentenceOf(begun.failure));
  };
  return (
    <main class="start wide sheet-page">
      <div class="start-brand">
        <Mark size={28} />
        <span>Parlance</span>
      </div>
      <div class="start-welcome sheet-side">
        <small>{w.step}</small>
        <h1>{w.recoveryTitle}</h1>
        {note && (
          <p class="note-box">
            <Icon name="info" />
            <span>{note}</span>
          </p>
        )}
        <p>{w.recoveryText}</p>
        <p>{w.recoveryKeep}</p>
        <KeepSheet of={of} onKept={() => setKept(true)} />
        <FormWrong sentence={wrong} />
        <Button kind="plain" full busy={busy} onClick={() => void enter()}>
          {w.continue}
        </Button>
        <p class="start-foot">{w.recoveryLater}</p>
      </div>
      {sheet}
    </main>
  );
}
