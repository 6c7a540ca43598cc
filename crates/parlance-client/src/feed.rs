//! The feed of all conversations: the socket, what it misses, and the order in which both are read.

use std::collections::{BTreeSet, HashMap, VecDeque};

use parlance_wire::{
    id::{ConversationId, MessageId, StationId, UserId},
    text::Instance,
};

use crate::{
    answer::{Conversation, Event, Message, Notification, Report},
    error::{Error, ErrorCode},
    history::{Appended, History},
    session::Session,
    socket::{Socket, SocketEnd},
};

/// A change that a [`Feed`] reports.
#[derive(Debug, Clone)]
// Later servers notify of more; a client that does not know it can go on.
#[non_exhaustive]
pub enum Update {
    /// A message, of anyone: also of this user's own stations.
    Message {
        /// Where it was written.
        conversation: ConversationId,
        /// Its instance, which an answer has to name.
        instance: Instance,
        /// As the server stored it: its `Data` is for [`Device`](crate::Device) to decrypt.
        message: Message,
    },
    /// A report about a message.
    Report {
        /// Where that message is.
        conversation: ConversationId,
        /// Who received or saw which message.
        report: Report,
    },
    /// A conversation was cleared: its rows are gone.
    Cleared {
        /// It goes on, with another instance.
        conversation: ConversationId,
    },
    /// The list of conversations was read again: the list, an invitation or a friendship may have
    /// changed.
    List(Vec<Conversation>),
    /// The availability of friends has changed.
    Friends(Vec<UserId>),
    /// Messages were erased; local copies should be deleted.
    Erased {
        /// In this conversation.
        conversation: ConversationId,
        /// Their ids. Only their links in the chain remain.
        messages: Vec<MessageId>,
    },
    /// The user logged in from these stations for the first time.
    NewStations(Vec<StationId>),
    /// A user is writing.
    Typing {
        /// The conversation that it is for. Nothing may come of it: the user may stop.
        conversation: ConversationId,
        /// The user who writes.
        user: UserId,
    },
}

/// All changes to a user's conversations, from the moment when it was opened.
///
/// The feed keeps a socket open, and replaces it when it ends. It downloads rows that a frame does
/// not contain, and compares the whole list if the server cannot tell what has changed (resync). So
/// nothing is missed or reported twice during the lifetime of the feed, however often the
/// connection breaks. A feed that is opened later does not report earlier changes: a client that
/// must not miss those has to keep a [`History`] for each conversation.
pub struct Feed {
    session: Session,
    socket: Option<Socket>,
    held: HashMap<ConversationId, History>,
    ready: VecDeque<Update>,
    /// Conversations that have to be downloaded. Kept until that is done, so that no error loses it.
    changed: BTreeSet<ConversationId>,
    wants_resync: bool,
    failures: u32,
}

impl Feed {
    /// Opens a feed. Existing rows are not reported.
    pub async fn open(session: Session) -> Result<Self, Error> {
        // First the socket, then the list: what comes between is in both.
        let socket = session.open_socket().await?;
        let list = session.list().await?;
        let held = list.iter().map(|one| (one.id, History::end(one))).collect();
        Ok(Self {
            session,
            socket: Some(socket),
            held,
            ready: VecDeque::new(),
            changed: BTreeSet::new(),
            wants_resync: false,
            failures: 0,
        })
    }

    /// The session that it uses.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Waits for the next change.
    ///
    /// # Errors
    /// After as many failures in a row as [`Retry`](crate::Retry) allows. Nothing is lost then: call it again.
    /// `SocketEnded`: the station has opened another socket, or was signed out, or its user is
    /// disabled. If it is called again all the same, it opens a socket in the other one's place.
    pub async fn next(&mut self) -> Result<Update, Error> {
        loop {
            // In this order: nothing is awaited while something is ready, and a resync comes before downloads, as it
            // decides which conversations there are.
            if let Some(update) = self.ready.pop_front() {
                return Ok(update);
            }
            if self.wants_resync {
                self.resync().await?;
            } else if let Some(conversation) = self.changed.first().copied() {
                self.download(conversation).await?;
            } else if let Some(socket) = &mut self.socket {
                match socket.next().await {
                    Ok(Some(notification)) => self.take(notification),
                    Ok(None) => {
                        let end = socket.end();
                        self.socket = None;
                        // Two feeds of one station would replace each other's sockets for ever.
                        if let Some(
                            end
                            @ (SocketEnd::Replaced | SocketEnd::SignedOut | SocketEnd::Disabled),
                        ) = end
                        {
                            return Err(Error::SocketEnded(end));
                        }
                    }
                    Err(error) => {
                        // The list contains the changes of that frame.
                        self.wants_resync = true;
                        return Err(error);
                    }
                }
            } else {
                self.reconnect().await?;
            }
        }
    }

