//! The possible steps, and how they are drawn at random.

use proptest::prelude::*;

use super::{NAMES, Which, Who};

#[derive(Debug, Clone)]
pub(super) enum Step {
    Create {
        who: Who,
        with: Who,
    },
    Group {
        who: Who,
        others: Vec<Who>,
    },
    Invite {
        who: Who,
        conversation: Which,
        whom: Who,
    },
    Remove {
        who: Who,
        conversation: Which,
        whom: Who,
    },
    Leave {
        who: Who,
        conversation: Which,
    },
    Answer {
        who: Who,
        conversation: Which,
        is_yes: bool,
    },
    Invitations {
        who: Who,
    },
    /// A day passes, for users who declined.
    Day,
    Role {
        who: Who,
        conversation: Which,
        whom: Who,
        is_admin: bool,
    },
    Rename {
        who: Who,
        conversation: Which,
        name: u8,
    },
    Login {
        who: Who,
        how: Login,
    },
    Register {
        who: Who,
    },
    Say {
        who: Who,
        said: &'static str,
    },
    Befriend {
        who: Who,
        whom: Who,
    },
    Accept {
        who: Who,
        whom: Who,
    },
    Unfriend {
        who: Who,
        whom: Who,
    },
    Friends {
        who: Who,
    },
    Block {
        who: Who,
        whom: Who,
        is: bool,
    },
    Blocklist {
        who: Who,
    },
    Workspace {
        who: Who,
        name: &'static str,
    },
    Add {
        who: Who,
        conversation: Which,
        hours: i64,
        is_stale: bool,
    },
    Again {
        who: Who,
        conversation: Which,
        nth: usize,
        is_other: bool,
    },
    Read {
        who: Who,
        conversation: Which,
        messages: Start,
        reports: Start,
        is_stale: bool,
    },
    ReadBack {
        who: Who,
        conversation: Which,
        messages: Start,
        reports: Start,
        limit: Option<usize>,
        is_stale: bool,
    },
    Report {
        who: Who,
        conversation: Which,
        r#type: &'static str,
        which: Vec<usize>,
        is_stale: bool,
    },
    Transcript {
        who: Who,
        conversation: Which,
        is_stale: bool,
    },
    Clear {
        who: Who,
        conversation: Which,
        is_stale: bool,
    },
    Arrange {
        who: Who,
        conversation: Which,
        how: How,
    },
    List {
        who: Who,
    },
    Poll {
        who: Who,
    },
}

/// The kinds of login.
#[derive(Debug, Clone)]
pub(super) enum Login {
    Again,
    Elsewhere,
    WithAnotherKey,
    As(Who),
}

/// The position that a read starts from.
#[derive(Debug, Clone)]
pub(super) enum Start {
    /// No position.
    Nothing,
    /// One of all rows that ever existed.
    Row(usize),
    /// An unknown row, with a time this many hours from now.
    Gone(Option<i64>),
}

