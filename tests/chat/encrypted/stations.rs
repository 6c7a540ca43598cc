//! Two stations of one user: through the vault, each knows what the other has seen.

use std::sync::Arc;

use parlance_client::{
    Reader, Server, Session, StationId, Unlocked,
    e2ee::{Card, Error as Wrong, Mark, Offer, Pin, SigningKey, State, next_card},
};

use super::{
    person::Person,
    tampered::messages::RECHAINED,
    vault::{PASSWORD, befriends, reads, registers, says, unlocks},
    wrong,
};
use crate::world::World;

/// Vera at her first station, who has compared keys with Ann and said two things to her.
struct Story {
    world: Arc<World>,
    ann: Person,
    vera: Unlocked,
    state: State,
}

impl Story {
    async fn new() -> Self {
        let world = World::new().await;
        let server = Server::new(&world.url).unwrap();
        registers(&server).await;
        let vera = unlocks(&server, PASSWORD, StationId::random()).await;
        let mut state = vera.begin_state().await.unwrap();
        let ann = Person::new(&world, "Ann").await;
        befriends(&vera, &ann).await;
        for text in ["One", "Two"] {
            says(&vera, &mut state, ann.user(), text).await;
        }
        reads(&vera, &mut state).await;
        let card = state.pins.cards(ann.user()).last().map(Card::hash);
        state.pins.verify(ann.user(), card.unwrap()).unwrap();
        Self {
            world,
            ann,
            vera,
            state,
        }
    }

    fn server(&self) -> Server {
        Server::new(&self.world.url).unwrap()
    }

    /// Vera at a station that knows nothing.
    async fn new_station(&self) -> (Unlocked, State) {
        let vera = unlocks(&self.server(), PASSWORD, StationId::random()).await;
        let state = vera.begin_state().await.unwrap();
        (vera, state)
    }

    fn mark(&self, state: &State) -> Option<Mark> {
        state.pins.get(self.ann.user()).map(Pin::mark)
    }
}

/// Reads the only conversation.
async fn read_all(session: &Session, state: &mut State) -> Result<usize, parlance_client::Error> {
    let mut conversation = session.list().await?.remove(0);
    let mut reader = Reader::new();
    let read = session.read(state, &mut conversation, &mut reader).await?;
    Ok(read.len())
}

#[tokio::test]
async fn a_second_station_knows_whom_the_first_has_verified_and_the_other_way_round() {
    let mut story = Story::new().await;
    // Without the vault, it is trust on first use.
    let (mut second, mut seconds) = story.new_station().await;
    assert_eq!(story.mark(&seconds), None);
    second
        .session
        .meet(&mut seconds, &[story.ann.user()].into())
        .await
        .unwrap();
    assert_eq!(story.mark(&seconds), Some(Mark::Seen));

    story.vera.save_to_vault(&mut story.state).await.unwrap();
    let version = story.state.vault_version;
    story.vera.save_to_vault(&mut story.state).await.unwrap();
    assert_eq!(
        story.state.vault_version, version,
        "nothing was to be written"
    );
    // A running station, and one that is new.
    second.load_from_vault(&mut seconds).await.unwrap();
    assert_eq!(story.mark(&seconds), Some(Mark::Verified));
    let (_, thirds) = story.new_station().await;
    assert_eq!(story.mark(&thirds), Some(Mark::Verified));

    // The second station meets somebody, too, while the first has an older vault in its hands.
    let ben = Person::new(&story.world, "Ben").await;
    second.session.add_friend(&ben.email).await.unwrap();
    ben.session
        .accept_friend(second.session.user())
        .await
        .unwrap();
    let users = [ben.user()].into();
    let met = second.session.meet(&mut seconds, &users).await;
    met.unwrap();
    second.save_to_vault(&mut seconds).await.unwrap();
    assert!(story.state.pins.get(ben.user()).is_none());
    story.vera.save_to_vault(&mut story.state).await.unwrap();
    assert!(story.state.pins.get(ben.user()).is_some());
    assert_eq!(story.state.vault_version, seconds.vault_version);
    story.world.end().await;
}