    async fn reconnect(&mut self) -> Result<(), Error> {
        match self.session.open_socket().await {
            // The first frame has what the old socket did not deliver, or asks for a resync.
            Ok(socket) => {
                self.socket = Some(socket);
                self.failures = 0;
                Ok(())
            }
            Err(error) => {
                self.failures += 1;
                let retry = &self.session.server.retry;
                let Some(pause) = retry.pause(self.failures, &error, true) else {
                    // A caller that continues gets all attempts again.
                    self.failures = 0;
                    return Err(error);
                };
                tracing::debug!(failures = self.failures, ?pause, %error, "the socket is opened again");
                tokio::time::sleep(pause).await;
                Ok(())
            }
        }
    }

    fn take(&mut self, notification: Notification) {
        self.wants_resync |= notification.wants_resync();
        let mut whole = BTreeSet::new();
        let mut broken = BTreeSet::new();
        for event in notification.events {
            let conversation = event.conversationid;
            // A row of the other kind would still follow; but then a download from here brings both.
            if broken.contains(&conversation) {
                continue;
            }
            let history = self.held.get_mut(&conversation);
            match history.map(|history| history.append(&event)) {
                Some(Appended::Yes) => {
                    whole.insert(conversation);
                    self.ready.extend(rows(event));
                }
                Some(Appended::Known) => {
                    whole.insert(conversation);
                }
                Some(Appended::Gap) | None => {
                    broken.insert(conversation);
                }
            }
        }
        // Named without its rows, or with rows that do not follow what is held.
        let named = notification.conversations.into_iter();
        self.changed
            .extend(named.filter(|one| !whole.contains(one) || broken.contains(one)));
        self.changed.extend(broken);
        if !notification.friends.is_empty() {
            self.ready.push_back(Update::Friends(notification.friends));
        }
        for erased in notification.erased {
            self.ready.push_back(Update::Erased {
                conversation: erased.conversationid,
                messages: erased.messageids,
            });
        }
        if !notification.new_stations.is_empty() {
            self.ready
                .push_back(Update::NewStations(notification.new_stations));
        }
        for typing in notification.typing {
            self.ready.push_back(Update::Typing {
                conversation: typing.conversationid,
                user: typing.userid,
            });
        }
    }

    /// Resyncs: compares what is held with the list.
    async fn resync(&mut self) -> Result<(), Error> {
        let list = self.session.list().await?;
        let ids: BTreeSet<_> = list.iter().map(|one| one.id).collect();
        // The user was removed from them, or left on another device.
        self.held.retain(|id, _| ids.contains(id));
        self.changed.retain(|id| ids.contains(id));
        for one in &list {
            match self.held.get_mut(&one.id) {
                Some(history) if history.is_current(one) => {}
                Some(history) => {
                    if *history.instance() != one.instance {
                        history.restart(one.instance.clone());
                        self.ready.push_back(Update::Cleared {
                            conversation: one.id,
                        });
                    }
                    self.changed.insert(one.id);
                }
                // It was not in the list before, so all of its rows are new.
                None => {
                    self.held.insert(one.id, History::beginning(one));
                    self.changed.insert(one.id);
                }
            }
        }
        // Only now: after an error, the next call resyncs again.
        self.wants_resync = false;
        self.ready.push_back(Update::List(list));
        Ok(())
    }

    /// Downloads the next page of a conversation.
    async fn download(&mut self, conversation: ConversationId) -> Result<(), Error> {
        let Some(history) = self.held.get_mut(&conversation) else {
            // A new one: the list has its instance. If it is gone again, the list says that, too.
            self.changed.remove(&conversation);
            self.wants_resync = true;
            return Ok(());
        };
        match history.next_page(&self.session).await {
            Ok(page) => {
                let instance = history.instance().clone();
                self.ready
                    .extend(page.messages.into_iter().map(|message| Update::Message {
                        conversation,
                        instance: instance.clone(),
                        message,
                    }));
                let reports = page.reports.into_iter();
                self.ready.extend(reports.map(|report| Update::Report {
                    conversation,
                    report,
                }));
                // It stays in `changed` otherwise, so that its rows are read before the next frame of the socket.
                if !page.hasmore {
                    self.changed.remove(&conversation);
                }
                Ok(())
            }
            Err(Error::Refused(refusal)) if refusal.code == ErrorCode::StaleInstance => {
                let instance = refusal.instance.clone();
                // Still in `changed`: the rows of the new instance are downloaded next.
                history.restart(instance.ok_or(Error::Refused(refusal))?);
                self.ready.push_back(Update::Cleared { conversation });
                Ok(())
            }
            // The user does not take part in it any more.
            Err(error) if error.code() == Some(ErrorCode::ConversationNotFound) => {
                self.changed.remove(&conversation);
                self.held.remove(&conversation);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

fn rows(event: Event) -> impl Iterator<Item = Update> {
    let conversation = event.conversationid;
    let message = event.message.map(|message| Update::Message {
        conversation,
        instance: event.instance,
        message,
    });
    let report = event.report.map(|report| Update::Report {
        conversation,
        report,
    });
    message.into_iter().chain(report)
}
