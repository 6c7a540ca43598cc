//! What the vault says of a contact, and what a station has seen itself.

use super::*;

/// Ben's cards: the first one, one that renews its keys, and one of another identity.
struct Cards {
    pins: Pins,
    me: UserId,
    ben: UserId,
    rsa: PublicKey,
    first: SignedCard,
    renewed: SignedCard,
    other: SignedCard,
    /// Like `renewed`, with another RSA pair, and its public key.
    moved: (SignedCard, PublicKey),
}

impl Cards {
    fn new() -> Self {
        let server = ServerId::random();
        let ben = Person::new("ben", server);
        let sign = SigningKey::generate().unwrap();
        let pair = KeyPair::generate().unwrap();
        let moved = next_card(&ben.card.card, &sign, &pair, Some(&ben.sign)).unwrap();
        let next = |old| next_card(&ben.card.card, &sign, &ben.rsa, old).unwrap();
        Self {
            pins: Pins::new(server),
            me: UserId::of(&Email::parse("ann@example.org").unwrap()),
            ben: ben.user,
            rsa: ben.public(),
            renewed: next(Some(&ben.sign)),
            other: next(None),
            first: ben.card,
            moved: (moved, PublicKey::parse(pair.public_key()).unwrap()),
        }
    }

    /// A station that meets Ben when he has these cards.
    fn station(&self, cards: &[&SignedCard]) -> Pins {
        let mut pins = self.pins.clone();
        assert_eq!(self.meets(&mut pins, cards), Offer::New);
        pins
    }

    fn meets(&self, pins: &mut Pins, cards: &[&SignedCard]) -> Offer {
        let cards: Vec<SignedCard> = cards.iter().map(|one| (*one).clone()).collect();
        pins.offer(self.ben, &cards, &self.rsa).unwrap()
    }

    fn mark(&self, pins: &Pins) -> Mark {
        pins.get(self.ben).unwrap().mark()
    }
}

fn pin(card: &SignedCard, mark: Mark) -> VaultPin {
    VaultPin(card.card.hash(), card.card.n(), mark)
}

#[test]
fn a_station_that_sees_a_new_identity_first_accepts_it_for_no_other() {
    let cards = Cards::new();
    let (ben, both) = (cards.ben, [&cards.first, &cards.other]);
    let mut one = cards.station(&[&cards.first]);
    one.verify(ben, cards.first.card.hash()).unwrap();
    let vault = one.with_vault(&BTreeMap::new(), cards.me);
    assert_eq!(vault[&ben], pin(&cards.first, Mark::Verified));
    assert_eq!(cards.meets(&mut one, &both), Offer::NewIdentity);

    // The other station does not know him, and learns from the vault who he was.
    let mut other = cards.station(&both);
    assert_eq!(cards.mark(&other), Mark::Seen);
    other.take(ben, &vault[&ben]);
    assert_eq!(cards.mark(&other), Mark::Changed);
    let vault = other.with_vault(&vault, cards.me);
    one.take(ben, &vault[&ben]);
    assert_eq!(cards.mark(&one), Mark::Changed);

    // Nor if the vault did not know him.
    let mut other = cards.station(&both);
    let vault = other.with_vault(&BTreeMap::new(), cards.me);
    assert_eq!(vault[&ben], pin(&cards.other, Mark::Seen));
    one.take(ben, &vault[&ben]);
    assert_eq!(cards.mark(&one), Mark::Changed);
    let vault = one.with_vault(&vault, cards.me);
    other.take(ben, &vault[&ben]);
    assert_eq!(cards.mark(&other), Mark::Changed);

    // Who accepts him does so at one station. The two do not write against each other.
    other.accept(ben, cards.other.card.hash()).unwrap();
    other.take(ben, &vault[&ben]);
    assert_eq!(cards.mark(&other), Mark::Seen);
    assert_eq!(other.with_vault(&vault, cards.me), vault);
    assert_eq!(one.with_vault(&vault, cards.me), vault);
    // Who has compared that very card does so for all.
    other.verify(ben, cards.other.card.hash()).unwrap();
    let vault = other.with_vault(&vault, cards.me);
    one.take(ben, &vault[&ben]);
    assert_eq!(cards.mark(&one), Mark::Verified);
}

#[test]
fn a_new_station_judges_a_succession_from_the_card_in_the_vault_on() {
    let cards = Cards::new();
    let (first, renewed, other) = (&cards.first, &cards.renewed, &cards.other);
    let key = CardHash::from_bytes(*first.card.rsa().as_bytes());
    let of_key = VaultPin(key, 0, Mark::Verified);
    let (seen, verified) = (pin(first, Mark::Seen), pin(first, Mark::Verified));
    for (case, (shown, vault, mark)) in [
        (vec![first], seen.clone(), Mark::Seen),
        (vec![first], verified.clone(), Mark::Verified),
        (vec![first, renewed], seen.clone(), Mark::Seen),
        (vec![first, renewed], verified.clone(), Mark::Verified),
        (
            vec![first, renewed],
            pin(first, Mark::Changed),
            Mark::Changed,
        ),
        (vec![first, other], seen, Mark::Changed),
        (vec![first, other], verified.clone(), Mark::Changed),
        // The server keeps back the card that was verified.
        (vec![renewed], verified.clone(), Mark::Changed),
        // Of a user who had no card.
        (vec![first], of_key.clone(), Mark::Verified),
        (vec![first, renewed], of_key.clone(), Mark::Verified),
    ]
    .into_iter()
    .enumerate()
    {
        let mut station = cards.station(&shown);
        station.take(cards.ben, &vault);
        assert_eq!(cards.mark(&station), mark, "{case}");
    }
    // With another pair: that of the first card is only what the card says.
    let mut station = cards.pins.clone();
    let (moved, rsa) = &cards.moved;
    let shown = [first.clone(), moved.clone()];
    station.offer(cards.ben, &shown, rsa).unwrap();
    for (vault, mark) in [(&verified, Mark::Verified), (&of_key, Mark::Changed)] {
        let mut station = station.clone();
        station.take(cards.ben, vault);
        assert_eq!(cards.mark(&station), mark);
    }
    // Somebody has looked at the new identity here already.
    let mut station = cards.station(&[first]);
    cards.meets(&mut station, &[other]);
    station.accept(cards.ben, other.card.hash()).unwrap();
    station.take(cards.ben, &verified);
    assert_eq!(cards.mark(&station), Mark::Seen);
}
