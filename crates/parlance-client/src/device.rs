//! A user at a station, with everything that a client of version 4 keeps there: for services and
//! bots.

mod uploads;

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    path::{Path, PathBuf},
};

use parlance_wire::{
    id::{ConversationId, MessageId, StationId, UserId},
    text::Email,
};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncRead;

use self::uploads::{Begun, Uploads};
use crate::{
    answer::{Conversation, Stored},
    e2ee::{self, FileReference, Kind, SigningKey, State, first_card, private_file},
    error::{Error, ErrorCode},
    session::{NewMessage, Reader, Received, Session, Upload},
};

/// A user at a station, who reads and writes encrypted messages. Its file has the signing key, the
/// [`State`] and the uploads that have begun; without the file, the user is a new identity to everyone.
pub struct Device {
    session: Session,
    email: Email,
    sign: SigningKey,
    state: State,
    /// The conversations that were read, as the server listed them last.
    conversations: BTreeMap<ConversationId, (Conversation, Reader)>,
    uploads: Uploads,
    file: PathBuf,
    /// Locked while the device is open: two processes must not number their messages alike.
    _lock: File,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    station: StationId,
    /// The seed of the signing key, hex.
    sign: String,
    state: State,
    /// None in files of earlier versions.
    #[serde(default)]
    uploads: Vec<Begun>,
}

impl Device {
    /// Opens the device of the user with this address, whose file is made if there is none: then
    /// the user's next card is published, too. `login` logs in at the station that it is given. If
    /// another process has it open, this waits for that one to end.
    ///
    /// ```no_run
    /// # use parlance_client::{Device, Error, Server};
    /// # async fn run(server: Server, apikey: &str) -> Result<Device, Error> {
    /// let file = "bot.json".as_ref();
    /// Device::open(file, "bot@example.org", async |station| {
    ///     server.login_service(apikey, station).await
    /// })
    /// .await
    /// # }
    /// ```
    ///
    /// # Errors
    /// As of `login` and of the key log. `Encryption`: the file is damaged, or others can read it.
    pub async fn open(
        file: &Path,
        email: &str,
        login: impl AsyncFnOnce(StationId) -> Result<Session, Error>,
    ) -> Result<Self, Error> {
        let email = Email::parse(email).ok_or(Error::Invalid("the e-mail address"))?;
        let path = file.to_owned();
        // On a blocking thread: it may wait for as long as the other process runs.
        let lock = tokio::task::spawn_blocking(move || lock(&path)).await;
        let lock = lock.map_err(std::io::Error::other).flatten();
        let lock = lock.map_err(e2ee::Error::Store)?;
        let kept: Option<Kept> = private_file::load(file)?;
        let station = kept
            .as_ref()
            .map_or_else(StationId::random, |kept| kept.station);
        let session = login(station).await?;
        // A card names its owner's address, and the server accepts no other one.
        if session.user() != UserId::of(&email) {
            return Err(Error::Invalid("the user of this key"));
        }
        let (sign, state, uploads) = match kept {
            Some(kept) => (seed(&kept.sign)?, kept.state, kept.uploads),
            None => (
                SigningKey::generate()?,
                session.begin_key_log().await?,
                vec![],
            ),
        };
        let mut device = Self {
            session,
            email,
            sign,
            state,
            conversations: BTreeMap::new(),
            uploads: Uploads::new(uploads),
            file: file.to_owned(),
            _lock: lock,
        };
        device.publish_card().await?;
        Ok(device)
    }

