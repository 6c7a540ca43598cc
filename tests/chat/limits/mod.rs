//! Limits of what one user may do: each is exceeded by one user while another goes on.

mod operator;
mod rates;
mod stations;
mod stored;

use std::sync::Arc;

use parlance::settings::PerUser;

use crate::world::{Answer, World};

/// A world with these limits of a user.
async fn with(change: impl FnOnce(&mut PerUser)) -> Arc<World> {
    World::with(|settings| change(&mut settings.per_user)).await
}

/// A refusal that names this figure, and says how long to wait: at most this many seconds.
#[track_caller]
fn is_used_up(answer: &Answer, figure: &str, most: u64) {
    let refusal = answer.refused(429, "rate_limited");
    let wait: u64 = answer.headers["Retry-After"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    let sentence = refusal["errormessage"].as_str().unwrap();
    assert!(
        (1..=most).contains(&wait) && sentence.contains(figure),
        "{wait} {sentence}"
    );
}
