//! Refuses requests that a page of another site makes a browser send. Programs send none of the
//! headers that are looked at here.

use std::net::IpAddr;

use actix_web::{
    HttpRequest,
    http::header::{HOST, HeaderName, ORIGIN},
};
use url::{Host, Url};

use crate::{api::error::Error, chat::error::Error as ChatError, settings::Settings};

// As a name: to look up a text is to parse it into one each time.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Refuses a browser's request from a page that neither this server nor one of `ALLOWED_ORIGINS` served.
///
/// # Errors
/// `NotAllowed`.
pub(super) fn check(settings: &Settings, request: &HttpRequest) -> Result<(), Error> {
    let header = |name: &HeaderName| {
        let value = request.headers().get(name)?;
        Some(value.to_str().unwrap_or_default())
    };
    let (site, origin) = (header(&FETCH_SITE), header(&ORIGIN));
    if site.is_none() && origin.is_none() {
        return Ok(());
    }
    if settings.allows_origin(origin) {
        return Ok(());
    }
    let host = header(&HOST).unwrap_or_default();
    let own = matches!(site, None | Some("same-origin" | "none"))
        && origin.is_none_or(|origin| is_own_origin(settings, origin, host))
        && (!settings.listen_addr.ip().is_loopback() || is_own_name(settings, host));
    if own {
        Ok(())
    } else {
        Err(ChatError::NotAllowed(
            "This request is from a page of another site. Open the server's own address, which is the one in PUBLIC_URL.",
        )
        .into())
    }
}

/// Returns `true` for the origin that the browser sees at this host, or at the public address. The
/// scheme is not compared, as a proxy may speak TLS.
fn is_own_origin(settings: &Settings, origin: &str, host: &str) -> bool {
    let authority = origin.split_once("://").map_or("", |(_, rest)| rest);
    authority.eq_ignore_ascii_case(host) && !host.is_empty()
        || Url::parse(&settings.public_url)
            .is_ok_and(|url| url.origin().ascii_serialization() == origin)
}

/// Returns `true` for a name of this machine, or of the public address. Any other name was made to
/// point to this machine by somebody else, whose page then counts as the server's own.
fn is_own_name(settings: &Settings, host: &str) -> bool {
    let Ok(url) = Url::parse(&format!("http://{host}")) else {
        return false;
    };
    let is_local = match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::from(address).is_loopback(),
        None => false,
    };
    is_local
        || Url::parse(&settings.public_url).is_ok_and(|public| public.host_str() == url.host_str())
}
