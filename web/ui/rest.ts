// Everything that is not needed for the first paint, as one chunk.

import { enRest } from "./i18n/en-rest.ts";
import { addWords } from "./i18n/words.ts";
import { paths } from "./parts/icon-paths-rest.ts";
import { addIcons } from "./parts/icon.tsx";

export { AccountPage } from "./account/account.tsx";
export { Alarm, RestoredLogin } from "./alarm.tsx";
export { Barrier } from "./conversation/barrier.tsx";
export { ConversationDialog, InfoDialog } from "./conversation/dialogs.tsx";
export { Details } from "./conversation/details.tsx";
export { MembersDialog } from "./group/members.tsx";
export { NewGroup } from "./group/new-group.tsx";
export { InviteDialog } from "./list/invite-dialog.tsx";
export { InvitedDialog } from "./list/invited-dialog.tsx";
export { NewConversation } from "./list/new-conversation.tsx";
export { QuestionDialog } from "./parts/question.tsx";
export { followPush } from "./push.ts";
export { EmojiPicker } from "./picker/emoji-picker.tsx";
export { Palette } from "./search/palette.tsx";
export { SearchHere } from "./search/here.tsx";
export { SearchResults } from "./search/results.tsx";
export { ShortcutsDialog } from "./search/shortcuts.tsx";
export { InvitationPage } from "./start/invitation.tsx";
export { Recover } from "./start/recover.tsx";
export { RecoverySheet } from "./start/recovery-sheet.tsx";
export { SafetyPage } from "./verify/safety.tsx";

addIcons(paths);
addWords(enRest);
