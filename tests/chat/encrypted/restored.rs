//! A database that was restored from an older backup: clients warn, until their users accept it.

use std::sync::Arc;

use parlance_client::{
    Server, StationId,
    e2ee::{Card, CardHash, Error as Wrong, Mark, Pin, SigningKey, VaultPin},
};

use super::{
    channel,
    person::{PASSWORD, Person},
    vault::{befriends, changes_vault, reads, registers, says, unlocks},
    wrong,
};
use crate::{
    backup::Backup,
    world::{World, empty_database, settings},
};

/// Ends a world, and starts another one with what a backup has.
pub(crate) async fn restores(world: Arc<World>, backup: &Backup) -> Arc<World> {
    world.end().await;
    let options = empty_database().await;
    backup.restores_into(&options);
    let mut settings = settings();
    settings.database = parlance::settings::Database::Given(Box::new(options.clone()));
    World::start(settings, options).await
}

#[tokio::test]
async fn a_restored_database_is_reported_and_accepted_by_hand() {
    let (world, [mut ann, mut ben], [mut anns, _]) = channel().await;
    ann.says("Kept", &mut anns).await.unwrap();
    let backup = Backup::of(&world);
    // What follows is lost: a user, Ben's new card, an epoch and a message.
    Person::new(&world, "Cleo").await;
    let first = ben.state.pins.cards(ben.user()).to_vec();
    let kept = SigningKey::from_seed(ben.sign.seed()).unwrap();
    ben.renews().await;
    ann.rekeys(&mut anns, &[], &[]).await.unwrap();
    ann.says("Lost", &mut anns).await.unwrap();
    ben.follows().await.unwrap();
    let restored = restores(world, &backup).await;
    for person in [&mut ann, &mut ben] {
        let server = Server::new(&restored.url).unwrap();
        let station = person.session.identity().station;
        person.session = server
            .login(&person.email, PASSWORD, station)
            .await
            .unwrap();
        let user = person.user();
        let refused = wrong(person.meets(&[user]).await);
        assert!(matches!(refused, Wrong::LogShrank), "{refused}");
        let (session, state) = (&person.session, &mut person.state);
        session.accept_restored(state).await.unwrap();
    }
    // Ben renews his card once more, and Ann looks at it.
    assert_eq!(ben.state.pins.cards(ben.user()), first);
    ben.sign = kept;
    ben.renews().await;
    ann.meets(&[ben.user()]).await.unwrap();
    let refused = ann.state.pins.may_send([ben.user()]);
    assert!(matches!(refused, Err(Wrong::NewIdentity(_))), "{refused:?}");
    let card = ann.state.pins.cards(ben.user()).last().unwrap().hash();
    ann.state.pins.accept(ben.user(), card).unwrap();
    let mut anns = ann.follows().await.unwrap();
    assert_eq!(ann.hears(&anns).await.unwrap(), ["Kept"]);
    ann.rekeys(&mut anns, &[], &[]).await.unwrap();
    let bens = ben.follows().await.unwrap();
    assert_eq!(ben.hears(&bens).await.unwrap(), ["Kept"]);
    restored.end().await;
}

#[tokio::test]
async fn a_vault_does_not_keep_what_a_restored_database_has_lost() {
    let world = World::new().await;
    let server = Server::new(&world.url).unwrap();
    registers(&server).await;
    let [one, two] = [(); 2].map(|()| StationId::random());
    let mut vera = unlocks(&server, PASSWORD, one).await;
    let mut state = vera.begin_state().await.unwrap();
    let ann = Person::new(&world, "Ann").await;
    befriends(&vera, &ann).await;
    says(&vera, &mut state, ann.user(), "Kept").await;
    reads(&vera, &mut state).await;
    vera.save_to_vault(&mut state).await.unwrap();
    let second = unlocks(&server, PASSWORD, two).await;
    let mut seconds = second.begin_state().await.unwrap();
    let backup = Backup::of(&world);
    says(&vera, &mut state, ann.user(), "Lost").await;
    reads(&vera, &mut state).await;
    reads(&second, &mut seconds).await;
    let (id, (_, lost)) = state.heads.iter().next().unwrap();
    let (id, lost) = (*id, (lost.seq, format!("{:?}", lost.chain.unwrap())));
    let restored = restores(world, &backup).await;
    let server = Server::new(&restored.url).unwrap();

    // The key log and the vault are as before; the message is not there any more.
    let mut vera = unlocks(&server, PASSWORD, one).await;
    let refused = wrong(vera.save_to_vault(&mut state).await);
    assert!(matches!(refused, Wrong::DifferentTranscript), "{refused}");
    // Another client has written it into the vault nevertheless, and a card that was lost.
    let card = VaultPin(CardHash::from_bytes([7; 32]), 2, Mark::Verified);
    changes_vault(&server, &vera, |contents| {
        contents.heads.insert(id, lost);
        contents.pins.insert(ann.user(), card);
    })
    .await;
    let mut second = unlocks(&server, PASSWORD, two).await;
    for (vera, state) in [(&mut vera, &mut state), (&mut second, &mut seconds)] {
        vera.accept_restored(state).await.unwrap();
        assert_eq!(reads(vera, state).await, ["Kept"]);
        vera.save_to_vault(state).await.unwrap();
    }
    // A new station reads it, too, and knows of the lost card.
    let third = unlocks(&server, PASSWORD, StationId::random()).await;
    let mut thirds = third.begin_state().await.unwrap();
    assert_eq!(reads(&third, &mut thirds).await, ["Kept"]);
    let mark = thirds.pins.get(ann.user()).map(Pin::mark);
    assert_eq!(mark, Some(Mark::Changed));
    let card = thirds.pins.cards(ann.user()).last().map(Card::hash);
    thirds.pins.accept(ann.user(), card.unwrap()).unwrap();
    says(&third, &mut thirds, ann.user(), "And on").await;
    assert_eq!(reads(&vera, &mut state).await, ["Kept", "And on"]);
    restored.end().await;
}
