//! Invitations: a link that contains the inviter's card, so that both people are verified without
//! comparing numbers.

use std::{collections::BTreeMap, fmt};

use aws_lc_rs::{constant_time, hmac};
use parlance_wire::{e2ee::CardHash, id::UserId, key::Credential, text::FullName};
use url::Url;
use zeroize::Zeroizing;

use super::{Error, cipher, number::card_hash};

/// The contents of an invitation's link. They are in the fragment, which is never sent to a server
/// or logged.
#[derive(Clone)]
pub struct Invitation {
    /// The code with which the server lets the newcomer register.
    pub code: Credential,
    /// The inviter, whose card is pinned if it has this hash.
    pub from: UserId,
    /// The inviter's card, which the newcomer pins.
    pub card: CardHash,
    /// What the page of the link calls the inviter. It proves nothing.
    pub name: Option<FullName>,
    secret: Zeroizing<[u8; 32]>,
}

impl Invitation {
    /// A new invitation, with the code that the server generated.
    ///
    /// # Errors
    /// `Key`: there are no random numbers.
    pub fn new(code: Credential, from: UserId, card: CardHash) -> Result<Self, Error> {
        Ok(Self {
            code,
            from,
            card,
            name: None,
            secret: cipher::random()?,
        })
    }

    /// The invitation with this secret, as its inviter stored it.
    #[must_use]
    pub fn from_secret(code: Credential, from: UserId, card: CardHash, secret: [u8; 32]) -> Self {
        Self {
            code,
            from,
            card,
            name: None,
            secret: Zeroizing::new(secret),
        }
    }

    /// The secret that the inviter stores, to check the proof.
    #[must_use]
    pub fn secret(&self) -> &[u8; 32] {
        &self.secret
    }

    /// The link to the page for registration.
    #[must_use]
    pub fn link(&self, page: &Url) -> Url {
        let mut link = page.clone();
        let mut fragment = url::form_urlencoded::Serializer::new(String::new());
        fragment
            .append_pair("invite", self.code.reveal())
            .append_pair("from", &self.from.to_string())
            .append_pair("card", &self.card.to_string())
            .append_pair("v", &hex::encode(self.secret.as_slice()));
        if let Some(name) = &self.name {
            fragment.append_pair("name", name.as_str());
        }
        link.set_fragment(Some(&fragment.finish()));
        link
    }

    /// Parses a link. A name that could hide something is left out.
    ///
    /// # Errors
    /// `Malformed`: a part is missing, duplicate, or malformed.
    pub fn parse(link: &Url) -> Result<Self, Error> {
        let mut parts = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(link.fragment().unwrap_or("").as_bytes()) {
            // Of a name that comes twice, two readers could take different values.
            if parts.insert(name, value).is_some() {
                return Err(Error::Malformed("the link"));
            }
        }
        let part = |name| match parts.get(name) {
            Some(value) => Ok(&**value),
            None => Err(Error::Malformed(name)),
        };
        let (from, card, v) = (part("from")?, part("card")?, part("v")?);
        let mut secret = Zeroizing::new([0; 32]);
        hex::decode_to_slice(v, secret.as_mut()).map_err(|_| Error::Malformed("v"))?;
        // One way to write each: other readers refuse capital letters.
        if hex::encode(secret.as_slice()) != v {
            return Err(Error::Malformed("v"));
        }
        Ok(Self {
            code: Credential::new(part("invite")?.to_owned()).ok_or(Error::Malformed("invite"))?,
            from: UserId::parse(from)
                .filter(|user| user.to_string() == from)
                .ok_or(Error::Malformed("from"))?,
            card: card_hash(card)
                .filter(|hash| hash.to_string() == card)
                .ok_or(Error::Malformed("card"))?,
            name: parts.get("name").and_then(|name| FullName::parse(name)),
            secret,
        })
    }

    /// The newcomer's proof, which is `mac` of a body of kind `verify`. `own` is the newcomer's
    /// card.
    #[must_use]
    pub fn proof(&self, own: CardHash) -> String {
        hex::encode(self.mac(own))
    }

    /// Returns `true` if this is the proof of the newcomer with this card, whose card is then
    /// verified.
    #[must_use]
    pub fn is_proof(&self, newcomer: CardHash, mac: &str) -> bool {
        let expected = self.mac(newcomer);
        hex::decode(mac).is_ok_and(|mac| {
            // So that the time does not tell how much of a forged proof is right.
            constant_time::verify_slices_are_equal(expected.as_ref(), &mac).is_ok()
        })
    }

    fn mac(&self, newcomer: CardHash) -> hmac::Tag {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.secret.as_slice());
        // Over both cards, so that the proof is of no use with another card of either person.
        let text = [
            b"parlance invite 1\n".as_slice(),
            newcomer.as_bytes(),
            self.card.as_bytes(),
        ]
        .concat();
        hmac::sign(&key, &text)
    }
}

impl fmt::Debug for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Invitation(from {})", self.from)
    }
}
