//! Cards: the present and earlier keys of each user (docs/e2ee.md).

use std::time::Duration;

use parlance_wire::{
    e2ee::{Card, CardHash, Invalid, LOG_ENTRY_LEN, LogEntry, SignedCard, Tag},
    id::{ServerId, UserId},
    time::Timestamp,
};
use sqlx::PgConnection;

use super::{
    Db,
    db::End,
    deletion,
    error::{Result, impossible},
    key_log,
};
use crate::store::rows::{CardRow, KeysRow};

/// A card to be published, whose signatures are verified.
#[derive(Debug, Clone, Copy)]
pub struct NewCard<'a> {
    pub server: ServerId,
    pub signed: &'a SignedCard,
    /// Maximum cards that the user publishes within 24 hours.
    pub max_per_day: u32,
}

/// The outcome of publishing a card.
#[derive(Debug)]
pub enum Published {
    /// It is now the user's newest card.
    New,
    /// It was published before.
    Known,
    /// The user's newest card has this number and hash; `None` if there is none.
    Stale(Option<(u64, CardHash)>),
    /// It does not follow the user's newest card.
    Invalid(Invalid),
    /// The user may publish the next one after this time.
    TooMany(Duration),
    /// There is no such user.
    NoUser,
}

/// Publishes a card, in a transaction of its own.
pub(crate) async fn publish(db: &Db, new: NewCard<'_>, now: Timestamp) -> Result<Published> {
    db.transaction(async |c| {
        if !deletion::prevent(c, [new.signed.card.user()]).await? {
            return Ok(End::Rollback(Published::NoUser));
        }
        Ok(match append(c, new, now).await? {
            Published::New => End::Commit(Published::New),
            refused => End::Rollback(refused),
        })
    })
    .await
}

/// Adds a card to the user's cards and to the key log. It locks the log, so it comes after all
/// other locks of the transaction.
pub(super) async fn append(
    c: &mut PgConnection,
    new: NewCard<'_>,
    now: Timestamp,
) -> Result<Published> {
    let NewCard {
        server,
        signed,
        max_per_day,
    } = new;
    let (card, user) = (&signed.card, signed.card.user());
    let tag = Tag::of(server, user).map_err(|_| impossible("ids of that length"))?;
    let tree = key_log::lock(c).await?;
    // A separate statement, because only a new one sees what was committed before the lock was
    // taken.
    let newest = sqlx::query!(
        r#"select l.entry, (select n.card from cards n where n.user_id = $1 order by n.n desc limit 1) as card, (
            select extract(epoch from o.published_at + interval '1 day' - $3::timestamptz)::bigint from cards o
            where o.user_id = $1 order by o.n desc offset $2 limit 1
        ) as seconds_left
        from key_log l where substring(l.entry for 32) = $4 order by l.seq desc limit 1"#,
        user as _,
        i64::from(max_per_day.saturating_sub(1)),
        now as _,
        tag.as_bytes().as_slice(),
    )
    .fetch_optional(&mut *c)
    .await?;
    let mut seconds_left = None;
    if let Some(row) = newest {
        let entry = <[u8; LOG_ENTRY_LEN]>::try_from(row.entry)
            .map_err(|_| impossible("an entry of another length"))?;
        let entry = LogEntry::from_bytes(&entry);
        let before = row.card.map(|card| Card::parse(&card)).transpose();
        let before = before.map_err(|_| impossible("a card that is none"))?;
        if let Some(refused) = refusal(signed, &entry, before.as_ref()) {
            return Ok(refused);
        }
        seconds_left = row.seconds_left;
    } else if card.n() != 1 {
        return Ok(Published::Stale(None));
    }
    if let Some(seconds) = seconds_left.filter(|seconds| *seconds > 0) {
        return Ok(Published::TooMany(Duration::from_secs(
            seconds.unsigned_abs(),
        )));
    }
    let entry = LogEntry {
        tag,
        n: card.n(),
        card: card.hash(),
    };
    let log_seq = key_log::append(c, tree, entry).await?;
    sqlx::query!(
        "insert into cards (user_id, n, card, sign_signature, rsa_signature, prev_signature, log_seq, published_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8)",
        user as _,
        i64::try_from(card.n()).map_err(|_| impossible("a card of that number"))?,
        card.text(),
        signed.signatures.sign.as_ref(),
        signed.signatures.rsa.as_ref(),
        signed.signatures.prev.as_ref().map(AsRef::as_ref),
        log_seq,
        now as _,
    )
    .execute(c)
    .await?;
    Ok(Published::New)
}

