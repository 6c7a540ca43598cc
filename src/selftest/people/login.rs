//! Registration and login, before anyone can sign.

use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;

use crate::{
    bench::client::Client,
    selftest::{
        cluster::Cluster,
        form::Id,
        request::{From, Request, V3},
        rng::Rng,
    },
};

/// Maximum time for a registration or a login.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(20);

/// Registers or logs in, without a signature.
pub(super) async fn register_or_log_in(
    cluster: &Cluster,
    station: Id,
    fields: Value,
    rng: &mut Rng,
) -> Result<Value, String> {
    let asked = Request {
        api: "chatlogin",
        version: V3,
        fields,
    };
    let address = cluster.address(0).ok_or("there are no nodes")?;
    let request = asked.bytes(&cluster.key, address, From::Unsigned(station), rng)?;
    let failed = |why: &dyn std::fmt::Display| format!("{} failed: {why}", asked.action());
    let answer = async {
        let mut client = Client::connect(address).await?;
        let refusal = client.ask(&request).await?;
        Ok::<_, std::io::Error>((refusal, client.body().to_vec()))
    };
    // Not repeated: faults begin only after everyone is registered.
    match timeout(LOGIN_TIMEOUT, answer)
        .await
        .map_err(|error| failed(&error))?
        .map_err(|error| failed(&error))?
    {
        (None, body) => serde_json::from_slice(&body).map_err(|error| failed(&error)),
        (Some(code), _) => Err(failed(&code)),
    }
}
