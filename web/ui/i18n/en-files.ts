// English: the texts that only the code for files uses (ui/files/more.ts).

import { en } from "./en.ts";

const { format: f } = en;

/** What is said of files that are chosen, sent, opened and played. */
export const enFiles = {
  discard: "Discard",
  chosen: "Chosen files",
  filesOff: "Files are turned off on this server.",
  removeUnsent: "Remove what cannot be sent first.",
  recording: "Recording",
  micBlocked: "The microphone cannot be used. Allow it in the browser's settings.",
  pause: "Pause",
  position: "Position",
  addMore: "Add more",
  removeAll: "Remove all",
  place: { removed: "Place and camera are removed", removedBut: (names: string) => `Place and camera are removed, but not from ${names}`, stays: "Place and camera stay in them", staysInSome: "Place and camera stay in some of them" },
  sendOriginals: "Send originals",
  removePlace: "Remove place and camera",
  chosenState: { preparing: "Preparing …", failed: "Cannot be read", tooLarge: "Too large", noRoom: "There is no room for it on this device.", lost: "It was not ready yet. Choose it again." },
  cancelUpload: "Cancel sending",
  filesMost: (n: number) => f.plural(n, { one: "Up to # file in one message.", other: "Up to # files in one message." }),
  filesSize: (files: string, size: string) => `${files}, ${size}`,
  removeNamed: (name: string) => `Remove ${name}`,
  saveNamed: (name: string) => `Save ${name}`,
  playOf: (name: string) => `Play: ${name}`,
  stopLoading: (name: string) => `Stop loading ${name}`,
  speedOf: (times: string) => `Speed ${times}`,
  positionOf: (at: number, all: number) => f.plural(all, { one: `${f.number(at)} of # second`, other: `${f.number(at)} of # seconds` }),
  morePictures: (n: number) => f.plural(n, { one: "and # more", other: "and # more" }),
  pictureOf: (n: number, all: number) => `${f.number(n)} of ${f.number(all)}`,
  lightbox: { before: "Picture before", after: "Next picture", larger: "Larger", smaller: "Smaller" },
  ofAll: (done: string, all: string) => `${done} of ${all}`,
  uploadLeft: (done: string, all: string, seconds: number) => f.plural(seconds, { one: `${done} of ${all} · about # s left`, other: `${done} of ${all} · about # s left` }),
  uploadWaits: (done: string, all: string) => `Waiting for the connection, ${done} of ${all}`,
  uploadSays: { start: "Sending files", half: "Half of the files is sent", end: "All files are sent" },
};
