//! Epochs, their secrets, and who takes part.

use std::collections::BTreeSet;

use parlance_client::{
    ConversationId, Reader, UserId,
    e2ee::{Announcement, EpochSecret, Epochs, MemberKey, Members, SigningKey},
};
use parlance_wire::{
    e2ee::{Changes, RsaKeyHash, roster},
    key::PublicKey,
};

use super::{Case, Does, Knows, Story, bytes, case, group};
use crate::encrypted::person::Person;

impl Story {
    fn epochs(&self) -> &Epochs {
        &self.ben.state.epochs[&self.group()]
    }

    /// A fourth epoch that changes nothing but its secret, but for what is edited.
    fn fourth(&self, by: UserId, edit: impl FnOnce(&mut Changes)) -> Announcement {
        let newest = self.epochs().newest();
        newest.next(self.changes(by, edit)).unwrap()
    }

    fn changes(&self, by: UserId, edit: impl FnOnce(&mut Changes)) -> Changes {
        let mut changes = Changes {
            roster: roster(self.epochs().members()),
            admins: self.epochs().newest().admins().clone(),
            added: BTreeSet::new(),
            removed: BTreeSet::new(),
            commit: self.channel.secret.commitment(),
            by,
            head: self.epochs().newest().head(),
        };
        edit(&mut changes);
        changes
    }

    fn roster_with(&self, user: UserId, key: MemberKey) -> Members {
        let mut members = self.epochs().members().clone();
        members.insert(user, key);
        members
    }

    /// Begins an epoch by statements.
    fn begins(&self, announcement: &Announcement, key: &SigningKey) -> String {
        let number = announcement.epoch().get();
        let signature = key.sign(&announcement.signed_text()).unwrap();
        let (id, text) = (self.group(), announcement.text());
        let signature = bytes(signature.as_ref());
        format!(
            "delete from epochs where conversation_id = '{id}' and epoch >= {number};
            insert into epochs select conversation_id, {number}, '{text}', {signature}, members, from_seq, announced_at
            from epochs where conversation_id = '{id}' and epoch = 1;
            delete from epoch_secrets where conversation_id = '{id}' and epoch >= {number};
            insert into epoch_secrets select conversation_id, {number}, user_id, secret
            from saved.epoch_secrets where conversation_id = '{id}' and epoch = 3;
            update conversations set epoch = {number} where conversation_id = '{id}'"
        )
    }

    fn sets_secret(&self, of: &Person, secret: &EpochSecret) -> String {
        let key = PublicKey::parse(of.session.identity().pair.public_key()).unwrap();
        let secret = secret.wrap(&key).unwrap();
        let secret = secret.as_str();
        format!(
            "update epoch_secrets set secret = '{secret}' where epoch = 3 and user_id = '{}'",
            self.ben.user()
        )
    }

    fn adds_ghost(&self) -> String {
        format!(
            "insert into participants (conversation_id, user_id, secret, display_name, role, joined_at)
            select conversation_id, '{}', secret, display_name, role, joined_at from participants where user_id = '{}'",
            self.eve.user(),
            self.cleo.user()
        )
    }
}

fn secrets(story: &Story) -> Vec<Case> {
    let other = EpochSecret::generate().unwrap();
    let own = story.sets_secret(&story.ben, &other);
    vec![
        case(
            "a secret of the server's own",
            Knows::All,
            Does::Follow,
            "WrongSecret",
            own.as_str(),
        ),
        case(
            "a secret of the server's own, to a new device",
            Knows::Nothing,
            Does::Follow,
            "WrongSecret",
            own,
        ),
        case(
            "the secret that was wrapped for somebody else",
            Knows::All,
            Does::Follow,
            "WrongSecret",
            story.sets_secret(&story.ann, &story.channel.secret),
        ),
        case(
            "the secret of an epoch before",
            Knows::All,
            Does::Follow,
            "WrongSecret",
            format!(
                "update epoch_secrets s set secret = o.secret from epoch_secrets o
                where s.epoch = 3 and o.epoch = 1 and s.user_id = '{user}' and o.user_id = '{user}'",
                user = story.ben.user()
            ),
        ),
        case(
            "no secret",
            Knows::All,
            Does::Follow,
            "WrongSecret",
            format!(
                "delete from epoch_secrets where user_id = '{}'",
                story.ben.user()
            ),
        ),
        case(
            "a secret of the server's own for what was said before",
            Knows::All,
            Does::Read,
            "WrongSecret",
            story
                .sets_secret(&story.ben, &other)
                .replace("epoch = 3", "epoch = 1"),
        ),
    ]
}

