//! The view of a conversation: its rows, with the edits, deletions, reactions and receipts that
//! came after them put into their places.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use parlance_wire::{
    id::{MessageId, UserId},
    time::Timestamp,
    word::ReportType,
};

use super::{Content, FileReference, Kind, Reply, WireType};

/// Characters of a quote.
// As many as a reply may carry.
const MAX_QUOTE: usize = 200;

/// The rows of a conversation's instance, in whatever order they come.
///
/// ```
/// use parlance_client::{
///     MessageId, ReportType, Timestamp, UserId,
///     e2ee::{
///         Content, Kind,
///         timeline::{Progress, Row, Standing, Timeline},
///     },
/// };
///
/// let ann = UserId::parse("11111111111111111111111111111111").unwrap();
/// let ben = UserId::parse("22222222222222222222222222222222").unwrap();
/// let text = MessageId::random();
/// let row = |seq, id, user, kind: Kind| Row {
///     seq,
///     id,
///     user,
///     at: Timestamp::now(),
///     until: None,
///     wire_type: kind.wire_type(),
///     content: Some(Content::Known(kind)),
///     standing: Standing::OneOfTwo,
///     is_signed: true,
///     has_problem: false,
/// };
///
/// let mut timeline = Timeline::new(ann);
/// let written = Kind::Text { text: "Helo".into(), reply: None, mentions: vec![] };
/// timeline.add(row(1, text, ann, written));
/// let edit = Kind::Edit { of: text, text: "Hello".into(), mentions: vec![] };
/// timeline.add(row(2, MessageId::random(), ann, edit));
/// let reaction = Kind::Reaction { of: text, emoji: "👋".into(), off: false };
/// timeline.add(row(3, MessageId::random(), ben, reaction));
/// timeline.report(ben, text, ReportType::Viewed);
///
/// let shown = timeline.entries(Timestamp::now());
/// assert_eq!(shown.len(), 1);
/// assert_eq!(shown[0].text, "Hello");
/// assert!(shown[0].is_edited);
/// assert_eq!(shown[0].reactions[0].users, [ben]);
/// assert_eq!(shown[0].progress, Some(Progress::Seen));
/// ```
#[derive(Debug, Clone)]
pub struct Timeline {
    me: UserId,
    rows: BTreeMap<i64, Row>,
    seqs: HashMap<MessageId, i64>,
    erased: BTreeSet<MessageId>,
    // By message, whose number may come later than the report.
    reports: BTreeMap<UserId, BTreeMap<MessageId, ReportType>>,
}

/// A message or an update, as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its number.
    pub seq: i64,
    /// Its id.
    pub id: MessageId,
    /// Its author.
    pub user: UserId,
    /// When it was written.
    pub at: Timestamp,
    /// When it expires.
    pub until: Option<Timestamp>,
    /// Its `Type`: an update is not shown by itself, whatever it says.
    pub wire_type: WireType,
    /// Its content; `None` if it cannot be decrypted.
    pub content: Option<Content>,
    /// What its author may do to the messages of others, by the announcement of the row's epoch: who
    /// becomes an admin later, or is one no longer, changes nothing about it.
    pub standing: Standing,
    /// Whether its author has signed it. If not, it is shown with a warning, and an update has no
    /// effect.
    pub is_signed: bool,
    /// Whether another of a reader's checks failed, for example because an earlier message is
    /// missing: it is shown with a warning, and an update counts all the same.
    pub has_problem: bool,
}

/// What somebody may do to the messages of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Delete and pin them: an admin of the group.
    Admin,
    /// Pin them: one of the two in a direct conversation.
    OneOfTwo,
    /// Nothing: a member of the group who is no admin, or nobody who takes part.
    Other,
}