    /// Publishes the card of this device's key, unless that was done before.
    async fn publish_card(&mut self) -> Result<(), Error> {
        let (me, server) = (self.session.user(), self.state.log.server());
        // Its own card is pinned last, below, so that an interrupted attempt is made again. After a
        // restored backup, one from before this device may be left.
        let own = self.state.pins.cards(me).last();
        if own.is_some_and(|card| card.sign() == self.sign.public()) {
            return Ok(());
        }
        let before = self.state.log.newest(me)?;
        let pair = &self.session.identity().pair;
        let email = self.email.clone();
        let card = first_card(email, server, &self.sign, pair, before)?;
        self.state.own_cards.insert(card.card.n(), card.card.hash());
        // Before it is published: there must be no card for a key that was lost. Both signatures
        // are deterministic, so that the card of a second attempt is the same.
        self.save()?;
        self.session.publish_card(card).await?;
        self.session.meet(&mut self.state, &[me].into()).await?;
        self.save()
    }

    /// The session, for calls that need no encryption, such as those about friends. For others there is
    /// [`parts`](Self::parts).
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// For calls of the session that take the state and the signing key: about groups and their
    /// names, invitations that verify both people, or what was written before somebody joined. Also
    /// for the state alone, such as [`Pins::prove`](e2ee::Pins::prove). [`save`](Self::save) the state
    /// afterwards, whatever came of it.
    ///
    /// ```no_run
    /// # use parlance_client::{Device, Error, UserId};
    /// # async fn run(bot: &mut Device, friends: [UserId; 2]) -> Result<(), Error> {
    /// let (session, state, sign) = bot.parts();
    /// let group = session.begin_group(state, sign, &friends.into(), "News").await;
    /// bot.save()?;
    /// bot.read(group?.id).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    // No function that takes the call and saves: its futures could not be sent to another thread.
    pub fn parts(&mut self) -> (&Session, &mut State, &SigningKey) {
        (&self.session, &mut self.state, &self.sign)
    }

    /// Goes on with a server whose database was restored from an older backup
    /// ([`Session::accept_restored`]), and publishes the device's card again if it was lost. Only after
    /// the server's operator has said so ([`may_be_restored`](e2ee::Error::may_be_restored)).
    ///
    /// # Errors
    /// As for that.
    pub async fn accept_restored(&mut self) -> Result<(), Error> {
        self.session.accept_restored(&mut self.state).await?;
        // What was read may be lost.
        self.conversations.clear();
        self.save()?;
        self.publish_card().await
    }

    /// Accepts the new identity of a contact, after it was compared: nothing is sent to them
    /// before.
    ///
    /// # Errors
    /// As for [`Session::meet`].
    pub async fn accept_identity(&mut self, user: UserId) -> Result<(), Error> {
        self.session.meet(&mut self.state, &[user].into()).await?;
        if let Some(card) = self.state.pins.cards(user).last().map(e2ee::Card::hash) {
            self.state.pins.accept(user, card)?;
        }
        self.save()
    }

    /// The direct conversation with a friend, which is created if it does not exist
    /// ([`Session::direct`]).
    ///
    /// # Errors
    /// As for [`Session::direct`].
    pub async fn direct(&mut self, friend: UserId) -> Result<ConversationId, Error> {
        let (state, sign) = (&mut self.state, &self.sign);
        let conversation = self.session.direct(state, sign, friend).await;
        self.save()?;
        Ok(conversation?.id)
    }

    /// Reads what is new in a conversation, at first its newest messages ([`Session::read`]).
    ///
    /// # Errors
    /// As for that; `NotAParticipant`.
    pub async fn read(&mut self, conversation: ConversationId) -> Result<Vec<Received>, Error> {
        let listed = self.session.listed(conversation).await?;
        let (known, reader) = self
            .conversations
            .entry(conversation)
            .or_insert_with(|| (listed.clone(), Reader::new()));
        *known = listed;
        // Saved after a failure, too, so that what was verified before it is not forgotten.
        let read = self.session.read(&mut self.state, known, reader).await;
        self.save()?;
        read
    }

