//! Accounts that are deleted and created again, and whose identity it is afterwards.

use std::collections::BTreeMap;

use parlance_client::{
    ErrorCode, UserId,
    e2ee::{Epoch, EpochSecret, Error as Wrong, Maker, Mark, Offer, Pin},
    keys,
};
use parlance_wire::{key::PublicKey, request::epoch::ShareEpochs, text::Email};

use super::{channel, person::PASSWORD, person::Person, trio, wrong};
use crate::world::World;

pub(super) async fn deletes_account(person: &Person) {
    let email = Email::parse(&person.email).unwrap();
    let apikey = keys::apikey(&email, PASSWORD);
    person.session.delete_account(&apikey).await.unwrap();
}

#[tokio::test]
async fn a_new_account_with_the_address_of_a_deleted_one_is_a_new_identity_with_the_next_number() {
    let (world, [mut ann, ben], [mut anns, _]) = channel().await;
    ann.says("Hello", &mut anns).await.unwrap();
    deletes_account(&ben).await;
    let mut second = Person::new(&world, "Ben").await;
    assert_eq!(second.user(), ben.user());
    let card = second.state.pins.cards(second.user()).last().unwrap();
    assert_eq!(
        (card.n(), card.prev()),
        (2, ben.state.own_cards.get(&1).copied())
    );
    // To the earlier account, it is a card that is not his.
    let (log, own) = (&mut ben.state.log.clone(), &ben.state.own_cards);
    let refused = second.session.follow_key_log(log, own).await;
    assert!(matches!(wrong(refused), Wrong::NotMyCard(2)));

    let met = ann.meets(&[second.user()]).await.unwrap();
    assert_eq!(met.offers[&second.user()], Offer::NewIdentity);
    // Nothing is sent to a new identity until Ann has accepted it.
    let refused = wrong(ann.says("Is it you?", &mut anns).await);
    assert!(matches!(refused, Wrong::NewIdentity(_)), "{refused}");
    let refused = wrong(ann.rekeys(&mut anns, &[], &[]).await);
    assert!(matches!(refused, Wrong::NewIdentity(_)), "{refused}");
    let card = card.hash();
    ann.state.pins.accept(second.user(), card).unwrap();
    assert_eq!(
        ann.state.pins.get(second.user()).unwrap().mark(),
        Mark::Seen
    );
    ann.rekeys(&mut anns, &[], &[]).await.unwrap();
    // Nor to somebody who is not her friend: the friendship was with the one who left.
    let refused = ann.says("Welcome", &mut anns).await.unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::NotFriends));
    ann.befriends(&second).await;
    ann.says("Welcome", &mut anns).await.unwrap();
    // He can read later messages, and no earlier ones.
    let seconds = second.follows().await.unwrap();
    let epochs = second.epochs(seconds.conversation.id).await.unwrap();
    let has: Vec<bool> = epochs.iter().map(|(_, secret)| secret.is_some()).collect();
    assert_eq!(has, [true, false]);
    let texts = ann.hears(&anns).await.unwrap();
    assert_eq!(texts, ["Hello", "Welcome"]);
    world.end().await;
}

#[tokio::test]
async fn no_secret_is_stored_for_a_deleted_account() {
    let (world, [mut ann, ben], [anns, _]) = channel().await;
    let key = ann.meets(&[ben.user()]).await.unwrap().keys;
    let wrapped = anns.secret.wrap(&key[&ben.user()]).unwrap();
    deletes_account(&ben).await;
    let shared = ann.session.share_epochs(ShareEpochs {
        conversationid: anns.conversation.id,
        userid: ben.user(),
        secrets: BTreeMap::from([(Epoch::FIRST, wrapped)]),
    });
    let refused = shared.await.unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::UserNotFound));
    // Announced with the keys that were known of him.
    let conversation = &anns.conversation;
    let maker = Maker {
        user: ann.user(),
        key: &ann.sign,
    };
    let epochs = &ann.state.epochs[&conversation.id];
    let (members, head) = (epochs.members().clone(), epochs.newest().head());
    let next = epochs.rekey(maker, members, [].into(), head).unwrap();
    let keys = key_of_both(&ann, key);
    let announced = ann.session.announce(
        &conversation.instance,
        &next,
        &keys,
        BTreeMap::new(),
        [].into(),
    );
    let refused = announced.await.unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::UserNotFound));
    // The present epoch continues.
    assert_eq!(world.count("epochs").await, 1);
    let stored = format!("epoch_secrets where user_id = '{}'", ben.user());
    assert_eq!(world.count(&stored).await, 0);
    world.end().await;
}

