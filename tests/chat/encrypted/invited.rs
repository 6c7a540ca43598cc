//! An invitation's link verifies both people.

use parlance_client::{
    Error, Reader,
    e2ee::{Content, Error as Wrong, Invitation, Kind, Mark, Pin},
};
use parlance_wire::text::FullName;

use super::person::Person;
use crate::world::World;

#[tokio::test]
async fn whoever_registers_with_the_link_of_an_invitation_is_verified_and_so_is_the_inviter() {
    let world = World::new().await;
    let mut ann = Person::new(&world, "Ann").await;
    let made = ann.session.invite_person(&ann.state, None, None).await;
    let made = made.unwrap();
    let link = Invitation::parse(&made.link).unwrap();
    let name = link.name.as_ref().map(FullName::as_str);
    assert_eq!(name, Some("Ann"));
    let mut ben = Person::registers(&world, "Ben", Some(link.code.reveal())).await;
    ben.publishes_first_card().await;
    let (state, sign) = (&mut ben.state, &ben.sign);
    let proved = ben.session.prove_invitation(state, sign, &link).await;
    let id = proved.unwrap().id;
    let mark = |of: &Person, who: &Person| of.state.pins.get(who.user()).map(Pin::mark);
    assert_eq!(mark(&ben, &ann), Some(Mark::Verified));

    let mut conversation = ann.session.list().await.unwrap().remove(0);
    assert_eq!(conversation.id, id);
    let mut reader = Reader::new();
    let (session, state) = (&ann.session, &mut ann.state);
    let read = session.read(state, &mut conversation, &mut reader).await;
    let read = read.unwrap();
    let [received] = &read[..] else {
        panic!("{read:?}")
    };
    let Content::Known(Kind::Verify { mac }) = &received.content.as_ref().unwrap().body.content
    else {
        panic!("{received:?}")
    };
    assert_eq!(mark(&ann, &ben), Some(Mark::Seen));
    // Of another invitation's secret it is no proof.
    let other = ann.session.invite_person(&ann.state, None, None).await;
    let pins = &mut ann.state.pins;
    let other = other.unwrap().invitation;
    assert!(!pins.prove(ben.user(), &other, mac).unwrap());
    assert!(pins.prove(ben.user(), &made.invitation, mac).unwrap());
    assert_eq!(mark(&ann, &ben), Some(Mark::Verified));

    // A link that names another card than the server shows.
    let me = ben.state.pins.cards(ben.user()).last().unwrap().hash();
    let forged = Invitation::new(link.code, ann.user(), me).unwrap();
    let (state, sign) = (&mut ben.state, &ben.sign);
    let refused = ben.session.prove_invitation(state, sign, &forged).await;
    assert!(
        matches!(refused, Err(Error::Encryption(Wrong::DifferentCard))),
        "{refused:?}"
    );
    world.end().await;
}
