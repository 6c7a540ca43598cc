//! The model's groups: who is put in, who is invited, and who is in them by their own yes.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    Model, NAMES, Who, is_refused,
    talk::{Invitation, Talk},
};

impl Model {
    /// What is answered if someone may not change a group; empty: they may.
    fn refusals_of_group(&self, who: Who, talk: usize) -> Vec<&'static str> {
        let talk = &self.talks[talk];
        match talk.members.get(&who) {
            None => vec!["conversation_not_found"],
            Some(own) if !talk.is_group || !own.is_admin => vec!["not_allowed"],
            Some(_) => vec![],
        }
    }

    /// Whether someone sees that they are invited.
    fn sees_invitation(&self, who: Who, talk: usize) -> bool {
        let talk = &self.talks[talk];
        let has_blocked = |other: Who| self.blocks.contains(&(who, other));
        let is_run_by_blocked = talk
            .members
            .iter()
            .any(|(other, member)| member.is_admin && has_blocked(*other));
        talk.invited
            .get(&who)
            .is_some_and(|invitation| !has_blocked(invitation.by))
            && !is_run_by_blocked
    }

    /// Everyone who sees an invitation, to what, and by whom.
    pub(super) fn all_invited(&self) -> BTreeSet<(Who, usize, Who)> {
        let all =
            (0..NAMES.len()).flat_map(|who| (0..self.talks.len()).map(move |talk| (who, talk)));
        all.filter(|(who, talk)| self.sees_invitation(*who, *talk))
            .map(|(who, talk)| (who, talk, self.talks[talk].invited[&who].by))
            .collect()
    }

    /// Invitations that are not shown end when someone becomes an admin.
    fn withdraw_hidden(&mut self, talk: usize) {
        let shown: Vec<Who> = (0..NAMES.len())
            .filter(|who| self.sees_invitation(*who, talk))
            .collect();
        self.talks[talk]
            .invited
            .retain(|who, _| shown.contains(who));
    }

    /// Who sees other invitations than before hears of it.
    pub(super) fn invited_anew(&mut self, before: &BTreeSet<(Who, usize, Who)>) {
        let now = self.all_invited();
        self.list_changed(now.symmetric_difference(before).map(|(who, ..)| *who));
    }

    fn all_hear(&mut self, talk: usize) {
        self.list_changed(self.talks[talk].members.keys().copied().collect::<Vec<_>>());
    }

    /// Whether someone who is added by a friend is put in at once, where these are.
    fn is_put_in(&self, who: Who, whom: Who, there: &[Who]) -> bool {
        self.are_friends(who, whom)
            && !there
                .iter()
                .any(|other| self.blocks.contains(&(whom, *other)))
    }

    pub(super) async fn group(&mut self, who: Who, others: &[Who]) {
        let others: BTreeSet<Who> = others
            .iter()
            .copied()
            .filter(|other| *other != who)
            .collect();
        let everyone: Vec<Who> = others.iter().copied().chain([who]).collect();
        let ids: Vec<&str> = others
            .iter()
            .map(|who| self.people[*who].user.as_str())
            .collect();
        let request = json!({ "action": "create", "displayname": "the group", "participantids": ids, "secrets": self.secrets(&everyone) });
        let answer = self.people[who]
            .asks_as(4, "chatconversationgroup", request)
            .await;
        let is_blocked = others
            .iter()
            .any(|other| self.are_friends(who, *other) && self.blocks.contains(&(*other, who)));
        if is_refused(&answer, if is_blocked { &["not_allowed"] } else { &[] }) {
            return;
        }
        let before = self.all_invited();
        // Whoever is only invited is not met.
        let met: Vec<Who> = everyone
            .iter()
            .copied()
            .filter(|one| *one == who || self.are_friends(who, *one))
            .collect();
        let (put_in, invited): (Vec<Who>, Vec<Who>) = others
            .iter()
            .partition(|other| self.is_put_in(who, **other, &met));
        let view = self.answers_invited(&answer.json(), &invited);
        let members = put_in
            .iter()
            .chain([&who])
            .map(|one| (*one, self.member(*one, "the group", *one == who)))
            .collect();
        let mut talk = Talk::new(&view, true, members);
        talk.invited = invited
            .iter()
            .map(|one| (*one, self.invitation(who, *one, "the group")))
            .collect();
        self.talks.push(talk);
        self.all_hear(self.talks.len() - 1);
        self.invited_anew(&before);
        self.shows(self.talks.len() - 1, who, &view);
    }

    fn invitation(&self, by: Who, of: Who, name: &str) -> Invitation {
        Invitation {
            by,
            secret: format!("secret {of}"),
            name: name.to_owned(),
            since: self.clock,
        }
    }

    /// Compares who is answered to be invited; answers the conversation as a published client is shown it.
    fn answers_invited(&self, answer: &Value, invited: &[Who]) -> Value {
        let mut ids: Vec<&str> = invited
            .iter()
            .map(|who| self.people[*who].user.as_str())
            .collect();
        ids.sort_unstable();
        assert_eq!(answer["invited"], json!(ids));
        let mut view = answer["conversation"].clone();
        view.as_object_mut().unwrap().remove("chain");
        view
    }

    /// Asks for a change to a group. What is answered, if it was made.
    async fn changes(
        &mut self,
        who: Who,
        talk: usize,
        action: &str,
        mut fields: Value,
        refusals: &[&str],
    ) -> Option<Value> {
        fields["action"] = action.into();
        fields["conversationid"] = self.talks[talk].id.clone().into();
        let version = if action == "addparticipants" { 4 } else { 3 };
        let answer = self.people[who]
            .asks_as(version, "chatconversationgroup", fields)
            .await;
        (!is_refused(&answer, refusals)).then(|| answer.json())
    }

    pub(super) async fn invite(&mut self, who: Who, talk: usize, whom: Who) {
        let mut refusals = self.refusals_of_group(who, talk);
        let is_in = self.talks[talk].members.contains_key(&whom);
        if refusals.is_empty()
            && !is_in
            && self.are_friends(who, whom)
            && self.blocks.contains(&(whom, who))
        {
            refusals.push("not_allowed");
        }
        let request = json!({
            "participantids": [self.people[whom].user], "secrets": self.secrets(&[whom]),
            "displaynames": { self.people[whom].user.clone(): "invited" },
        });
        let Some(answer) = self
            .changes(who, talk, "addparticipants", request, &refusals)
            .await
        else {
            return;
        };
        let before = self.all_invited();
        let there: Vec<Who> = self.talks[talk].members.keys().copied().collect();
        let departed = self.talks[talk].departed.get(&whom).copied();
        let is_put_in = departed.is_none() && self.is_put_in(who, whom, &there);
        let view = self.answers_invited(
            &answer,
            if is_in || is_put_in {
                &[]
            } else {
                std::slice::from_ref(&whom)
            },
        );
        let (member, invitation) = (
            self.member(whom, "invited", false),
            self.invitation(who, whom, "invited"),
        );
        let gives_way = |by: Who| {
            self.blocks.contains(&(whom, by))
                || self.are_friends(who, whom) && !self.are_friends(by, whom)
        };
        let is_open = self.talks[talk]
            .invited
            .get(&whom)
            .is_none_or(|before| gives_way(before.by));
        let changed = &mut self.talks[talk];
        if is_put_in && !is_in {
            changed.invited.remove(&whom);
            changed.members.insert(whom, member);
        } else if !is_in && departed != Some(true) && is_open {
            changed.invited.insert(whom, invitation);
        }
        self.all_hear(talk);
        self.invited_anew(&before);
        self.shows(talk, who, &view);
    }

    pub(super) async fn accept(&mut self, who: Who, talk: usize) {
        let is_in = self.talks[talk].members.contains_key(&who);
        let refusals: &[_] = match () {
            () if is_in && !self.talks[talk].is_group => &["not_allowed"],
            () if is_in || self.sees_invitation(who, talk) => &[],
            () => &["conversation_not_found"],
        };
        let Some(answer) = self.changes(who, talk, "accept", json!({}), refusals).await else {
            return;
        };
        let before = self.all_invited();
        if let Some(invitation) = self.talks[talk].invited.remove(&who) {
            let mut member = self.member(who, &invitation.name, false);
            member.secret = invitation.secret;
            self.talks[talk].members.insert(who, member);
            self.talks[talk].departed.remove(&who);
            self.talks[talk].declined.remove(&who);
        }
        if is_in {
            self.list_changed([who]);
        } else {
            self.all_hear(talk);
        }
        self.invited_anew(&before);
        self.shows(talk, who, &answer["conversation"]);
    }

    pub(super) async fn decline(&mut self, who: Who, talk: usize) {
        let is_invited = self.sees_invitation(who, talk);
        let refusals: &[_] = if is_invited || self.talks[talk].declined.contains(&who) {
            &[]
        } else {
            &["conversation_not_found"]
        };
        if self
            .changes(who, talk, "decline", json!({}), refusals)
            .await
            .is_none()
            || !is_invited
        {
            return;
        }
        let before = self.all_invited();
        self.talks[talk].invited.remove(&who);
        self.talks[talk].departed.insert(who, true);
        self.talks[talk].declined.insert(who);
        self.invited_anew(&before);
    }

    pub(super) async fn invitations(&self, who: Who) {
        let answer = self.people[who]
            .asks_as(
                4,
                "chatconversationgroup",
                json!({ "action": "invitations" }),
            )
            .await
            .is_ok();
        let mut expected: Vec<_> = self
            .talks
            .iter()
            .enumerate()
            .filter(|(talk, _)| self.sees_invitation(who, *talk))
            .collect();
        expected.sort_by_key(|(_, talk)| std::cmp::Reverse(talk.invited[&who].since));
        let mut shown = answer["invitations"].clone();
        for view in shown.as_array_mut().unwrap() {
            assert!(view.as_object_mut().unwrap().remove("invited").is_some());
        }
        let expected: Value = expected
            .into_iter()
            .map(|(_, talk)| {
                let invitation = &talk.invited[&who];
                let is_known = |other: &Who| self.are_friends(who, *other) || self.blocks.contains(&(who, *other));
                let mut known: Vec<&str> =
                    talk.members.keys().filter(|other| is_known(other)).map(|other| self.people[*other].user.as_str()).collect();
                known.sort_unstable();
                json!({
                    "conversationid": talk.id, "inviterid": self.people[invitation.by].user, "invitername": NAMES[invitation.by],
                    "secret": invitation.secret, "displayname": invitation.name, "participantids": known,
                })
            })
            .collect();
        assert_eq!(shown, expected);
    }

    pub(super) async fn day(&mut self) {
        self.people[0]
            .world
            .sql("update departures set departed_at = departed_at - interval '1 day'")
            .await;
        for talk in &mut self.talks {
            talk.departed.values_mut().for_each(|just| *just = false);
        }
    }

    pub(super) async fn remove(&mut self, who: Who, talk: usize, whom: Who) {
        if who == whom {
            return;
        }
        let refusals = self.refusals_of_group(who, talk);
        let request = json!({ "participantids": [self.people[whom].user] });
        let Some(answer) = self
            .changes(who, talk, "removeparticipants", request, &refusals)
            .await
        else {
            return;
        };
        let before = self.all_invited();
        self.all_hear(talk);
        let changed = &mut self.talks[talk];
        changed.members.remove(&whom);
        changed
            .invited
            .retain(|invited, invitation| *invited != whom && invitation.by != whom);
        self.due[whom].conversations.remove(&self.talks[talk].id);
        self.invited_anew(&before);
        self.shows(talk, who, &answer["conversation"]);
    }

    pub(super) async fn leave(&mut self, who: Who, talk: usize) {
        let refusals = match self.talks[talk].members.get(&who) {
            None => vec!["conversation_not_found"],
            Some(_) if !self.talks[talk].is_group => vec!["not_allowed"],
            Some(_) => vec![],
        };
        if self
            .changes(who, talk, "leave", json!({}), &refusals)
            .await
            .is_none()
        {
            return;
        }
        let before = self.all_invited();
        self.all_hear(talk);
        let id = self.talks[talk].id.clone();
        self.due[who].conversations.remove(&id);
        let (people, left) = (&self.people, &mut self.talks[talk]);
        left.members.remove(&who);
        left.departed.insert(who, false);
        left.declined.remove(&who);
        if left.members.is_empty() {
            left.invited.clear();
            left.departed.clear();
            left.declined.clear();
        }
        if !left.members.values().any(|member| member.is_admin) {
            let longest = left
                .members
                .iter_mut()
                .min_by_key(|(who, member)| (member.joined, people[**who].user.clone()));
            if let Some((_, longest)) = longest {
                longest.is_admin = true;
                self.withdraw_hidden(talk);
            }
        }
        self.invited_anew(&before);
    }

    pub(super) async fn role(&mut self, who: Who, talk: usize, whom: Who, is_admin: bool) {
        let mut refusals = self.refusals_of_group(who, talk);
        let members = &self.talks[talk].members;
        if refusals.is_empty() && !members.contains_key(&whom) {
            refusals.push("user_not_found");
        }
        if refusals.is_empty()
            && !is_admin
            && !members
                .iter()
                .any(|(other, member)| member.is_admin && *other != whom)
        {
            refusals.push("not_allowed");
        }
        let request = json!({ "participantid": self.people[whom].user, "role": if is_admin { "admin" } else { "member" } });
        let Some(answer) = self.changes(who, talk, "setrole", request, &refusals).await else {
            return;
        };
        let before = self.all_invited();
        if let Some(member) = self.talks[talk].members.get_mut(&whom)
            && member.is_admin != is_admin
        {
            member.is_admin = is_admin;
            self.all_hear(talk);
            if is_admin {
                self.withdraw_hidden(talk);
            }
        }
        self.invited_anew(&before);
        self.shows(talk, who, &answer["conversation"]);
    }

    pub(super) async fn rename(&mut self, who: Who, talk: usize, name: &str) {
        let refusals = self.refusals_of_group(who, talk);
        let names: serde_json::Map<_, _> = (0..NAMES.len())
            .map(|who| (self.people[who].user.clone(), name.into()))
            .collect();
        let Some(answer) = self
            .changes(
                who,
                talk,
                "rename",
                json!({ "displaynames": names }),
                &refusals,
            )
            .await
        else {
            return;
        };
        for member in self.talks[talk].members.values_mut() {
            name.clone_into(&mut member.name);
        }
        for invitation in self.talks[talk].invited.values_mut() {
            name.clone_into(&mut invitation.name);
        }
        self.all_hear(talk);
        self.shows(talk, who, &answer["conversation"]);
    }
}
