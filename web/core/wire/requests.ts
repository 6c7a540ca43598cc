// Made by types.mjs from requests.json: not to be edited.

/** The signatures over a card. */
export type CardSignatures = {
  /** The signature by the previous card's key. Empty if there is no such card, or the key was lost. */
  prev: string;
  /** The signature by the card's RSA key. */
  rsa: string;
  /** The signature by the card's signing key. */
  sign: string;
};

/** The fields of `changekeys`. */
export type ChangeKeys = {
  /** The card that names the new key; absent if the user has no card. */
  card?: SignedCard | null | undefined;
  /** The new key's signature over [`proof_text`], which proves that its owner sends this. Base64. */
  proof: string;
  /** The new key, which the user's signatures are verified with. */
  publickey: string;
  /** The vault that holds the new key. */
  rsakey: string;
  /** Its version, greater than the present one. */
  version: number;
};

/** The fields of `changepassword`. */
export type ChangePassword = {
  /** The user's new login key. */
  apikey: string;
  /** The account's first or next card, stored in the same commit. Accounts of the published form have none. */
  card?: SignedCard | null | undefined;
  /** How it is derived from the password; absent for the published way. */
  kdf?: Kdf | undefined;
  /** A new recovery key, stored in the same commit, so that the old one does not work any more after a recovery. */
  recoverykey?: string | null | undefined;
  /** The vault that the new password opens. */
  rsakey: string;
  /** Whether to end all other stations, too. */
  signout?: boolean | undefined;
  /** Its version, greater than the present one. */
  version: number;
};

/** The fields of `changerecovery`. */
export type ChangeRecovery = {
  /** The key for logging in after the password was lost. */
  recoverykey: string;
  /** The vault that the new recovery key opens. */
  rsakey: string;
  /** Its version, greater than the present one. */
  version: number;
};

/** How the password of an account is turned into its keys (docs/e2ee.md, Vault). */
export type Kdf = {
  kdf: "argon2id";
  /** Memory, in KiB. */
  m: number;
  /** Parts of the memory that can be filled at the same time. */
  p: number;
  /** The salt, different for each account, so that equal passwords give different keys. */
  salt: string;
  /** Passes over the memory. */
  t: number;
} | {
  kdf: "pbkdf2-sha256";
};

/** One to [`MAX_RECORDS`] whole records, which follow each other. */
export type Put = {
  /** The caller's own file, whose upload has begun. */
  fileid: string;
  /** The length of the body in bytes. */
  length: number;
  /** The number of the first record, from 0. */
  record: number;
  /** The hash of the body. */
  sha256: string;
};

/** The fields of `register`. */
export type Register = {
  /** The key that the user will log in with. */
  apikey: string;
  /** The user's first card. For v4 clients. */
  card?: SignedCard | null | undefined;
  /** The address, from which the user's id is derived. */
  email: string;
  /** The user's full name. */
  fullname: string;
  /** An invitation's code, if the operator requires one. */
  invite?: string | null | undefined;
  /** How the apikey is derived from the password; absent for the published way. For v4 clients. */
  kdf?: Kdf | undefined;
  /** The short name that others see. */
  nick: string;
  /** The key that verifies the user's signatures. */
  publickey: string;
  /** The key for logging in after the password was lost. For v4 clients. */
  recoverykey?: string | null | undefined;
  /** The private key, encrypted under the user's password. */
  rsakey: string;
};

/** The fields of `rekey`: the next epoch of a conversation. */
export type Rekey = {
  /** Users who join the group in the same step: all of them, or nothing is done. */
  addparticipants?: readonly string[] | undefined;
  /** The epoch's announcement, signed by the caller. */
  announcement: string;
  /** The conversation whose next epoch begins. */
  conversationid: string;
  /** The name, encrypted with the new secret, for some or all of them. */
  displaynames?: Readonly<Record<string, string>> | undefined;
  /** The number of the new epoch. */
  epoch: number;
  /** Its instance, according to the caller. */
  instance: string;
  /** Users who leave the group in the same step, without the caller. */
  removeparticipants?: readonly string[] | undefined;
  /** The new secret, wrapped for exactly the participants of the epoch. */
  secrets: Readonly<Record<string, string>>;
  /** The signature by the caller's signing key. */
  signature: string;
};

