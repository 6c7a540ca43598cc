// The player of a voice note. Its waveform is the seek slider, and runs from left to right in every language.

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { sentenceOf } from "../failure.ts";
import { words } from "../i18n/words.ts";
import type { FileInfo } from "../../core/index.ts";
import { Icon } from "../parts/icon.tsx";
import { useOnPress } from "./load.ts";
import { barsOf } from "./wave.ts";

const SPEEDS = [1, 1.5, 2];
const MAX_FALLBACK_MS = 86_400_000;

/** 0:18 */
export const clockOf = (seconds: number): string => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

/** The bars; those before `part` (0 to 1) are over. */
export function Wave({ bars, part }: { bars: readonly number[]; part: number }): JSX.Element {
  return (
    <span class="wave" aria-hidden="true" dir="ltr">
      {bars.map((height, i) => (
        <i key={i} class={i < part * bars.length ? "over" : ""} style={{ "--height": String(Math.max(0.08, height)) }} />
      ))}
    </span>
  );
}

/** The player. */
export function VoicePlayer({ file }: { file: FileInfo }): JSX.Element {
  const w = words.value;
  const audio = useRef<HTMLAudioElement>(null);
  const { loaded, loading, press } = useOnPress(file);
  const [playing, setPlaying] = useState(false);
  const [at, setAt] = useState(0);
  const [speed, setSpeed] = useState(0);
  const length = Math.min(file.ms ?? 0, MAX_FALLBACK_MS) / 1000;
  const rate = SPEEDS[speed] ?? 1;
  // The browser may refuse to play; the button then stays as it is.
  const play = (): void => void audio.current?.play().catch(() => undefined);
  useEffect(() => {
    if (loaded.kind === "here") play();
  }, [loaded.kind]);
  useEffect(() => {
    if (audio.current) audio.current.playbackRate = rate;
  }, [rate, loaded.kind]);
  const toggle = (event: MouseEvent): void => {
    if (loading) return;
    if (loaded.kind !== "here") press(event);
    else if (playing) audio.current?.pause();
    else play();
  };
  const name = playing ? w.pause : w.playOf(w.filesBrief.voice(1));
  const shown = Math.round(at);
  return (
    <>
      <button type="button" class="voice-play" aria-label={name} title={name} onClick={toggle}>
        <Icon name={playing ? "pause" : "play"} />
      </button>
      {loaded.kind === "failed" ? (
        <span class="voice-failed">{sentenceOf(loaded.failure)}</span>
      ) : (
        <span class="voice-wave">
          <Wave bars={barsOf(file.wave)} part={length > 0 ? at / length : 0} />
          <input
            type="range"
            dir="ltr"
            min={0}
            max={length || 1}
            step={length > 20 ? 1 : 0.5}
            value={at}
            aria-label={w.position}
            aria-valuetext={w.positionOf(shown, Math.round(length))}
            onInput={({ currentTarget }) => {
              const to = Number(currentTarget.value);
              setAt(to);
              if (audio.current) audio.current.currentTime = to;
            }}
          />
        </span>
      )}
      <span class="voice-time">{clockOf(at > 0 ? at : length)}</span>
      <button type="button" class="voice-speed" aria-label={w.speedOf(w.format.number(rate))} onClick={() => setSpeed((speed + 1) % SPEEDS.length)}>
        {`${w.format.number(rate)}×`}
      </button>
      {loaded.kind === "here" && (
        <audio
          ref={audio}
          src={loaded.url}
          onPlay={() => setPlaying(true)}
          onPause={() => setPlaying(false)}
          onEnded={() => setAt(0)}
          onTimeUpdate={({ currentTarget }) => setAt(currentTarget.ended ? 0 : currentTarget.currentTime)}
        />
      )}
    </>
  );
}