fn history(story: &Story) -> Vec<Case> {
    let second = |edit: fn(&mut Changes)| {
        let first = story.early.epochs[&story.group()].newest();
        first.next(story.changes(story.ann.user(), edit)).unwrap()
    };
    let commit = |changes: &mut Changes| {
        changes.commit = EpochSecret::generate().unwrap().commitment();
    };
    let id = story.group();
    let shown = |announcement: &Announcement| story.begins(announcement, &story.ann.sign);
    vec![
        case(
            "the newest epoch is taken back",
            Knows::All,
            Does::Follow,
            "OldEpoch",
            "delete from epochs where epoch = 3; delete from epoch_secrets where epoch = 3; update conversations set epoch = 2",
        ),
        case(
            "an epoch is skipped",
            Knows::Early,
            Does::Follow,
            "SkippedEpoch",
            "delete from epochs where epoch = 2",
        ),
        case(
            "another second epoch, which Ann has signed, too",
            Knows::All,
            Does::Follow,
            "OldEpoch",
            shown(&second(commit)),
        ),
        case(
            "an epoch that follows another past",
            Knows::All,
            Does::Follow,
            "ForkedEpoch",
            shown(
                &second(commit)
                    .next(story.changes(story.ann.user(), |_| ()))
                    .unwrap(),
            ),
        ),
        case(
            "a past that does not lead to the present",
            Knows::All,
            Does::Read,
            "ForkedEpoch",
            format!(
                "update epochs set announcement = '{}' where epoch = 2",
                second(commit).text()
            ),
        ),
        case(
            "the epoch of another conversation",
            Knows::Nothing,
            Does::Follow,
            "ForkedEpoch",
            format!(
                "update epochs set announcement = '{}' where epoch = 3",
                story
                    .epochs()
                    .newest()
                    .text()
                    .replace(&id.to_string(), &"01".repeat(16))
            ),
        ),
        case(
            "an announcement with a space in it",
            Knows::All,
            Does::Follow,
            "Answer",
            "update epochs set announcement = replace(announcement, ':3,', ': 3,') where epoch = 3",
        ),
        case(
            "a signature that is none",
            Knows::Early,
            Does::Follow,
            "WrongSigner",
            "update epochs set signature = decode(repeat('00', 64), 'hex') where epoch = 2",
        ),
    ]
}

/// The group is shown to Ben under the id of his direct conversation with Cleo, which Ann, who
/// works with the server, has begun.
fn begun_by_others(story: &Story) -> Vec<Case> {
    let (group, ann) = (story.group(), story.ann.user());
    let direct = ConversationId::between(story.ben.user(), story.cleo.user());
    let shown = |admins: &[UserId]| {
        let changes = story.changes(ann, |changes| {
            changes.added = story.epochs().members().keys().copied().collect();
            changes.admins = admins.iter().copied().collect();
        });
        let first = Announcement::first(direct, changes).unwrap();
        let signature = story.ann.sign.sign(&first.signed_text()).unwrap();
        let (text, signature) = (first.text(), bytes(signature.as_ref()));
        let moved = ["conversations", "participants", "epochs", "epoch_secrets"].map(|table| {
            format!(
                "update {table} set conversation_id = '{direct}' where conversation_id = '{group}';"
            )
        });
        format!(
            "begin; set local session_replication_role = replica;
            delete from epochs where epoch > 1; delete from epoch_secrets where epoch > 1; delete from messages;
            update epochs set announcement = '{text}', signature = {signature};
            update conversations set epoch = 1; {} commit",
            moved.concat()
        )
    };
    let case = |name, admins: &[UserId]| {
        let sql = shown(admins);
        case(name, Knows::Nothing, Does::Follow, "WrongRoster", sql)
    };
    vec![
        case("a third one in a direct conversation", &[]),
        case("a group under the id of a direct conversation", &[ann]),
    ]
}

