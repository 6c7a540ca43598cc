// What is loaded after the first look: when it is first drawn, or when the browser has nothing else to do.

import { type FunctionComponent, createElement } from "preact";
import { useEffect, useState } from "preact/hooks";

type Rest = typeof import("./rest.ts");

let rest: Rest | null = null;

/** Loads it; once. */
export async function loadRest(): Promise<void> {
  rest ??= await import("./rest.ts");
}

/** A component of the rest; it draws nothing until it is there. */
function later<P extends object>(of: (rest: Rest) => FunctionComponent<P>): FunctionComponent<P> {
  return (props) => {
    const [, drawAgain] = useState(false);
    const missing = rest === null; // when it was drawn: it may have come since
    useEffect(() => {
      if (missing) void loadRest().then(() => drawAgain(true));
    }, []);
    return rest ? createElement(of(rest), props) : null;
  };
}

export const AccountPage = later((from) => from.AccountPage);
export const ConversationDialog = later((from) => from.ConversationDialog);
export const Details = later((from) => from.Details);
export const EmojiPicker = later((from) => from.EmojiPicker);
export const InfoDialog = later((from) => from.InfoDialog);
export const InvitationPage = later((from) => from.InvitationPage);
export const InviteDialog = later((from) => from.InviteDialog);
export const InvitedDialog = later((from) => from.InvitedDialog);
export const MembersDialog = later((from) => from.MembersDialog);
export const NewConversation = later((from) => from.NewConversation);
export const NewGroup = later((from) => from.NewGroup);
export const Palette = later((from) => from.Palette);
export const Recover = later((from) => from.Recover);
export const RecoverySheet = later((from) => from.RecoverySheet);
export const SafetyPage = later((from) => from.SafetyPage);
export const SearchHere = later((from) => from.SearchHere);
export const ShortcutsDialog = later((from) => from.ShortcutsDialog);