    /// Sends a message to a conversation that was read ([`Session::say`]). If the same call may
    /// have sent it before, [`Session::stored`] tells.
    ///
    /// # Errors
    /// As for `say`; `NotAParticipant`: it was not read.
    pub async fn say(
        &mut self,
        conversation: ConversationId,
        message: NewMessage,
    ) -> Result<Stored, Error> {
        let entry = self.conversations.get_mut(&conversation);
        let (known, reader) = entry.ok_or(Error::NotAParticipant)?;
        let files = match &message.kind {
            Kind::File { files, .. } => files.iter().map(|file| file.id).collect(),
            _ => vec![],
        };
        let (state, sign) = (&mut self.state, &self.sign);
        let said = self.session.say(state, sign, known, reader, message).await;
        // Where they are not there for this message, another one has them, or they were deleted.
        match &said {
            Err(error) if error.code() != Some(ErrorCode::FileNotFound) => {}
            _ => self.uploads.forget(&files),
        }
        // Also after a failure: a number that may be used up is not given to another message.
        self.save()?;
        said
    }

    /// The upload of a file to a conversation that was read: a new one, or, if an earlier run began one of the
    /// same content and no message of this device has it, that one. It is kept in the device's file.
    /// `sha256`: the hash of the content. Two files with the same content get an upload each.
    ///
    /// # Errors
    /// As for [`Upload::new`]; `NotAParticipant`: the conversation was not read.
    pub fn begin_upload(
        &mut self,
        conversation: ConversationId,
        (name, mime): (String, String),
        (size, sha256): (u64, [u8; 32]),
    ) -> Result<Upload, Error> {
        let entry = self.conversations.get(&conversation);
        let (known, _) = entry.ok_or(Error::NotAParticipant)?;
        let upload = Upload::new(name, mime, size)?;
        let upload = self.uploads.begin(known, sha256, upload);
        // Before a byte is sent: with the key of one that was lost, nothing would go on.
        self.save()?;
        Ok(upload)
    }

    /// Uploads a file to a conversation that was read ([`Session::send_file`]), for a message of kind
    /// [`Kind::File`].
    ///
    /// # Errors
    /// As for that; `NotAParticipant`: it was not read.
    pub async fn upload(
        &mut self,
        conversation: ConversationId,
        upload: &Upload,
        content: &mut (impl AsyncRead + Unpin),
    ) -> Result<FileReference, Error> {
        let entry = self.conversations.get(&conversation);
        let (known, _) = entry.ok_or(Error::NotAParticipant)?;
        let sent = self.session.send_file(known, upload, content).await;
        // Its content changed while it was read, so it can never be completed.
        if let Err(error) = &sent
            && error.code() == Some(ErrorCode::FileConflict)
        {
            self.uploads.forget(&[upload.id]);
            self.save()?;
        }
        sent
    }

    /// The message of this user with this id, if the server has it.
    ///
    /// # Errors
    /// As for [`Session::stored`]; `NotAParticipant`: the conversation was not read.
    pub async fn sent(&self, conversation: ConversationId, id: MessageId) -> Result<bool, Error> {
        let (known, _) = self
            .conversations
            .get(&conversation)
            .ok_or(Error::NotAParticipant)?;
        let stored = self.session.stored(known, id).await?;
        Ok(stored.is_some_and(|row| row.user == self.session.user()))
    }

    /// Writes the device's file. All calls but those by [`parts`](Self::parts) do so themselves.
    ///
    /// # Errors
    /// `Encryption`: it cannot be written.
    pub fn save(&self) -> Result<(), Error> {
        let kept = Kept {
            station: self.session.identity().station,
            sign: hex::encode(self.sign.seed()),
            state: self.state.clone(),
            uploads: self.uploads.begun().to_vec(),
        };
        Ok(private_file::save(&self.file, &kept)?)
    }
}

fn seed(text: &str) -> Result<SigningKey, e2ee::Error> {
    let mut seed = [0; 32];
    hex::decode_to_slice(text, &mut seed).map_err(|_| e2ee::Error::Malformed("the seed"))?;
    SigningKey::from_seed(&seed)
}

// A file beside it, as saving replaces the file itself.
fn lock(file: &Path) -> std::io::Result<File> {
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(file.with_extension("lock"))?;
    lock.lock()?;
    Ok(lock)
}