/// A message as it is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its number.
    pub seq: i64,
    /// Its id.
    pub id: MessageId,
    /// Its author.
    pub user: UserId,
    /// When it was written.
    pub at: Timestamp,
    /// When it expires.
    pub until: Option<Timestamp>,
    /// The newest version of its text, or a caption. Empty if it was deleted.
    pub text: String,
    /// The users who are mentioned in it.
    pub mentions: Vec<UserId>,
    /// The attached files.
    pub files: Vec<FileReference>,
    /// The message that it replies to. If that is available, its actual author and its present text
    /// replace those in the reply.
    pub reply: Option<Reply>,
    /// Whether its text was changed.
    pub is_edited: bool,
    /// Whether it was deleted: by its writer, by an admin, or on the server.
    pub is_deleted: bool,
    /// Whether it is pinned: by an admin of the group, or by either of the two in a direct
    /// conversation.
    pub is_pinned: bool,
    /// The reactions by emoji, in the order in which the emojis were first used.
    pub reactions: Vec<Reactions>,
    /// How far it has come; `None` for the messages of others.
    pub progress: Option<Progress>,
    /// The others who have seen it, if it is the user's own.
    pub seen_by: Vec<UserId>,
    /// Why it cannot be shown as intended.
    pub trouble: Option<Trouble>,
}

/// The users who have reacted to a message with the same emoji.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reactions {
    /// The emoji.
    pub emoji: String,
    /// In the order of their first reactions.
    pub users: Vec<UserId>,
}

/// How far the user's own message has come with at least one of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Progress {
    /// The server has it.
    Sent,
    /// A station has it.
    Delivered,
    /// Somebody has seen it.
    Seen,
}

/// Why a message cannot be shown as intended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// It cannot be opened.
    Unreadable,
    /// Its kind or version is unknown to this client, and it has no `alt` text.
    NewerClient,
    /// It is not signed, or another of a reader's checks failed; it is shown all the same.
    HasProblem,
}

/// An update of a message.
#[derive(Debug, Clone, Copy)]
struct Update<'a> {
    user: UserId,
    standing: Standing,
    kind: &'a Kind,
}

/// The updates of each message, by their numbers.
type Updates<'a> = HashMap<MessageId, Vec<Update<'a>>>;

/// The numbers of the newest messages that a user has received and seen.
#[derive(Debug, Clone, Copy, Default)]
struct Reach {
    delivered: i64,
    seen: i64,
}

impl Timeline {
    /// An empty timeline, for this reader. A conversation that was cleared needs a new one.
    #[must_use]
    pub fn new(me: UserId) -> Self {
        Self {
            me,
            rows: BTreeMap::new(),
            seqs: HashMap::new(),
            erased: BTreeSet::new(),
            reports: BTreeMap::new(),
        }
    }

    /// Adds a row, or replaces it, for example once it can be decrypted.
    pub fn add(&mut self, row: Row) {
        self.seqs.insert(row.id, row.seq);
        self.rows.insert(row.seq, row);
    }

    /// Notes that a message has arrived at somebody, or was seen by them.
    pub fn report(&mut self, user: UserId, message: MessageId, r#type: ReportType) {
        let of_user = self.reports.entry(user).or_default();
        // A repeated `Delivered` must not take back that the message was seen.
        if of_user.get(&message) != Some(&ReportType::Viewed) {
            of_user.insert(message, r#type);
        }
    }

    /// Notes that a message's content was deleted on the server, for everyone.
    pub fn erase(&mut self, message: MessageId) {
        self.erased.insert(message);
    }

    /// The entries to show, oldest first, without those that have expired by `now`.
    #[must_use]
    pub fn entries(&self, now: Timestamp) -> Vec<Entry> {
        let view = Around {
            timeline: self,
            now,
            updates: self.updates(),
            reach: self.reach(),
        };
        let shown = self.rows.values().filter(|row| view.shows(row));
        shown.map(|row| view.entry(row)).collect()
    }

    fn updates(&self) -> Updates<'_> {
        let mut updates = Updates::new();
        // Anybody in the conversation may have written what is not signed. Another warning, such as
        // of an earlier message that is missing, must not undo what its author has deleted.
        for row in self.rows.values().filter(|row| row.is_signed) {
            let Some(Content::Known(kind)) = &row.content else {
                continue;
            };
            let targets = match kind {
                Kind::Delete { of } => &of[..],
                Kind::Edit { of, .. } | Kind::Reaction { of, .. } | Kind::Pin { of, .. } => {
                    std::slice::from_ref(of)
                }
                Kind::Text { .. } | Kind::File { .. } | Kind::Verify { .. } | Kind::Settings(_) => {
                    &[]
                }
            };
            for target in targets {
                updates.entry(*target).or_default().push(Update {
                    user: row.user,
                    standing: row.standing,
                    kind,
                });
            }
        }
        updates
    }

