//! Plays random steps on a server and the model.

use std::sync::Arc;

use proptest::{prelude::*, test_runner::FileFailurePersistence};

use super::{
    Model, NAMES,
    step::{Start, Step, steps},
};
use crate::world::World;

/// Plays steps in a world of their own, which ends even on failure, as proptest then tries shorter
/// ones in many more worlds.
async fn play(steps: Vec<Step>) {
    let world = World::with(|settings| settings.login_tries = 1000).await;
    if let Err(failed) = tokio::spawn(play_in(world.clone(), steps)).await {
        world.db.close().await;
        world.stop().await;
        std::panic::resume_unwind(failed.into_panic());
    }
}

/// In the end every station resyncs.
async fn play_in(world: Arc<World>, steps: Vec<Step>) {
    let mut model = Model::begin(&world).await;
    for step in steps {
        model.takes(step).await;
    }
    for who in 0..NAMES.len() {
        model.poll(who).await;
        model.friends(who).await;
        model.blocklist(who).await;
        model.list(who).await;
        model.invitations(who).await;
        for conversation in 0..model.conversations.len() {
            model
                .read(who, conversation, &Start::Nothing, &Start::Nothing, false)
                .await;
        }
    }
    world.end().await;
}

#[test]
fn the_server_answers_like_the_model() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let config = ProptestConfig {
        cases: 48,
        max_shrink_iters: 200,
        // Committed together with the fix; each failing case is replayed before new ones.
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(
            "tests/chat/model/failures.txt",
        ))),
        ..ProptestConfig::default()
    };
    proptest!(config, |(steps in steps())| {
        runtime.block_on(play(steps));
    });
}