/** The messages of a report. */
export type Report = {
  /** The conversation of the messages. */
  conversationid: string;
  /** Published, and checked for its form; the ids are sufficient. */
  firstmessagedate?: string | null | undefined;
  /** Its instance, as the caller knows it. */
  instance: string;
  /** See `firstmessagedate`. */
  lastmessagedate?: string | null | undefined;
  /** The messages, at most [`MAX_MESSAGE_IDS`]. */
  messageids: readonly string[];
};

/** The role of a participant in a group. */
export type Role = "admin" | "member";

/** A message as a client sends it. */
export type SentMessage = {
  /** When it was written, by the sender's clock. */
  Created: string;
  /** Its content, encrypted by the sender's client. */
  Data: string;
  /** Chosen by the sender: the idempotency key within the conversation. */
  ID: string;
  /** Its type. The server does not interpret it. */
  Type: string;
  /** When it expires; set by the server if it is not given. */
  ValidUntil?: string | null | undefined;
};

/** The fields of `shareepochs`, which gives a participant the secrets of epochs that they do not have. */
export type ShareEpochs = {
  /** The conversation of the epochs. */
  conversationid: string;
  /** The secrets, wrapped for them, by epoch. */
  secrets: Readonly<Record<string, string>>;
  /** The participant who gets the secrets. */
  userid: string;
};

/** A card with its signatures, as it is published. */
export type SignedCard = {
  /** The card that was signed. */
  card: string;
  /** The signatures over it. */
  signatures: CardSignatures;
};