type Keys = BTreeMap<UserId, PublicKey>;

fn key_of_both(person: &Person, mut keys: Keys) -> Keys {
    let own = person.session.identity().pair.public_key();
    let own = PublicKey::parse(own).unwrap();
    keys.insert(person.user(), own);
    keys
}

#[tokio::test]
async fn secrets_for_a_lost_key_are_deleted_and_can_be_shared_again() {
    let (world, [mut ann, ben], [mut anns, _]) = channel().await;
    ann.says("Hello", &mut anns).await.unwrap();
    let again = ben.resets(&world).await.session;
    let stored = format!("epoch_secrets where user_id = '{}'", ben.user());
    assert_eq!(world.count(&stored).await, 0);
    assert_eq!(again.list().await.unwrap()[0].secret, "");
    // Ann shares it, wrapped for the new key.
    let key = again.identity().pair.public_key();
    let key = PublicKey::parse(key).unwrap();
    let shared = ann.session.share_epochs(ShareEpochs {
        conversationid: anns.conversation.id,
        userid: ben.user(),
        secrets: BTreeMap::from([(Epoch::FIRST, anns.secret.wrap(&key).unwrap())]),
    });
    shared.await.unwrap();
    let secret = &again.list().await.unwrap()[0].secret;
    let opened = EpochSecret::unwrap(secret, &again.identity().pair).unwrap();
    assert_eq!(opened.kid(), anns.secret.kid());
    world.end().await;
}

#[tokio::test]
async fn after_a_reset_contacts_are_warned_and_the_next_card_is_a_new_identity_in_the_key_log() {
    let world = World::new().await;
    let [mut ann, ben, mut cleo] = trio(&world).await;
    let mut anns = ann.creates_group(&[ben.user(), cleo.user()]).await;
    ann.says("Hello", &mut anns).await.unwrap();
    let mut again = ben.resets(&world).await;

    // No card names his new key yet, which may be anybody's: nothing is encrypted for it.
    let met = ann.meets(&[ben.user()]).await.unwrap();
    assert_eq!(met.offers[&ben.user()], Offer::Lost);
    assert!(met.keys.is_empty());
    for _ in 0..2 {
        let refused = wrong(ann.rekeys(&mut anns, &[], &[]).await);
        assert!(matches!(refused, Wrong::NewIdentity(_)), "{refused}");
        let refused = wrong(ann.says("Is it you?", &mut anns).await);
        assert!(matches!(refused, Wrong::NewIdentity(_)), "{refused}");
        // To accept a key without a card is of no use.
        let card = ann.state.pins.cards(ben.user())[0].hash();
        ann.state.pins.accept(ben.user(), card).unwrap();
    }
    // Others who take part, and who have not met him, can read all the same.
    let cleos = cleo.follows().await.unwrap();
    assert_eq!(cleo.hears(&cleos).await.unwrap(), ["Hello"]);
    let mark = |person: &Person| person.state.pins.get(ben.user()).map(Pin::mark);
    assert_eq!(mark(&cleo), Some(Mark::Changed));

    again.publishes_first_card().await;
    let (log, own) = (&mut ben.state.log.clone(), &ben.state.own_cards);
    let refused = again.session.follow_key_log(log, own).await;
    assert!(matches!(wrong(refused), Wrong::NotMyCard(2)));
    let met = ann.meets(&[ben.user()]).await.unwrap();
    assert_eq!(met.offers[&ben.user()], Offer::NewIdentity);
    let refused = wrong(ann.rekeys(&mut anns, &[], &[]).await);
    assert!(matches!(refused, Wrong::NewIdentity(_)), "{refused}");
    let card = ann.state.pins.cards(ben.user())[1].hash();
    ann.state.pins.accept(ben.user(), card).unwrap();
    ann.rekeys(&mut anns, &[], &[]).await.unwrap();
    let mut agains = again.follows().await.unwrap();
    again.says("It is me", &mut agains).await.unwrap();
    assert_eq!(ann.hears(&anns).await.unwrap(), ["Hello", "It is me"]);
    world.end().await;
}

#[tokio::test]
async fn a_key_log_with_a_card_in_ones_own_name_is_refused_from_the_first_own_card_on() {
    let world = World::new().await;
    let mut ann = Person::new(&world, "Ann").await;
    // Another device of hers, which does not know of her second card.
    let mut other = ann.second_device(&world).await;
    ann.renews().await;
    assert!(matches!(
        wrong(other.meets(&[ann.user()]).await),
        Wrong::NotMyCard(2)
    ));
    world.end().await;
}
