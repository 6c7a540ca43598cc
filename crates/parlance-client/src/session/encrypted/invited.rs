//! Invitations that verify both people (docs/e2ee.md, Comparing keys).

use parlance_wire::{
    id::{InviteId, UserId},
    key::Credential,
    text::FullName,
    time::Timestamp,
};
use url::Url;

use super::{Reader, say::NewMessage};
use crate::{
    answer::Conversation,
    e2ee::{self, Card, CardHash, Invitation, Kind, SigningKey, State},
    error::Error,
    session::Session,
};

/// An invitation that was made for one person.
#[derive(Debug)]
pub struct Invited {
    /// Its id, for revoking it.
    pub id: InviteId,
    /// The link to give to that person, and to nobody else.
    pub link: Url,
    /// What their proof is checked with ([`Pins::prove`](e2ee::Pins::prove)). The server does not know
    /// its secret, so it is to be kept until then.
    pub invitation: Invitation,
    /// When it expires.
    pub expires: Timestamp,
}

/// Invitations.
impl Session {
    /// Invites one person, who becomes a friend: the link has the user's name and card, and a
    /// secret with which the newcomer proves theirs.
    ///
    /// # Errors
    /// `UnknownSigner`: the user has no card here. Otherwise as for [`invite`](Self::invite).
    pub async fn invite_person(
        &self,
        state: &State,
        email: Option<&str>,
        expires: Option<Timestamp>,
    ) -> Result<Invited, Error> {
        let me = self.user();
        let card = own_card(state, me)?;
        let made = self.invite(email, 1, expires).await?;
        let invalid = || Error::Invalid("the invitation");
        let page = Url::parse(&made.link).map_err(|_| invalid())?;
        let code = Credential::new(made.invite).ok_or_else(invalid)?;
        let mut invitation = Invitation::new(code, me, card)?;
        invitation.name = FullName::parse(&self.login().nick);
        Ok(Invited {
            id: made.inviteid,
            link: invitation.link(&page),
            invitation,
            expires: made.expires,
        })
    }

    /// What a newcomer does who has registered with an invitation's code and has published a card:
    /// verifies the inviter, whose card has to be the link's, and sends the inviter the proof in their
    /// direct conversation, which is begun unless there is one.
    ///
    /// # Errors
    /// `DifferentCard`: the server shows another card of the inviter's. As for [`direct`](Self::direct),
    /// [`read`](Self::read) and [`say`](Self::say).
    pub async fn prove_invitation(
        &self,
        state: &mut State,
        sign: &SigningKey,
        invitation: &Invitation,
    ) -> Result<Conversation, Error> {
        let (me, from) = (self.user(), invitation.from);
        self.meet(state, &[me, from].into()).await?;
        let own = own_card(state, me)?;
        state.pins.verify(from, invitation.card)?;
        let mut conversation = self.direct(state, sign, from).await?;
        let mut reader = Reader::new();
        self.read(state, &mut conversation, &mut reader).await?;
        let proof = NewMessage::new(Kind::Verify {
            mac: invitation.proof(own),
        });
        self.say(state, sign, &mut conversation, &reader, proof)
            .await?;
        Ok(conversation)
    }
}

fn own_card(state: &State, me: UserId) -> Result<CardHash, e2ee::Error> {
    let card = state.pins.cards(me).last().map(Card::hash);
    card.ok_or(e2ee::Error::UnknownSigner(me))
}