#[derive(Debug, Clone)]
pub(super) enum How {
    Favorite(bool),
    Muted(bool),
    Hide(Option<&'static str>),
    Unhide,
    Color(&'static str),
}

/// Random steps: of all kinds or, so that related ones meet more often, only about people or about
/// members of groups.
pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let all = prop_oneof![1 => among_people(), 4 => in_conversations(), 1 => in_groups()];
    prop_oneof![
        2 => prop::collection::vec(all, 1..80),
        1 => prop::collection::vec(among_people(), 1..120),
        1 => prop::collection::vec(in_groups(), 1..80),
    ]
}

fn who() -> std::ops::Range<Who> {
    0..NAMES.len()
}

fn among_people() -> BoxedStrategy<Step> {
    // Rarely a user with themselves.
    let two = || {
        (who(), prop_oneof![12 => 1..NAMES.len(), 1 => Just(0)])
            .prop_map(|(who, on)| (who, (who + on) % NAMES.len()))
    };
    let login = prop_oneof![
        2 => Just(Login::Elsewhere),
        1 => Just(Login::Again),
        1 => Just(Login::WithAnotherKey),
        1 => who().prop_map(Login::As),
    ];
    prop_oneof![
        2 => (who(), login).prop_map(|(who, how)| Step::Login { who, how }),
        1 => who().prop_map(|who| Step::Register { who }),
        2 => (who(), prop::sample::select(vec!["available", "away", "busy", "offline", "invisible"])).prop_map(|(who, said)| Step::Say { who, said }),
        4 => two().prop_map(|(who, whom)| Step::Befriend { who, whom }),
        2 => two().prop_map(|(who, whom)| Step::Accept { who, whom }),
        2 => two().prop_map(|(who, whom)| Step::Unfriend { who, whom }),
        4 => who().prop_map(|who| Step::Friends { who }),
        6 => (two(), any::<bool>()).prop_map(|((who, whom), is)| Step::Block { who, whom, is }),
        1 => who().prop_map(|who| Step::Blocklist { who }),
        1 => (who(), prop::sample::select(vec!["one.example", "two.example"])).prop_map(|(who, name)| Step::Workspace { who, name }),
        2 => two().prop_map(|(who, with)| Step::Create { who, with }),
        3 => who().prop_map(|who| Step::Poll { who }),
    ]
    .boxed()
}

fn in_groups() -> BoxedStrategy<Step> {
    let conversation = || 0..4_usize;
    let two = || (who(), 1..NAMES.len()).prop_map(|(who, on)| (who, (who + on) % NAMES.len()));
    prop_oneof![
        2 => (who(), prop::collection::vec(who(), 0..3)).prop_map(|(who, others)| Step::Group { who, others }),
        8 => (two(), conversation()).prop_map(|((who, whom), conversation)| Step::Invite { who, conversation, whom }),
        3 => (two(), conversation()).prop_map(|((who, whom), conversation)| Step::Remove { who, conversation, whom }),
        5 => (who(), conversation()).prop_map(|(who, conversation)| Step::Leave { who, conversation }),
        8 => (who(), conversation(), prop::bool::weighted(0.7)).prop_map(|(who, conversation, is_yes)| Step::Answer { who, conversation, is_yes }),
        3 => (two(), conversation(), any::<bool>()).prop_map(|((who, whom), conversation, is_admin)| Step::Role { who, conversation, whom, is_admin }),
        2 => two().prop_map(|(who, whom)| Step::Befriend { who, whom }),
        1 => two().prop_map(|(who, whom)| Step::Unfriend { who, whom }),
        3 => (two(), any::<bool>()).prop_map(|((who, whom), is)| Step::Block { who, whom, is }),
        1 => Just(Step::Day),
        4 => who().prop_map(|who| Step::Invitations { who }),
        1 => who().prop_map(|who| Step::List { who }),
        3 => who().prop_map(|who| Step::Poll { who }),
    ]
    .boxed()
}

fn in_conversations() -> BoxedStrategy<Step> {
    let conversation = || 0..4_usize;
    // Mostly the present instance, rarely an old one.
    let is_stale = || prop::bool::weighted(0.1);
    let from = || {
        prop_oneof![
            2 => Just(Start::Nothing),
            6 => (0..12_usize).prop_map(Start::Row),
            1 => prop::option::of(-30..3_i64).prop_map(Start::Gone),
        ]
    };
    let hours = prop_oneof![3 => Just(0_i64), 2 => -100..0_i64, 1 => 1..100_i64];
    let how = prop_oneof![
        any::<bool>().prop_map(How::Favorite),
        any::<bool>().prop_map(How::Muted),
        prop::option::of(Just("AAAAAAAAAA;")).prop_map(How::Hide),
        Just(How::Unhide),
        Just(How::Color("#00ff7f")),
    ];
    let ids = || prop::collection::vec(0..12_usize, 0..4);
    prop_oneof![
        2 => (who(), who()).prop_map(|(who, with)| Step::Create { who, with }),
        1 => (who(), prop::collection::vec(who(), 0..3)).prop_map(|(who, others)| Step::Group { who, others }),
        1 => (who(), conversation(), who()).prop_map(|(who, conversation, whom)| Step::Invite { who, conversation, whom }),
        1 => (who(), conversation(), who()).prop_map(|(who, conversation, whom)| Step::Remove { who, conversation, whom }),
        1 => (who(), conversation()).prop_map(|(who, conversation)| Step::Leave { who, conversation }),
        1 => (who(), conversation(), who(), any::<bool>()).prop_map(|(who, conversation, whom, is_admin)| Step::Role { who, conversation, whom, is_admin }),
        1 => (who(), conversation(), any::<u8>()).prop_map(|(who, conversation, name)| Step::Rename { who, conversation, name }),
        10 => (who(), conversation(), hours, is_stale()).prop_map(|(who, conversation, hours, is_stale)| Step::Add { who, conversation, hours, is_stale }),
        4 => (who(), conversation(), 0..12_usize, prop::bool::weighted(0.3)).prop_map(|(who, conversation, nth, is_other)| Step::Again { who, conversation, nth, is_other }),
        6 => (who(), conversation(), from(), from(), is_stale())
            .prop_map(|(who, conversation, messages, reports, is_stale)| Step::Read { who, conversation, messages, reports, is_stale }),
        4 => (who(), conversation(), from(), from(), prop::option::of(1..4_usize), is_stale())
            .prop_map(|(who, conversation, messages, reports, limit, is_stale)| Step::ReadBack { who, conversation, messages, reports, limit, is_stale }),
        4 => (who(), conversation(), prop_oneof![Just("delivered"), Just("viewed")], ids(), is_stale())
            .prop_map(|(who, conversation, r#type, which, is_stale)| Step::Report { who, conversation, r#type, which, is_stale }),
        1 => (who(), conversation(), is_stale()).prop_map(|(who, conversation, is_stale)| Step::Transcript { who, conversation, is_stale }),
        1 => (who(), conversation(), is_stale()).prop_map(|(who, conversation, is_stale)| Step::Clear { who, conversation, is_stale }),
        3 => (who(), conversation(), how).prop_map(|(who, conversation, how)| Step::Arrange { who, conversation, how }),
        2 => who().prop_map(|who| Step::List { who }),
        4 => who().prop_map(|who| Step::Poll { who }),
    ]
    .boxed()
}
