//! A database that was restored from an older backup: clients warn, until their users accept it.

use parlance_client::{
    Server,
    e2ee::{Error as Wrong, SigningKey},
};

use super::{
    channel,
    person::{PASSWORD, Person},
    wrong,
};
use crate::{
    backup::Backup,
    world::{World, empty_database, settings},
};

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
    world.end().await;
    let options = empty_database().await;
    backup.restores_into(&options);
    let mut settings = settings();
    settings.database = parlance::settings::Database::Given(Box::new(options.clone()));
    let restored = World::start(settings, options).await;
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
