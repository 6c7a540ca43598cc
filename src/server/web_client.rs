//! Serves the web client: its files, as `script/web` built them and `build.rs` embedded them.

use std::sync::LazyLock;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        Method,
        header::{
            self, AcceptEncoding, ContentEncoding, Encoding, EntityTag, Header, HeaderName,
            HeaderValue, IfNoneMatch,
        },
    },
    web::Bytes,
};
use aws_lc_rs::digest::{SHA256, digest};

use crate::api::error::Error;

/// A file of the client.
struct File {
    path: &'static str,
    content_type: &'static str,
    plain: &'static [u8],
    brotli: Option<&'static [u8]>,
    gzip: Option<&'static [u8]>,
}

include!(concat!(env!("OUT_DIR"), "/web_client.rs"));

/// The page at `/` in a binary without the client.
const NO_CLIENT: &str = "<!doctype html><html lang=\"en\"><title>Parlance</title>\
    <p>This server was built without the web client. Run <code>script/web</code>, and build it again.</p></html>\n";

/// The page may load what this server serves and connect to this server. Scripts come from its
/// files alone, and no text becomes markup.
// `'wasm-unsafe-eval'`: argon2id comes as WebAssembly (docs/e2ee.md, Vault). `trusted-types
// parlance`: the only policy, which passes the service worker's address to the browser.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; \
    img-src 'self' blob: data:; media-src blob:; font-src 'self'; connect-src 'self'; worker-src 'self'; \
    manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types parlance";

/// The headers of each file, in addition to those of every answer.
const HEADERS: [(&str, &str); 6] = [
    ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("Permissions-Policy", "microphone=(self)"),
    ("Vary", "Accept-Encoding"),
];

/// The beginning of each file's entity tag, in the order of [`FILES`].
static TAGS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let tag = |file: &File| hex::encode(digest(&SHA256, file.plain));
    FILES.iter().map(tag).collect()
});

/// Returns `true` if a browser opens the server's address, as opposed to a call of the API.
pub(super) fn is_page(request: &actix_web::dev::RequestHead) -> bool {
    matches!(request.method, Method::GET | Method::HEAD) && request.uri.query().is_none()
}

/// Serves a file of the client by its path.
///
/// # Errors
/// `UnknownApi`: there is no such file, or the method is not for files.
pub(super) async fn serve(request: HttpRequest) -> Result<HttpResponse, Error> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(Error::UnknownApi);
    }
    let path = request.path();
    let Some((index, file)) = FILES.iter().enumerate().find(|(_, file)| file.path == path) else {
        if path == "/" {
            return Ok(HttpResponse::NotFound()
                .content_type("text/html; charset=utf-8")
                .body(NO_CLIENT));
        }
        return Err(Error::UnknownApi);
    };
    let (encoding, bytes) = representation(&request, file);
    // Each encoding has different bytes, and so needs a strong tag of its own.
    let tag = TAGS
        .get(index)
        .map(|tag| EntityTag::new_strong(format!("{tag}-{encoding}")))
        .ok_or_else(|| Error::internal("a file of the client without its tag"))?;
    let is_known = match IfNoneMatch::parse(&request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(known)) => known.iter().any(|known| known.weak_eq(&tag)),
        Err(_) => false,
    };
    let mut response = if is_known {
        HttpResponse::NotModified()
    } else {
        HttpResponse::Ok()
    };
    for (name, value) in HEADERS {
        response.insert_header((
            HeaderName::from_bytes(name.as_bytes())
                .map_err(|error| Error::internal(error.to_string()))?,
            HeaderValue::from_static(value),
        ));
    }
    // Names in assets/ change with the content; other files are revalidated each time.
    let caching = if path.starts_with("/assets/") {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    response.insert_header((header::CACHE_CONTROL, caching));
    response.insert_header((header::ETAG, tag.to_string()));
    if encoding != ContentEncoding::Identity.as_str() {
        response.insert_header((header::CONTENT_ENCODING, encoding));
    }
    response.content_type(file.content_type);
    // After a 304, a body would be taken for the beginning of the connection's next answer.
    Ok(if is_known {
        response.finish()
    } else {
        response.body(Bytes::from_static(bytes))
    })
}

/// The smallest form of a file that the client can read, and the name of its encoding.
fn representation(request: &HttpRequest, file: &File) -> (&'static str, &'static [u8]) {
    let accepts = |encoding: &Encoding| {
        AcceptEncoding::parse(request).is_ok_and(|accepted| {
            // Without the header nothing is compressed: the negotiated encoding is then always
            // `identity`.
            accepted.negotiate([encoding, &Encoding::identity()].into_iter())
                == Some(encoding.clone())
        })
    };
    for (encoding, bytes) in [
        (ContentEncoding::Brotli, file.brotli),
        (ContentEncoding::Gzip, file.gzip),
    ] {
        if let Some(bytes) = bytes
            && accepts(&Encoding::Known(encoding))
        {
            return (encoding.as_str(), bytes);
        }
    }
    (ContentEncoding::Identity.as_str(), file.plain)
}
