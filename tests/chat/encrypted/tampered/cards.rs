//! Cards, and the public keys that they name.

use parlance_client::{
    UserId,
    e2ee::{Card, SignedCard, next_card},
};

use super::{Case, Does, Knows, Story, bytes, case};

/// Shows this card as this user's newest, without those that have its number or a greater one.
pub(super) fn shows(user: UserId, card: &SignedCard, instead_of: u64) -> String {
    let n = card.card.n();
    let signatures = &card.signatures;
    let prev = signatures
        .prev
        .as_ref()
        .map_or_else(|| "null".to_owned(), |prev| bytes(prev.as_ref()));
    format!(
        "delete from cards where user_id = '{user}' and n >= {instead_of};
        insert into cards values ('{user}', {n}, '{}', {}, {}, {prev}, 1000, now())",
        card.card.text(),
        bytes(signatures.sign.as_ref()),
        bytes(signatures.rsa.as_ref()),
    )
}

impl Story {
    /// Cleo's first and second card.
    fn cards(&self) -> [Card; 2] {
        let cards = self.ben.state.pins.cards(self.cleo.user());
        cards.to_vec().try_into().unwrap()
    }

    /// A second or later card that the server makes for Cleo, with Eve's key pair.
    fn forged(&self, before: &Card) -> String {
        let pair = &self.eve.session.identity().pair;
        let card = next_card(before, &self.eve.sign, pair, None).unwrap();
        let key = pair.public_key();
        let shows = shows(self.cleo.user(), &card, card.card.n());
        format!(
            "{shows}; update users set public_key = '{key}' where user_id = '{}'",
            self.cleo.user()
        )
    }
}

fn cases(story: &Story) -> Vec<Case> {
    let [first, second] = story.cards();
    let cleo = story.cleo.user();
    let pair = &story.cleo.session.identity().pair;
    let of_second = format!("where user_id = '{cleo}' and n = 2");
    let third = next_card(&second, &story.eve.sign, pair, Some(&story.cleo.sign)).unwrap();
    let eves = story.eve.session.identity().pair.public_key();
    let withheld = format!("delete from cards where user_id = '{cleo}'");
    let newest_withheld = format!("delete from cards {of_second}");
    let forged = story.forged(&first);
    let meet =
        |name, knows, refused, sql: &str| case(name, knows, Does::Meet, refused, sql.to_owned());
    let update = |name, refused, sql: &str| {
        let sql = format!("update cards set {sql} {of_second}");
        case(name, Knows::All, Does::Meet, refused, sql)
    };
    vec![
        case(
            "another public key",
            Knows::All,
            Does::Say,
            "NewIdentity",
            format!("update users set public_key = '{eves}' where user_id = '{cleo}'"),
        ),
        meet("no cards", Knows::All, "OlderCard", &withheld),
        meet(
            "no cards, to a new device",
            Knows::Nothing,
            "NotLogged",
            &withheld,
        ),
        meet("an older card", Knows::All, "OlderCard", &newest_withheld),
        meet(
            "an older card, to a new device",
            Knows::Nothing,
            "NotLogged",
            &newest_withheld,
        ),
        case(
            "a card without its predecessor's signature",
            Knows::Early,
            Does::Say,
            "NewIdentity",
            format!("update cards set prev_signature = null {of_second}"),
        ),
        meet(
            "a card with a predecessor's signature that is none",
            Knows::Early,
            "Invalid(PredecessorSignature)",
            &format!("update cards set prev_signature = sign_signature {of_second}"),
        ),
        update(
            "a card with a signature that is none",
            "Invalid(Signature)",
            "sign_signature = prev_signature",
        ),
        update(
            "a card that its RSA key has not signed",
            "Invalid(RsaSignature)",
            "rsa_signature = (select rsa_signature from saved.cards o where o.n = 1 limit 1)",
        ),
        update(
            "a card with a space in it",
            "Answer",
            "card = replace(card, ':2,', ': 2,')",
        ),
        update(
            "a card of another server",
            "ForeignCard",
            &format!(
                "card = replace(card, '{}', repeat('0', 32))",
                second.server()
            ),
        ),
        meet(
            "Eve's card in place of Cleo's",
            Knows::Nothing,
            "ForeignCard",
            &format!(
                "update cards c set card = e.card, sign_signature = e.sign_signature
                from saved.cards e where c.user_id = '{cleo}' and e.user_id = '{}'",
                story.eve.user()
            ),
        ),
        meet("another second card", Knows::All, "DifferentCard", &forged),
        meet(
            "another second card, to a new device",
            Knows::Nothing,
            "NotLogged",
            &forged,
        ),
        meet(
            "a new identity that is not in the key log",
            Knows::All,
            "NotLogged",
            &story.forged(&second),
        ),
        meet(
            "a card left out",
            Knows::Early,
            "SkippedCard",
            &shows(cleo, &third, 2),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn cards_that_do_not_continue_the_known_ones_are_refused() {
    let story = Story::new().await;
    let cases = cases(&story);
    story.refuses(cases).await;
}