/** The fields of each action of each API, as the server reads them. */
export interface Requests {
  chatavailability: {
    /** Page "Availability". */
    useravailable: Record<string, never>;
    /** An extension: shows the user as away. */
    useraway: Record<string, never>;
    /** An extension: shows the user as busy. */
    userbusy: Record<string, never>;
    /** Ours: offline until the next socket is opened. */
    useroffline: Record<string, never>;
    /** Ours: offline for others, until something else is chosen. */
    userinvisible: Record<string, never>;
  };
  chatblocklist: {
    /** Page "Blocklist". */
    blocklist: Record<string, never>;
    /** Ours: blocks a user. */
    block: {
      /** The user to block. */
      userid: string;
    };
    /** Ours: unblocks a user. */
    unblock: {
      /** The user to unblock. */
      userid: string;
    };
  };
  chatconversation: {
    /** Page "Conversation / List": all of the caller's, including hidden ones, newest first. */
    list: {
      /** Ours: the conversation after which the page begins, for a v4 client. */
      after?: string | null | undefined;
      /** Ours: the list that a v4 client has. The answer contains the changes to it. */
      known?: string | null | undefined;
      /** Ours: the maximum number of conversations, for a v4 client. */
      limit?: number | undefined;
    };
    /** Page "Conversation / Partial download": the newest rows before the cursor. */
    downloadpartial: {
      /** The conversation to read. */
      conversationid: string;
      /** Its instance, according to the caller. */
      instance: string;
      /** The time of the oldest message that the caller holds, in case it is gone. */
      lastmessagedate?: string | null | undefined;
      /** The oldest message that the caller holds. */
      lastmessageid?: string | null | undefined;
      /** The time of the oldest report that the caller holds, in case it is gone. */
      lastreportdate?: string | null | undefined;
      /** The oldest report that the caller holds. */
      lastreportid?: string | null | undefined;
      /** The maximum number of rows of each kind. */
      limit?: number | undefined;
    };
    /** Page "Conversation / Add": stores a message. */
    add: {
      /** The conversation to add to. */
      conversationid: string;
      /** Ours: the epoch whose secret it is encrypted with, of a v4 client. */
      epoch?: number | null | undefined;
      /** Ours: the caller's files that go with it, of a v4 client; at most [`file::MAX_FILES`]. */
      files?: readonly string[] | undefined;
      /** Its instance, as the caller knows it. */
      instance: string;
      /** The message, with its id. */
      message: SentMessage;
    };
    /** Ours, for v4 clients: deletes the content of messages. Their links in the chain remain. */
    erase: {
      /** The conversation of the messages. */
      conversationid: string;
      /** Its instance, as the caller knows it. */
      instance: string;
      /** The messages: at most [`MAX_ERASED`]. The caller's own, or anyone's if the caller is an admin of the group. */
      messageids: readonly string[];
    };
    /** Page "Conversation / Clear": begins a new instance for everyone. */
    clear: {
      /** The conversation to clear. */
      conversationid: string;
      /** Its instance, as the caller knows it. */
      instance: string;
    };
    /** Page "Conversation / Favorite". */
    favorite: {
      /** The conversation. */
      conversationid: string;
    };
    /** Page "Conversation / Unfavorite". */
    unfavorite: {
      /** The conversation. */
      conversationid: string;
    };
    /** Page "Conversation / Change Color". */
    setlistitembackgroundcolor: {
      /** The new color of the conversation's line. */
      color: string;
      /** The conversation to color. */
      conversationid: string;
    };
    /** Page "Conversation / Download": from the cursor on, including its row. */
    download: {
      /** The conversation to read. */
      conversationid: string;
      /** The time of the newest message that the caller holds, in case it is gone. */
      firstmessagedate?: string | null | undefined;
      /** The newest message that the caller holds. */
      firstmessageid?: string | null | undefined;
      /** The time of the newest report that the caller holds, in case it is gone. */
      firstreportdate?: string | null | undefined;
      /** The newest report that the caller holds. */
      firstreportid?: string | null | undefined;
      /** Its instance, as the caller knows it. */
      instance: string;
    };
    /** Page "Conversation / Mute". */
    mute: {
      /** The conversation. */
      conversationid: string;
    };
    /** Page "Conversation / Unmute". */
    unmute: {
      /** The conversation. */
      conversationid: string;
    };
    /** Page "Conversation / Hide": until the instance changes or, without `hideid`, for good. */
    hide: {
      /** The conversation. */
      conversationid: string;
      /** The instances hidden, each followed by `;`. */
      hideid?: string | null | undefined;
    };
    /** Page "Conversation / Unhide": undoes both. */
    unhide: {
      /** The conversation. */
      conversationid: string;
    };
    /** Ours: the data with which a client verifies the chain of all messages (docs/transcript.md). */
    transcript: {
      /** The `seq` of the message after which the page begins. */
      afterseq?: number | undefined;
      /** The conversation. */
      conversationid: string;
      /** Its instance, as the caller knows it. */
      instance: string;
      /** The maximum number of links. */
      limit?: number | undefined;
    };
    /** Ours: the direct conversation with a friend. */
    create: {
      /** A v4 client's announcement of the first epoch. */
      announcement?: string | null | undefined;
      /** The conversation's name, encrypted for each of the two. */
      displaynames?: Readonly<Record<string, string>> | undefined;
      /** The other participant. */
      participantid: string;
      /** The conversation's secret, wrapped for each of the two. */
      secrets?: Readonly<Record<string, string>> | undefined;
      /** The caller's signature over the announcement. */
      signature?: string | null | undefined;
    };
    /** Ours: the next epoch, with a new secret; in a group also with other participants. */
    rekey: Rekey;
    /** Ours: gives old secrets to a participant. */
    shareepochs: ShareEpochs;
    /** Ours: the epochs, newest first. */
    epochs: {
      /** Only those before this one. */
      before?: number | null | undefined;
      /** The conversation. */
      conversationid: string;
      /** The maximum number of epochs. */
      limit?: number | undefined;
    };
  };
  chatconversationgroup: {
    /** Creates a group. The caller becomes its admin; friends are added, others invited. */
    create: {
      /** A v4 client's announcement of the first epoch, which also has the group's id. */
      announcement?: string | null | undefined;
      /** Its name, for participants who have none of their own. */
      displayname: string;
      /** Its name, encrypted for some participants. */
      displaynames?: Readonly<Record<string, string>> | undefined;
      /** The other participants. */
      participantids: readonly string[];
      /** Its secret, wrapped for each participant including the caller. */
      secrets: Readonly<Record<string, string>>;
      /** The caller's signature over the announcement. */
      signature?: string | null | undefined;
    };
    /** Renames the group for some or all participants. */
    rename: {
      /** The group to rename. */
      conversationid: string;
      /** The names, encrypted for each. */
      displaynames: Readonly<Record<string, string>>;
    };
    /** Adds participants: friends are added, others invited. */
    addparticipants: {
      /** The group that they join, or are invited to. */
      conversationid: string;
      /** The name, encrypted for each of them. */
      displaynames?: Readonly<Record<string, string>> | undefined;
      /** The users to add. Existing participants stay as they are. */
      participantids: readonly string[];
      /** The secret, wrapped for each of them. */
      secrets: Readonly<Record<string, string>>;
    };
    /** Removes participants, who no longer see the conversation, and withdraws invitations. */
    removeparticipants: {
      /** The group that they are removed from. */
      conversationid: string;
      /** The users to remove, without the caller. */
      participantids: readonly string[];
    };
    /** The caller leaves. */
    leave: {
      /** The group that the caller leaves. */
      conversationid: string;
    };
    /** Lists the groups that the caller is invited to. */
    invitations: Record<string, never>;
    /** Accepts the caller's invitation. */
    accept: {
      /** The group that the caller joins. */
      conversationid: string;
    };
    /** Declines the caller's invitation. */
    decline: {
      /** The group of the invitation. */
      conversationid: string;
    };
    /** Changes a participant's role. */
    setrole: {
      /** The group. */
      conversationid: string;
      /** The participant. */
      participantid: string;
      /** Their new role. */
      role: Role;
    };
  };
  chatfileserver: {
    /** Begins an upload. Repeating it returns which records the server has. */
    create: {
      /** The conversation whose participants may read the file. */
      conversationid: string;
      /** The file's id, chosen by the caller. Repeating it refers to the same upload. */
      fileid: string;
      /** Its instance, as the caller knows it. */
      instance: string;
      /** Its size in bytes, as it is stored: encrypted. */
      size: number;
      /** When its message will expire. Until it has a message, it is deleted by then, or after a day. */
      validuntil?: string | null | undefined;
    };
    /** Stores records. They are the body; this object is in the header `Ozeki-Request`. */
    put: Put;
    /** Returns which records of an upload the server has. */
    status: {
      /** The caller's own file. */
      fileid: string;
    };
    /** Ends an upload: from then on the file can be read, and does not change any more. */
    complete: {
      /** The digest of all its records. */
      digest: string;
      /** The caller's own file. */
      fileid: string;
    };
    /** Deletes a file, also one that belongs to a message. */
    delete: {
      /** The caller's own file, or, for an admin of a group, anyone's. */
      fileid: string;
    };
    /** Reads a file: a GET request, with this object in the header `Ozeki-Request`. */
    get: {
      /** Any file that the caller may read. */
      fileid: string;
    };
  };
  chatfriends: {
    /** Page "Friends / List". */
    list: Record<string, never>;
    /** Ours: requests a friendship, or accepts such a request. Takes an id or an address. */
    add: {
      /** The user's e-mail address. */
      email?: string | null | undefined;
      /** The user's id. */
      friendid?: string | null | undefined;
    };
    /** Ours: accepts a request. */
    accept: {
      /** The user who sent the request. */
      friendid: string;
    };
    /** Ours: ends a friendship, declines a request, or withdraws one. */
    remove: {
      /** The friend, or the other user of the request. */
      friendid: string;
    };
  };
  chatkeys: {
    /** Publishes the caller's next card. */
    publish: SignedCard;
    /** Gets the cards of users. */
    get: {
      /** The number of the newest card that the caller has of some of them; only later ones are returned. */
      after?: Readonly<Record<string, number>> | undefined;
      /** The users whose cards to return. */
      userids: readonly string[];
    };
    /** Gets a part of the key log. */
    log: {
      /** Number of entries that the caller has already. */
      after?: number | undefined;
    };
  };
  chatlogin: {
    /** Page "Login": logs a user in and binds the station to them. */
    login: {
      /** The user's apikey. */
      apikey: string;
      /** Ours, for v4 clients: the user's name for the station. */
      stationname?: string | null | undefined;
    };
    /** Ours, for v4 clients: returns how the password of the user with this address is turned into a key. */
    prelogin: {
      /** The address, which need not belong to a user. */
      email: string;
    };
    /** Ours: registers a new user, if the operator allows registration. */
    register: Register;
    /** Creates an invitation to register. Those who use it become friends of the caller. */
    invite: {
      /** The only address that may register with it. */
      email?: string | null | undefined;
      /** When it expires; a week from now by default. */
      expires?: string | null | undefined;
      /** How many people may register with it; 1 if it is not given. */
      uses?: number | undefined;
    };
    /** Lists the caller's newest invitations. */
    invites: Record<string, never>;
    /** Revokes an invitation of the caller's. */
    revokeinvite: {
      /** Its id, not its code. */
      inviteid: string;
    };
    /** Changes the user's names. A name that is not given stays. */
    profile: {
      /** Their full name. */
      fullname?: string | null | undefined;
      /** The short name that others see. */
      nick?: string | null | undefined;
    };
    /** Returns all data of the user in one answer. */
    export: Record<string, never>;
    /** Deletes the user's account, for good. */
    delete: {
      /** One of the user's apikeys, so that an unattended station is not sufficient. */
      apikey: string;
    };
    /** Lists the user's stations. */
    stations: Record<string, never>;
    /** Ends a station, or all but the caller's. Exactly one of the two fields has to be given. */
    signout: {
      /** Ends all stations but the caller's. */
      others?: boolean | undefined;
      /** The station, which may be the caller's own. */
      stationid?: string | null | undefined;
    };
    /** Returns the server's key for pushes, and this station's push endpoint. */
    push: Record<string, never>;
    /** Starts Web Push to this station, for messages that arrive while it has no socket open. */
    enablepush: {
      /** The URL at which the station's push service accepts pushes for it. */
      endpoint: string;
    };
    /** Stops Web Push to this station. */
    disablepush: Record<string, never>;
    /** Tells the server that the station was woken and is about to fetch. Later messages cause a push again. */
    ackpush: Record<string, never>;
    /** Lists the credentials that open the user's login, without their secrets. */
    keys: Record<string, never>;
    /** Deletes an apikey, and ends the stations that logged in with it. */
    revoke: {
      /** The credential's id, from `keys`. */
      keyid: string;
    };
    /** Returns the present vault, and how the password that opens it is hashed. */
    vault: Record<string, never>;
    /** Replaces the vault alone. */
    changevault: {
      /** The new vault. */
      rsakey: string;
      /** Its version, greater than the present one. */
      version: number;
    };
    /** Replaces the password's credential, and the vault that it opens. */
    changepassword: ChangePassword;
    /** Replaces the recovery key's credential, and the vault that it opens. */
    changerecovery: ChangeRecovery;
    /** Replaces the key pair, and the vault that holds it. Ends all other stations, which hold the old pair. */
    changekeys: ChangeKeys;
  };
  chatnotification: {
    /** Page "Notification": takes the station's pending notifications. */
    download: {
      /** The receipt of the newest answer that the station has; of a v4 client. */
      received?: string | null | undefined;
    };
  };
  chatreports: {
    /** Page "Report": the caller saw messages. */
    viewed: Report;
    /** Ours: messages reached the caller's station. */
    delivered: Report;
  };
  workspace: {
    /** Page "Workspace - register". Idempotent for its owner, refused to anyone else. */
    workspaceregister: {
      /** The host name. */
      workspacename: string;
    };
  };
}