/// The outcome for a card that does not follow the user's newest one. The log has that one's entry,
/// and it is `before`, unless it was deleted.
fn refusal(signed: &SignedCard, newest: &LogEntry, before: Option<&Card>) -> Option<Published> {
    let card = &signed.card;
    if card.hash() == newest.card {
        return Some(Published::Known);
    }
    if newest.n.checked_add(1) != Some(card.n()) {
        return Some(Published::Stale(Some((newest.n, newest.card))));
    }
    match before.filter(|before| before.hash() == newest.card) {
        Some(before) => signed.succeeds(before).err().map(Published::Invalid),
        // It was deleted with its user's account. A new owner of the address is someone else to
        // everyone who knew that card.
        None if card.prev() != Some(newest.card) => Some(Published::Invalid(Invalid::Order)),
        None if signed.signatures.prev.is_some() => {
            Some(Published::Invalid(Invalid::PredecessorSignature))
        }
        None => None,
    }
}

/// The keys of these users, with the cards after the number given for each, as far as the reader may see them: their own,
/// those of friends, and of everyone who takes part, or took part, in a conversation of the reader's. By user and number,
/// at most `limit` rows, where a user without such a card is one. Also returns `true` if there are more.
pub(crate) async fn seen_by(
    db: &Db,
    reader: UserId,
    users: &[(UserId, i64)],
    limit: usize,
) -> Result<(Vec<KeysRow>, bool)> {
    let (ids, after): (Vec<UserId>, Vec<i64>) = users.iter().copied().unzip();
    let one_more =
        i64::try_from(limit.saturating_add(1)).map_err(|_| impossible("a page of that size"))?;
    let rows = db
        .run(async |c| {
            sqlx::query_file!(
                "src/store/sql/cards.sql",
                reader as _,
                &ids as _,
                &after,
                one_more,
            )
            .fetch_all(c)
            .await
        })
        .await?;
    let has_more = rows.len() > limit;
    let mut seen: Vec<KeysRow> = vec![];
    for row in rows.into_iter().take(limit) {
        if seen.last().is_none_or(|last| last.user_id != row.user_id) {
            seen.push(KeysRow {
                user_id: row.user_id,
                public_key: row.public_key,
                cards: vec![],
            });
        }
        // All three, or none: an outer join.
        if let (Some(last), Some(card), Some(sign_signature), Some(rsa_signature)) = (
            seen.last_mut(),
            row.card,
            row.sign_signature,
            row.rsa_signature,
        ) {
            last.cards.push(CardRow {
                card,
                sign_signature,
                rsa_signature,
                prev_signature: row.prev_signature,
            });
        }
    }
    Ok((seen, has_more))
}

/// A user's newest card.
pub(crate) async fn newest(db: &Db, user: UserId) -> Result<Option<String>> {
    db.run(async |c| {
        sqlx::query_scalar!(
            "select card from cards where user_id = $1 order by n desc limit 1",
            user as _,
        )
        .fetch_optional(c)
        .await
    })
    .await
}

/// A user's public key, and the friends who have to be notified of other keys.
pub(crate) async fn owner(db: &Db, user: UserId) -> Result<Option<(String, Vec<UserId>)>> {
    let row = db
        .run(async |c| {
            sqlx::query!(
                r#"select public_key, friends_who_see(user_id) as "friends!: Vec<UserId>" from users where user_id = $1"#,
                user as _,
            )
            .fetch_optional(c)
            .await
        })
        .await?;
    Ok(row.map(|row| (row.public_key, row.friends)))
}
