// Records a voice note, with how loud it is.

import type { ConversationId } from "../../core/index.ts";
import { client } from "../state.ts";
import { sourceOf } from "./types.ts";
import { condensed, writeWave } from "./wave.ts";

/** How often the loudness is sampled. */
export const STEP_MS = 100;
/** Loud enough for a full bar. */
const LOUD = 0.35;
const BITS_PER_SECOND = 32_000;

const types = ["audio/webm;codecs=opus", "audio/mp4", "audio/ogg;codecs=opus"];

/** A recording, running or ended. */
export interface Recording {
  levels: number[];
  /** How long it is so far. */
  ms: () => number;
  /** Ends it, unless it has ended with its microphone; returns what was recorded, also when called again. */
  stop: () => Promise<Blob>;
}

/** Asks for the microphone, and begins. */
export async function record(): Promise<Recording> {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: true, noiseSuppression: true } });
  let context: AudioContext | null = null;
  const release = (): void => {
    for (const track of stream.getTracks()) track.stop();
    void context?.close();
  };
  try {
    context = new AudioContext();
    return begin(stream, context, release);
  } catch (error) {
    release();
    throw error;
  }
}

function begin(stream: MediaStream, context: AudioContext, release: () => void): Recording {
  const analyser = context.createAnalyser();
  context.createMediaStreamSource(stream).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const levels: number[] = [];
  const mimeType = types.find((type) => MediaRecorder.isTypeSupported(type));
  const recorder = new MediaRecorder(stream, { audioBitsPerSecond: BITS_PER_SECOND, ...(mimeType && { mimeType }) });
  const parts: Blob[] = [];
  recorder.addEventListener("dataavailable", ({ data }) => parts.push(data));
  recorder.start(1000);
  const begun = performance.now();
  let length: number | null = null;
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    const loudness = Math.sqrt(samples.reduce((sum, one) => sum + one * one, 0) / samples.length);
    levels.push(Math.min(1, Math.sqrt(loudness / LOUD)));
  }, STEP_MS);
  // It also ends when the microphone is unplugged, or its permission is revoked.
  const ended = new Promise<void>((resolve) =>
    recorder.addEventListener("stop", () => {
      length = performance.now() - begun;
      clearInterval(timer);
      release();
      resolve();
    }),
  );
  const stop = async (): Promise<Blob> => {
    if (recorder.state !== "inactive") recorder.stop();
    await ended;
    return new Blob(parts, { type: recorder.mimeType.split(";")[0] ?? "" });
  };
  return { levels, ms: () => length ?? performance.now() - begun, stop };
}

/** Sends what was recorded. */
export async function send(conversation: ConversationId, blob: Blob, { levels, ms }: Recording): Promise<void> {
  const ending = { "audio/mp4": "m4a", "audio/ogg": "ogg" }[blob.type] ?? "webm";
  const name = `voice-${new Date().toISOString().slice(0, 10)}.${ending}`;
  const about = { name, mime: blob.type, w: null, h: null, ms: Math.round(ms()), thumb: "", wave: writeWave(condensed(levels)) };
  const info = await client().stage(sourceOf(blob), about);
  await client().send(conversation, { text: "", reply: null, mentions: new Map(), files: [info] });
}
