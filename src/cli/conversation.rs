//! `parlance conversation`: lists, shows and deletes conversations.

use clap::{Args, Subcommand};
use serde_json::json;

use super::{Error, Purpose, actor::actor, print_json, say, user::Who, with_database};
use crate::{
    settings::Settings,
    store::oversight::{self, Filter, Member, Overview},
};
use parlance_wire::{id::ConversationId, time::Timestamp};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List conversations, by id
    List(List),
    /// Show who takes part in a conversation, and how much each has sent
    Show {
        /// The conversation's id
        #[arg(value_parser = id)]
        id: ConversationId,
        /// For scripts: one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Delete a conversation for everyone, with all its messages
    Delete {
        /// The conversation's id
        #[arg(value_parser = id)]
        id: ConversationId,
        /// Confirm: this cannot be undone
        #[arg(long)]
        yes: bool,
        /// For scripts: one JSON object
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// Only conversations that this user takes part in (an address or id)
    #[arg(long)]
    user: Option<String>,
    /// Only groups
    #[arg(long, conflicts_with = "direct")]
    groups: bool,
    /// Only direct conversations
    #[arg(long)]
    direct: bool,
    /// How many to show
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    /// Continue after this id
    #[arg(long, value_parser = id)]
    after: Option<ConversationId>,
    /// For scripts: one JSON array
    #[arg(long)]
    json: bool,
}

fn id(text: &str) -> Result<ConversationId, String> {
    ConversationId::parse(text).ok_or_else(|| "an id has 32 hexadecimal digits".into())
}

/// Runs the command.
pub(super) async fn run(settings: &Settings, command: Command) -> Result<(), Error> {
    match command {
        Command::List(list) => self::list(settings, &list).await,
        Command::Show { id, json } => show(settings, id, json).await,
        Command::Delete { id, yes, json } => delete(settings, id, yes, json).await,
    }
}

async fn list(settings: &Settings, list: &List) -> Result<(), Error> {
    let user = list.user.as_deref().map(Who::parse).transpose()?;
    let filter = Filter {
        user: user.map(|user| user.id),
        groups: match (list.groups, list.direct) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        },
        after: list.after,
    };
    // Fetches one row more than is shown, to know whether there are more.
    let found = with_database(settings, Purpose::Look, async |db| {
        Ok(oversight::list(db, &filter, i64::from(list.limit) + 1).await?)
    })
    .await?;
    let (shown, more) = found.split_at(found.len().min(list.limit as usize));
    if list.json {
        return print_json(&shown.iter().map(as_json).collect::<Vec<_>>());
    }
    for one in shown {
        say(format_args!("{}", as_text(one)))?;
    }
    match (shown.last(), more.is_empty()) {
        (None, _) => say(format_args!("There are no such conversations.")),
        (Some(end), false) => say(format_args!(
            "There are more: --after {}",
            end.conversation_id
        )),
        (Some(_), true) => Ok(()),
    }
}

fn as_json(one: &Overview) -> serde_json::Value {
    json!({
        "id": one.conversation_id, "isgroup": one.is_group, "participants": one.participants, "rows": one.rows,
        "created": one.created_at, "lastaccess": one.last_access_at,
    })
}

fn as_text(one: &Overview) -> String {
    let kind = if one.is_group { "group" } else { "direct" };
    format!(
        "{}  {kind}  {} participants, {} messages and reports, created {}, newest message {}",
        one.conversation_id, one.participants, one.rows, one.created_at, one.last_access_at
    )
}

async fn show(settings: &Settings, id: ConversationId, json: bool) -> Result<(), Error> {
    let found = with_database(settings, Purpose::Look, async |db| {
        Ok(oversight::show(db, id).await?)
    })
    .await?;
    let (overview, members) = found.ok_or(Error::NoSuchConversation(id))?;
    if json {
        let mut shown = as_json(&overview);
        let member = |member: &Member| {
            json!({
                "userid": member.user_id, "email": member.email, "role": member.role, "joined": member.joined_at,
                "messages": member.messages, "bytes": member.bytes,
            })
        };
        if let Some(fields) = shown.as_object_mut() {
            fields.insert("members".into(), members.iter().map(member).collect());
        }
        return print_json(&shown);
    }
    say(format_args!("{}", as_text(&overview)))?;
    for member in &members {
        say(format_args!(
            "  {}  {}  {}, since {}, {} messages, {} bytes",
            member.user_id,
            member.email.as_deref().unwrap_or("(left)"),
            member.role,
            member.joined_at,
            member.messages,
            member.bytes
        ))?;
    }
    Ok(())
}

async fn delete(
    settings: &Settings,
    id: ConversationId,
    yes: bool,
    json: bool,
) -> Result<(), Error> {
    if !yes {
        return Err(Error::NotConfirmed);
    }
    let deleted = with_database(settings, Purpose::Change, async |db| {
        Ok(oversight::delete(db, id, &actor(), Timestamp::now()).await?)
    })
    .await?;
    if !deleted {
        return Err(Error::NoSuchConversation(id));
    }
    if json {
        return print_json(&json!({ "deleted": id }));
    }
    say(format_args!("Deleted the conversation {id}."))
}
