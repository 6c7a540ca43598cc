// Records a voice note, with how loud it is.

import type { ConversationId } from "../../core/index.ts";
import { client } from "../state.ts";
import { condensed, writeWave } from "./wave.ts";

/** How often the loudness is taken. */
export const STEP_MS = 100;
/** Loud enough for a full bar. */
const LOUD = 0.35;
const BITS_PER_SECOND = 32_000;

const types = ["audio/webm;codecs=opus", "audio/mp4", "audio/ogg;codecs=opus"];

/** A recording that is going on. */
export interface Recording {
  levels: number[];
  begun: number;
  /** Ends it; answers what was recorded. */
  stop: () => Promise<Blob>;
}

/** Asks for the microphone, and begins. */
export async function record(): Promise<Recording> {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: true, noiseSuppression: true } });
  const mimeType = types.find((type) => MediaRecorder.isTypeSupported(type));
  const recorder = new MediaRecorder(stream, { audioBitsPerSecond: BITS_PER_SECOND, ...(mimeType && { mimeType }) });
  const parts: Blob[] = [];
  recorder.addEventListener("dataavailable", ({ data }) => parts.push(data));
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  context.createMediaStreamSource(stream).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const levels: number[] = [];
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    const loudness = Math.sqrt(samples.reduce((sum, one) => sum + one * one, 0) / samples.length);
    levels.push(Math.min(1, Math.sqrt(loudness / LOUD)));
  }, STEP_MS);
  recorder.start(1000);
  const stop = (): Promise<Blob> =>
    new Promise((resolve) => {
      clearInterval(timer);
      recorder.addEventListener("stop", () => {
        for (const track of stream.getTracks()) track.stop();
        void context.close();
        resolve(new Blob(parts, { type: recorder.mimeType.split(";")[0] ?? "" }));
      });
      recorder.stop();
    });
  return { levels, begun: performance.now(), stop };
}

/** Sends what was recorded. */
export async function send(conversation: ConversationId, blob: Blob, levels: readonly number[], ms: number): Promise<void> {
  const ending = { "audio/mp4": "m4a", "audio/ogg": "ogg" }[blob.type] ?? "webm";
  const name = `voice-${new Date().toISOString().slice(0, 10)}.${ending}`;
  const about = { name, mime: blob.type, w: null, h: null, ms, thumb: "", wave: writeWave(condensed(levels)) };
  const read = async (from: number, to: number): Promise<Uint8Array<ArrayBuffer>> => new Uint8Array(await blob.slice(from, to).arrayBuffer());
  const info = await client().stage({ size: blob.size, read }, about);
  await client().send(conversation, { text: "", reply: null, mentions: new Map(), files: [info] });
}