fn people(story: &Story) -> Vec<Case> {
    let (eve, cleo, ann) = (story.eve.user(), story.cleo.user(), story.ann.user());
    let eves_card = story.eve.state.pins.member(eve, None).unwrap();
    let of_der = MemberKey::Rsa(RsaKeyHash::of_der(b"another key"));
    let with_eve = roster(&story.roster_with(eve, eves_card));
    let adds_eve = |changes: &mut Changes| {
        changes.added.insert(eve);
        changes.roster = with_eve;
    };
    let fourth = |by: &Person, edit: &dyn Fn(&mut Changes)| {
        story.begins(&story.fourth(by.user(), edit), &by.sign)
    };
    let all = |name, refused, sql: String| case(name, Knows::All, Does::Follow, refused, sql);
    vec![
        case(
            "a ghost takes part",
            Knows::All,
            Does::Say,
            "DifferentParticipants",
            story.adds_ghost(),
        ),
        case(
            "a ghost takes part, before a new device",
            Knows::Nothing,
            Does::Say,
            "DifferentParticipants",
            story.adds_ghost(),
        ),
        all(
            "the server writes in Ann's name",
            "WrongSigner",
            story.begins(&story.fourth(ann, |_| ()), &story.eve.sign),
        ),
        all(
            "somebody who does not take part",
            "NotAMember",
            fourth(&story.eve, &|_| ()),
        ),
        all(
            "a member adds somebody",
            "NotAnAdmin",
            fourth(&story.cleo, &adds_eve),
        ),
        all(
            "a member makes herself an admin",
            "NotAnAdmin",
            fourth(&story.cleo, &|changes| {
                changes.admins.insert(cleo);
            }),
        ),
        all(
            "somebody is removed who was not there",
            "WrongChanges",
            fourth(&story.ann, &|changes| {
                changes.removed.insert(eve);
            }),
        ),
        all(
            "nobody is an admin",
            "WrongChanges",
            fourth(&story.ann, &|changes| changes.admins.clear()),
        ),
        all(
            "the roster has another key than the one that is known",
            "WrongRoster",
            fourth(&story.ann, &|changes| {
                changes.roster = roster(&story.roster_with(cleo, of_der));
            }),
        ),
        all(
            "the roster has a ghost that nobody added",
            "WrongRoster",
            fourth(&story.ann, &|changes| changes.roster = with_eve),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_and_epochs_that_are_not_as_announced_are_refused() {
    let story = Story::new().await;
    let cases = [
        secrets(&story),
        history(&story),
        begun_by_others(&story),
        people(&story),
    ];
    story.refuses(cases.into_iter().flatten().collect()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_of_an_older_epoch_costs_that_epochs_messages_alone() {
    let story = Story::new().await;
    let wrong = [
        story.sets_secret(&story.ben, &EpochSecret::generate().unwrap()),
        // For a key that he does not have any more.
        story.sets_secret(&story.ann, &EpochSecret::generate().unwrap()),
    ];
    for wrong in wrong {
        story
            .world
            .sql(&wrong.replace("epoch = 3", "epoch = 1"))
            .await;
        let mut state = story.ben.session.begin_key_log().await.unwrap();
        let mut group = group(&story.ben.session).await.unwrap();
        let mut reader = Reader::new();
        let read = story
            .ben
            .session
            .read(&mut state, &mut group, &mut reader)
            .await
            .unwrap();
        let found: Vec<_> = read
            .iter()
            .map(|received| match (&received.content, &received.problem) {
                (Ok(_), None) => "read".to_owned(),
                (Err(refused), _) => format!("{refused:?}"),
                (Ok(_), Some(problem)) => format!("{problem:?}"),
            })
            .collect();
        assert_eq!(found, ["WrongSecret", "read", "read", "read", "read"]);
        story.puts_back().await;
    }
    story.world.end().await;
}