    fn reach(&self) -> BTreeMap<UserId, Reach> {
        let mut all = BTreeMap::<_, Reach>::new();
        // Without the reader's own reports: progress is what others have received and seen.
        for (user, reports) in self.reports.iter().filter(|(user, _)| **user != self.me) {
            let reach = all.entry(*user).or_default();
            for (message, r#type) in reports {
                // A report may name a message that this timeline does not have.
                let Some(seq) = self.seqs.get(message) else {
                    continue;
                };
                reach.delivered = reach.delivered.max(*seq);
                if *r#type == ReportType::Viewed {
                    reach.seen = reach.seen.max(*seq);
                }
            }
        }
        all
    }
}

/// The context in which rows are shown.
struct Around<'a> {
    timeline: &'a Timeline,
    now: Timestamp,
    updates: Updates<'a>,
    reach: BTreeMap<UserId, Reach>,
}

impl Around<'_> {
    fn shows(&self, row: &Row) -> bool {
        let is_message = match &row.content {
            // Content that this client cannot show is marked, and never dropped (docs/e2ee.md).
            None | Some(Content::Unknown { .. } | Content::Newer(_)) => true,
            Some(Content::Known(kind)) => kind.wire_type() == WireType::Message,
        };
        row.wire_type == WireType::Message && is_message && !self.has_expired(row)
    }

    fn has_expired(&self, row: &Row) -> bool {
        row.until.is_some_and(|until| until <= self.now)
    }

    fn updates(&self, row: &Row) -> &[Update<'_>] {
        self.updates.get(&row.id).map_or(&[], |updates| updates)
    }

    fn is_deleted(&self, row: &Row) -> bool {
        let may = |update: &Update<'_>| {
            let is_admin = update.standing == Standing::Admin;
            matches!(update.kind, Kind::Delete { .. })
                && update.kind.may_change(update.user, row.user, is_admin)
        };
        self.timeline.erased.contains(&row.id) || self.updates(row).iter().any(may)
    }

    /// Whether it is pinned: the newest pin counts, of those who may.
    fn is_pinned(&self, row: &Row) -> bool {
        let mut newest_first = self.updates(row).iter().rev();
        let newest = newest_first.find_map(|update| match update.kind {
            Kind::Pin { off, .. } => {
                let is_enough = update.standing != Standing::Other;
                let may = update.kind.may_change(update.user, row.user, is_enough);
                may.then_some(!off)
            }
            _ => None,
        });
        newest.unwrap_or(false)
    }

    /// The newest version of a text, with those whom it mentions, and whether it was changed.
    fn written<'b>(&'b self, row: &'b Row) -> (&'b str, &'b [UserId], bool) {
        // Updates are in the order of their numbers, and the highest one wins.
        let edits = self.updates(row).iter().rev();
        let newest = edits
            .filter(|update| update.user == row.user)
            .find_map(|update| match update.kind {
                Kind::Edit { text, mentions, .. } => Some((&text[..], &mentions[..], true)),
                _ => None,
            });
        newest.unwrap_or_else(|| match &row.content {
            Some(Content::Known(
                Kind::Text { text, mentions, .. } | Kind::File { text, mentions, .. },
            )) => (text, mentions, false),
            Some(Content::Unknown { alt: Some(alt), .. }) => (alt, &[], false),
            _ => ("", &[], false),
        })
    }

    fn entry(&self, row: &Row) -> Entry {
        let is_own = row.user == self.timeline.me;
        let shown = Entry {
            seq: row.seq,
            id: row.id,
            user: row.user,
            at: row.at,
            until: row.until,
            text: String::new(),
            mentions: vec![],
            files: vec![],
            reply: None,
            is_edited: false,
            is_deleted: true,
            is_pinned: false,
            reactions: vec![],
            progress: is_own.then(|| self.progress(row.seq)),
            seen_by: if is_own {
                self.seen_by(row.seq)
            } else {
                vec![]
            },
            trouble: None,
        };
        if self.is_deleted(row) {
            return shown;
        }
        let (text, mentions, is_edited) = self.written(row);
        Entry {
            text: text.to_owned(),
            mentions: mentions.to_vec(),
            files: files(row).to_vec(),
            reply: self.reply(row),
            is_edited,
            is_deleted: false,
            is_pinned: self.is_pinned(row),
            reactions: self.reactions(row),
            trouble: trouble(row),
            ..shown
        }
    }

    /// The reactions to a row. For each user and emoji, the newest one counts.
    fn reactions(&self, row: &Row) -> Vec<Reactions> {
        let mut all: Vec<(&str, Vec<(UserId, bool)>)> = vec![];
        for update in self.updates(row) {
            let Kind::Reaction { emoji, off, .. } = update.kind else {
                continue;
            };
            let at = all.iter().position(|(known, _)| known == emoji);
            let at = at.unwrap_or_else(|| {
                all.push((emoji, vec![]));
                all.len() - 1
            });
            let Some((_, users)) = all.get_mut(at) else {
                continue;
            };
            match users.iter_mut().find(|(user, _)| *user == update.user) {
                Some((_, is_set)) => *is_set = !off,
                None => users.push((update.user, !off)),
            }
        }
        // A user who took a reaction back stays in the list until here, and so keeps their place if
        // they react again.
        let on = |users: Vec<(UserId, bool)>| -> Vec<UserId> {
            let on = users.into_iter().filter(|(_, is_set)| *is_set);
            on.map(|(user, _)| user).collect()
        };
        let all = all.into_iter().map(|(emoji, users)| Reactions {
            emoji: emoji.to_owned(),
            users: on(users),
        });
        all.filter(|one| !one.users.is_empty()).collect()
    }

    fn reply(&self, row: &Row) -> Option<Reply> {
        let Some(Content::Known(Kind::Text { reply, .. } | Kind::File { reply, .. })) =
            &row.content
        else {
            return None;
        };
        let reply = reply.as_ref()?;
        let timeline = self.timeline;
        let target = timeline.seqs.get(&reply.id);
        let target = target.and_then(|seq| timeline.rows.get(seq));
        let Some(target) = target.filter(|target| !self.has_expired(target)) else {
            return Some(reply.clone());
        };
        // The message itself counts, and not the reply's quote of it, which may say anything.
        let names = || {
            let names = files(target).iter().map(|file| &file.name[..]);
            names.collect::<Vec<_>>().join(", ")
        };
        let words = match self.written(target) {
            _ if self.is_deleted(target) => String::new(),
            ("", ..) => names(),
            (text, ..) => text.to_owned(),
        };
        Some(Reply {
            id: reply.id,
            user: target.user,
            quote: words.chars().take(MAX_QUOTE).collect(),
        })
    }

    fn progress(&self, seq: i64) -> Progress {
        // A user who has seen a later message has seen this one.
        let of = |reach: &Reach| match reach {
            Reach { seen, .. } if *seen >= seq => Progress::Seen,
            Reach { delivered, .. } if *delivered >= seq => Progress::Delivered,
            _ => Progress::Sent,
        };
        let newest = self.reach.values().map(of).max();
        newest.unwrap_or(Progress::Sent)
    }

    fn seen_by(&self, seq: i64) -> Vec<UserId> {
        let seen = self.reach.iter().filter(|(_, reach)| reach.seen >= seq);
        seen.map(|(user, _)| *user).collect()
    }
}

fn files(row: &Row) -> &[FileReference] {
    match &row.content {
        Some(Content::Known(Kind::File { files, .. })) => files,
        _ => &[],
    }
}

fn trouble(row: &Row) -> Option<Trouble> {
    match &row.content {
        None => Some(Trouble::Unreadable),
        _ if row.has_problem || !row.is_signed => Some(Trouble::HasProblem),
        Some(Content::Newer(_) | Content::Unknown { alt: None, .. }) => Some(Trouble::NewerClient),
        Some(Content::Unknown { alt: Some(alt), .. }) if alt.is_empty() => {
            Some(Trouble::NewerClient)
        }
        Some(Content::Known(_) | Content::Unknown { .. }) => None,
    }
}
