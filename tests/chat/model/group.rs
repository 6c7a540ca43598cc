//! The model's groups: creating them, and changes by their admins and members.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Model, NAMES, Who, conversation::Conversation, is_refused};

impl Model {
    /// The possible refusals if a user may not change a group; empty if they may.
    pub(super) fn refusals_of_group(&self, who: Who, conversation: usize) -> Vec<&'static str> {
        let conversation = &self.conversations[conversation];
        match conversation.members.get(&who) {
            None => vec!["conversation_not_found"],
            Some(own) if !conversation.is_group || !own.is_admin => vec!["not_allowed"],
            Some(_) => vec![],
        }
    }

    pub(super) fn all_hear(&mut self, conversation: usize) {
        self.list_changed(
            self.conversations[conversation]
                .members
                .keys()
                .copied()
                .collect::<Vec<_>>(),
        );
    }

    /// Returns `true` if a user whom a friend adds joins at once, given the present participants.
    pub(super) fn is_put_in(&self, who: Who, whom: Who, there: &[Who]) -> bool {
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
        answer.ok();
        let before = self.all_invited();
        // Users who are only invited do not count.
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
        let mut conversation = Conversation::new(&view, true, members);
        conversation.invited = invited
            .iter()
            .map(|one| (*one, self.invitation(who, *one, "the group")))
            .collect();
        self.conversations.push(conversation);
        self.all_hear(self.conversations.len() - 1);
        self.expect_invitation_changes(&before);
        self.shows(self.conversations.len() - 1, who, &view);
    }

    /// Compares the invited users of an answer. Returns the conversation as a version 3 client
    /// would get it.
    pub(super) fn answers_invited(&self, answer: &Value, invited: &[Who]) -> Value {
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

    /// Requests a change to a group. Returns the answer if the change was made.
    pub(super) async fn changes(
        &mut self,
        who: Who,
        conversation: usize,
        action: &str,
        mut fields: Value,
        refusals: &[&str],
    ) -> Option<Value> {
        fields["action"] = action.into();
        fields["conversationid"] = self.conversations[conversation].id.clone().into();
        let version = if action == "addparticipants" { 4 } else { 3 };
        let answer = self.people[who]
            .asks_as(version, "chatconversationgroup", fields)
            .await;
        (!is_refused(&answer, refusals)).then(|| answer.json())
    }

    pub(super) async fn remove(&mut self, who: Who, conversation: usize, whom: Who) {
        if who == whom {
            return;
        }
        let refusals = self.refusals_of_group(who, conversation);
        let request = json!({ "participantids": [self.people[whom].user] });
        let Some(answer) = self
            .changes(who, conversation, "removeparticipants", request, &refusals)
            .await
        else {
            return;
        };
        let before = self.all_invited();
        self.all_hear(conversation);
        let changed = &mut self.conversations[conversation];
        changed.members.remove(&whom);
        changed
            .invited
            .retain(|invited, invitation| *invited != whom && invitation.by != whom);
        self.expected[whom]
            .conversations
            .remove(&self.conversations[conversation].id);
        self.expect_invitation_changes(&before);
        self.shows(conversation, who, &answer["conversation"]);
    }

    pub(super) async fn leave(&mut self, who: Who, conversation: usize) {
        let refusals = match self.conversations[conversation].members.get(&who) {
            None => vec!["conversation_not_found"],
            Some(_) if !self.conversations[conversation].is_group => vec!["not_allowed"],
            Some(_) => vec![],
        };
        if self
            .changes(who, conversation, "leave", json!({}), &refusals)
            .await
            .is_none()
        {
            return;
        }
        let before = self.all_invited();
        self.all_hear(conversation);
        let id = self.conversations[conversation].id.clone();
        self.expected[who].conversations.remove(&id);
        let (people, left) = (&self.people, &mut self.conversations[conversation]);
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
                self.withdraw_hidden(conversation);
            }
        }
        self.expect_invitation_changes(&before);
    }

    pub(super) async fn role(&mut self, who: Who, conversation: usize, whom: Who, is_admin: bool) {
        let mut refusals = self.refusals_of_group(who, conversation);
        let members = &self.conversations[conversation].members;
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
        let Some(answer) = self
            .changes(who, conversation, "setrole", request, &refusals)
            .await
        else {
            return;
        };
        let before = self.all_invited();
        if let Some(member) = self.conversations[conversation].members.get_mut(&whom)
            && member.is_admin != is_admin
        {
            member.is_admin = is_admin;
            self.all_hear(conversation);
            if is_admin {
                self.withdraw_hidden(conversation);
            }
        }
        self.expect_invitation_changes(&before);
        self.shows(conversation, who, &answer["conversation"]);
    }

    pub(super) async fn rename(&mut self, who: Who, conversation: usize, name: &str) {
        let refusals = self.refusals_of_group(who, conversation);
        let names: serde_json::Map<_, _> = (0..NAMES.len())
            .map(|who| (self.people[who].user.clone(), name.into()))
            .collect();
        let Some(answer) = self
            .changes(
                who,
                conversation,
                "rename",
                json!({ "displaynames": names }),
                &refusals,
            )
            .await
        else {
            return;
        };
        for member in self.conversations[conversation].members.values_mut() {
            name.clone_into(&mut member.name);
        }
        for invitation in self.conversations[conversation].invited.values_mut() {
            name.clone_into(&mut invitation.name);
        }
        self.all_hear(conversation);
        self.shows(conversation, who, &answer["conversation"]);
    }
}
