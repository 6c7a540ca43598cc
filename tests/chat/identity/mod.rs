//! Authentication: signatures, stations, clocks, nonces, and the refusals of malformed requests.

mod flood;
mod replay;
mod request;
mod signature;

use serde_json::json;

use crate::world::now;

fn list() -> String {
    json!({ "action": "list", "clientversioncode": 3, "timestamp": now() }).to_string()
}