#[tokio::test]
async fn a_vault_of_old_pins_is_noticed() {
    let mut story = Story::new().await;
    let stored = "create table old as select encrypted_private_key, vault_version from users where email = 'vera@example.org'";
    story.world.sql(stored).await;
    story.vera.save_to_vault(&mut story.state).await.unwrap();
    let (mut second, mut seconds) = story.new_station().await;
    story
        .world
        .sql("update users u set encrypted_private_key = o.encrypted_private_key, vault_version = o.vault_version
            from old o where u.email = 'vera@example.org'")
        .await;
    for refused in [
        wrong(story.vera.load_from_vault(&mut story.state).await),
        wrong(story.vera.save_to_vault(&mut story.state).await),
        wrong(second.load_from_vault(&mut seconds).await),
    ] {
        assert!(matches!(refused, Wrong::OldVault { .. }), "{refused}");
    }
    story.world.end().await;
}

#[tokio::test]
async fn a_new_station_is_not_shown_less_than_the_vault_says_was_read() {
    let mut story = Story::new().await;
    story.vera.save_to_vault(&mut story.state).await.unwrap();
    story
        .world
        .sql("create table kept as table messages; create table kept_conversations as table conversations")
        .await;
    let junk = "insert into messages (conversation_id, seq, message_id, instance, user_id, station_id, type, created_at, valid_until, data, chain)
        select conversation_id, n, gen_random_uuid(), instance, user_id, station_id, type, created_at, valid_until, 'SGVsbG8=', chain
        from messages, generate_series(3, 620) n where seq = 2";
    let changed = "update messages set data = 'SGVsbG8=' where seq = 1";
    let put_back = "delete from messages; insert into messages select * from kept;
        update conversations c set chain = k.chain, last_message_id = k.last_message_id, last_message_seq = k.last_message_seq
        from kept_conversations k where k.conversation_id = c.conversation_id";
    for (change, refused) in [
        ("select".to_owned(), None),
        (
            format!("delete from messages where seq = 2; {RECHAINED}"),
            Some("DifferentTranscript"),
        ),
        (
            format!("{changed}; {RECHAINED}"),
            Some("DifferentTranscript"),
        ),
        // What was read is older than the first page: the links in between lead to it, or not.
        (format!("{junk}; {RECHAINED}"), None),
        (
            format!("{changed}; {junk}; {RECHAINED}"),
            Some("BrokenTranscript"),
        ),
    ] {
        story.world.sql(&change).await;
        let node = story.world.another().await;
        let server = Server::new(&node.url).unwrap();
        let second = unlocks(&server, PASSWORD, StationId::random()).await;
        let mut state = second.begin_state().await.unwrap();
        let read = read_all(&second.session, &mut state).await;
        match refused {
            None => {
                read.unwrap();
                assert!(state.vault_heads.is_empty());
            }
            Some(refused) => {
                let found = format!("{:?}", wrong(read));
                assert!(found.starts_with(refused), "{change}: {found}");
            }
        }
        node.stop().await;
        story.world.sql(put_back).await;
    }
    story.world.end().await;
}

#[tokio::test]
async fn a_station_that_runs_is_not_shown_less_than_another_one_and_may_be_shown_a_cleared_one() {
    let mut story = Story::new().await;
    let (mut second, mut seconds) = story.new_station().await;
    read_all(&second.session, &mut seconds).await.unwrap();
    says(&story.vera, &mut story.state, story.ann.user(), "Three").await;
    reads(&story.vera, &mut story.state).await;
    story.vera.save_to_vault(&mut story.state).await.unwrap();
    second.load_from_vault(&mut seconds).await.unwrap();
    story
        .world
        .sql(&format!(
            "create table kept as table messages; delete from messages where seq = 3; {RECHAINED}"
        ))
        .await;
    let node = story.world.another().await;
    let server = Server::new(&node.url).unwrap();
    let station = second.session.identity().station;
    let there = unlocks(&server, PASSWORD, station).await;
    let refused = wrong(read_all(&there.session, &mut seconds).await);
    assert!(matches!(refused, Wrong::DifferentTranscript), "{refused}");
    story
        .world
        .sql(&format!(
            "delete from messages; insert into messages select * from kept; {RECHAINED}"
        ))
        .await;
    node.stop().await;

    // Cleared: nothing is left of what was read.
    let conversation = story.vera.session.list().await.unwrap().remove(0);
    let cleared = story
        .vera
        .session
        .clear(conversation.id, &conversation.instance);
    cleared.await.unwrap();
    let (third, mut thirds) = story.new_station().await;
    assert_eq!(read_all(&third.session, &mut thirds).await.unwrap(), 0);
    says(&story.vera, &mut story.state, story.ann.user(), "Four").await;
    assert_eq!(read_all(&third.session, &mut thirds).await.unwrap(), 1);
    assert!(thirds.vault_heads.is_empty());
    story.world.end().await;
}

#[tokio::test]
async fn new_keys_are_vouched_for_by_the_old_ones_and_taken_over_by_the_other_station() {
    let mut story = Story::new().await;
    let other = StationId::random();
    let second = unlocks(&story.server(), PASSWORD, other).await;
    let mut seconds = second.begin_state().await.unwrap();
    let before = story.vera.sign.public();
    let me = story.vera.session.user();
    let mut ann = story.ann;
    ann.meets(&[me]).await.unwrap();
    let card = ann.state.pins.cards(me).last().unwrap().hash();
    ann.state.pins.verify(me, card).unwrap();

    // Twice, as nothing keeps the other station from being away for long.
    let server = Server::new(&story.world.url).unwrap();
    for _ in 0..2 {
        story.vera.replace_keys(&mut story.state).await.unwrap();
        let station = story.vera.session.identity().station;
        story.vera = unlocks(&server, PASSWORD, station).await;
    }
    let now = story.vera.sign.public();
    assert_ne!(now, before);
    let vera = unlocks(&server, PASSWORD, other).await;
    assert_eq!(reads(&vera, &mut seconds).await, ["One", "Two"]);
    says(&vera, &mut seconds, ann.user(), "With new keys").await;
    let cards = seconds.pins.cards(me);
    assert_eq!((cards.len(), cards[2].sign()), (3, now));

    // To Ann they are renewed, and stay verified.
    let met = ann.meets(&[me]).await.unwrap();
    assert_eq!(met.offers[&me], Offer::Renewed);
    assert_eq!(ann.state.pins.get(me).map(Pin::mark), Some(Mark::Verified));
    let anns = ann.follows().await.unwrap();
    let all = ["One", "Two", "With new keys"];
    assert_eq!(ann.hears(&anns).await.unwrap(), all);
    story.world.end().await;
}

#[tokio::test]
async fn a_new_identity_is_not_accepted_by_a_station_that_knew_no_other() {
    let mut story = Story::new().await;
    let ann = story.ann.user();
    let (mut second, mut seconds) = story.new_station().await;
    story.vera.save_to_vault(&mut story.state).await.unwrap();
    let mut again = story.ann.resets(&story.world).await;
    again.publishes_first_card().await;
    let met = second.session.meet(&mut seconds, &[ann].into()).await;
    assert_eq!(met.unwrap().offers[&ann], Offer::New);
    let session = &story.vera.session;
    let met = session.meet(&mut story.state, &[ann].into()).await;
    assert_eq!(met.unwrap().offers[&ann], Offer::NewIdentity);

    second.save_to_vault(&mut seconds).await.unwrap();
    story.vera.save_to_vault(&mut story.state).await.unwrap();
    let (_, thirds) = story.new_station().await;
    for state in [&seconds, &story.state, &thirds] {
        assert_eq!(story.mark(state), Some(Mark::Changed));
    }
    // Until somebody has compared that very card.
    let card = seconds.pins.cards(ann).last().map(Card::hash);
    seconds.pins.verify(ann, card.unwrap()).unwrap();
    second.save_to_vault(&mut seconds).await.unwrap();
    story.vera.load_from_vault(&mut story.state).await.unwrap();
    assert_eq!(story.mark(&story.state), Some(Mark::Verified));
    story.world.end().await;
}

#[tokio::test]
async fn a_contact_who_has_renewed_their_keys_is_still_verified_at_a_new_station() {
    let mut story = Story::new().await;
    story.vera.save_to_vault(&mut story.state).await.unwrap();
    story.ann.renews().await;
    let (_, seconds) = story.new_station().await;
    assert_eq!(seconds.pins.cards(story.ann.user()).len(), 2);
    assert_eq!(story.mark(&seconds), Some(Mark::Verified));
    story.world.end().await;
}

#[tokio::test]
async fn a_card_of_ones_own_pair_with_a_signing_key_that_the_vault_does_not_have_is_refused() {
    let story = Story::new().await;
    let (second, mut seconds) = story.new_station().await;
    let me = story.vera.session.user();
    let before = seconds.pins.cards(me).last().unwrap();
    let pair = &story.vera.session.identity().pair;
    let sign = SigningKey::generate().unwrap();
    let card = next_card(before, &sign, pair, Some(&story.vera.sign)).unwrap();
    story.vera.session.publish_card(card).await.unwrap();
    let refused = wrong(second.session.meet(&mut seconds, &[me].into()).await);
    assert!(matches!(refused, Wrong::NotMyCard(2)), "{refused}");
    assert_eq!(seconds.pins.cards(me).len(), 1);
    story.world.end().await;
}
