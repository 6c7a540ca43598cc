// The code for sending, opening and playing files, as one chunk that is loaded on demand.

import { enFiles } from "../i18n/en-files.ts";
import { addWords } from "../i18n/words.ts";
import { paths } from "../parts/icon-paths-files.ts";
import { addIcons } from "../parts/icon.tsx";

export { FileRow } from "./file-row.tsx";
export { PlayRow } from "./play-row.tsx";
export { VideoPlayer } from "./video-player.tsx";
export { Lightbox } from "./lightbox.tsx";
export * as picked from "./picked.ts";
export { Picture } from "./picture.tsx";
export { Recorder } from "./recorder.tsx";
export { save } from "./save.ts";
export { Strip } from "./strip.tsx";
export { Uploading } from "./uploading.tsx";
export { VoicePlayer } from "./voice.tsx";

addIcons(paths);
addWords(enFiles);
