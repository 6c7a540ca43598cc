// Lazily loaded components: loaded when they are first rendered or, `rest.ts`, when the browser is idle after the first paint.

import { type FunctionComponent, createElement } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { FileInfo } from "../core/index.ts";

/** A part of the code that is loaded once. */
function part<Exports extends object>(load: () => Promise<Exports>) {
  let here: Exports | null = null;
  const get = async (): Promise<Exports> => (here ??= await load());
  /** A component of it; renders nothing until it is loaded. A failed load is retried with the next rendering. */
  const component = <P extends object>(of: (exports: Exports) => FunctionComponent<P>): FunctionComponent<P> => (props) => {
    const [, drawAgain] = useState(false);
    const missing = here === null; // when it was drawn: it may have come since
    useEffect(() => {
      if (missing) void get().then(() => drawAgain(true));
    });
    return here ? createElement(of(here), props) : null;
  };
  return { get, component };
}

const rest = part(() => import("./rest.ts"));
const files = part(() => import("./files/more.ts"));
const component = rest.component;

/** Loads it; once. */
export const loadRest = async (): Promise<void> => void (await rest.get());
/** Follows changes that concern push messages, once that is loaded. */
export const followPush = async (): Promise<void> => (await rest.get()).followPush();
/** The code that prepares chosen files. */
export const loadPicked = async () => (await files.get()).picked;

/** Saves files, one after the other. */
export const saveFiles = async (all: readonly FileInfo[]): Promise<void> => {
  const { save } = await files.get();
  for (const file of all) await save(file, () => undefined);
};

export const AccountPage = component((from) => from.AccountPage);
export const Alarm = component((from) => from.Alarm);
export const Barrier = component((from) => from.Barrier);
export const ConversationDialog = component((from) => from.ConversationDialog);
export const Details = component((from) => from.Details);
export const EmojiPicker = component((from) => from.EmojiPicker);
export const InfoDialog = component((from) => from.InfoDialog);
export const InvitationPage = component((from) => from.InvitationPage);
export const InviteDialog = component((from) => from.InviteDialog);
export const InvitedDialog = component((from) => from.InvitedDialog);
export const MembersDialog = component((from) => from.MembersDialog);
export const NewConversation = component((from) => from.NewConversation);
export const NewGroup = component((from) => from.NewGroup);
export const Palette = component((from) => from.Palette);
export const QuestionDialog = component((from) => from.QuestionDialog);
export const Recover = component((from) => from.Recover);
export const RecoverySheet = component((from) => from.RecoverySheet);
export const RestoredLogin = component((from) => from.RestoredLogin);
export const SafetyPage = component((from) => from.SafetyPage);
export const SearchHere = component((from) => from.SearchHere);
export const SearchResults = component((from) => from.SearchResults);
export const ShortcutsDialog = component((from) => from.ShortcutsDialog);

export const FileRow = files.component((from) => from.FileRow);
export const VideoPlayer = files.component((from) => from.VideoPlayer);
export const Lightbox = files.component((from) => from.Lightbox);
export const Picture = files.component((from) => from.Picture);
export const PlayRow = files.component((from) => from.PlayRow);
export const Recorder = files.component((from) => from.Recorder);
export const Strip = files.component((from) => from.Strip);
export const Uploading = files.component((from) => from.Uploading);
export const VoicePlayer = files.component((from) => from.VoicePlayer);
