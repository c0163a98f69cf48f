//! The work of the fuzz targets on their bytes, and the rules that must hold whatever the bytes
//! are.
//!
//! The bodies stand here so that the committed corpus runs as an ordinary test, on any toolchain.
//! Inputs that are HTTP answers are written as one byte that picks the status, header lines, an empty
//! line and the body; the others are what their reader reads.

mod event_stream;
mod session_ops;

use http::header::{HeaderName, HeaderValue, LOCATION, WWW_AUTHENTICATE};
use http::{HeaderMap, Response};
use mcp_authz_core::effect::LoopbackHost;
use mcp_authz_core::internals::authorize::{self, Outcome};
use mcp_authz_core::internals::challenge::{Challenge, read_challenge};
use mcp_authz_core::internals::client_auth::{Method, Methods};
use mcp_authz_core::internals::metadata::{
    Finding, ServerRules, check_resource, check_server_metadata, classify, read_resource_metadata,
    read_server_metadata,
};
use mcp_authz_core::internals::registration::{self, LONGEST_CLIENT_ID, read_registration};
use mcp_authz_core::internals::retry_after::{LONGEST_WAIT, read_retry_after};
use mcp_authz_core::internals::token::{LONGEST_LIFETIME, LONGEST_TOKEN, TokenRules, read_tokens};
use mcp_authz_core::internals::url::resolve_redirect;
use mcp_authz_core::internals::well_known::{Place, resource_candidates, server_candidates};
use mcp_authz_core::internals::{McpUrl, Reach, RedirectUri, ServerUrl};
use mcp_authz_core::scope::ScopeSet;
use mcp_authz_core::secret::Secret;
use mcp_authz_core::time::Timestamp;
use url::Url;

use crate::schedule::{Schedule, prove};

pub use event_stream::{Decode, Seen, event_stream, reference};
pub use session_ops::{record, session_ops, snapshot};

/// A target: bytes in, a panic if something does not hold.
pub type Body = fn(&[u8]);

/// Every target by name, but for `sse`, whose decoder is not the core's: the glue beside the suites has
/// it. The names of the folders of the corpus.
pub const ALL: &[(&str, Body)] = &[
    ("callback", callback),
    ("challenge", challenge),
    ("record", record),
    ("registration", registration),
    ("resource_metadata", resource_metadata),
    ("schedules", schedules),
    ("server_metadata", server_metadata),
    ("server_url", server_url),
    ("session_ops", session_ops),
    ("snapshot", snapshot),
    ("token_damage", token_damage),
    ("token_response", token_response),
];

const MCP_URL: &str = "https://mcp.example/mcp";
const NOW: Timestamp = Timestamp::from_unix(1_785_542_400);
const STATUSES: [u16; 16] =
    [200, 201, 202, 204, 206, 301, 304, 307, 400, 401, 403, 404, 405, 429, 500, 503];

/// A schedule of a whole world; see [`crate::schedule`].
///
/// # Panics
/// If a rule does not hold; the message is the shortest script that shows it.
pub fn schedules(data: &[u8]) {
    let Some(schedule) = Schedule::read(data) else { return };
    if let Err(text) = prove(&schedule, "this input") {
        panic!("{text}");
    }
}

fn mcp() -> McpUrl {
    McpUrl::parse(MCP_URL, &[], false).expect("the URL is good")
}

fn reach(of: &McpUrl) -> Reach {
    Reach::new(of, Vec::new(), Vec::new(), false)
}

/// An HTTP answer; `None` if the bytes are too few for one.
fn response(data: &[u8]) -> Option<Response<Vec<u8>>> {
    let (first, rest) = data.split_first()?;
    let (head, body) = match rest.windows(2).position(|pair| pair == b"\n\n") {
        Some(at) => (rest.get(..at)?, rest.get(at + 2..)?),
        None => (&b""[..], rest),
    };
    let mut response = Response::new(body.to_vec());
    let index = usize::from(*first) % STATUSES.len();
    *response.status_mut() = STATUSES.get(index)?.to_owned().try_into().ok()?;
    for line in head.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = line.split_at(colon);
        let name = HeaderName::from_bytes(name);
        let value = HeaderValue::from_bytes(value.get(1..).unwrap_or_default());
        if let (Ok(name), Ok(value)) = (name, value) {
            response.headers_mut().append(name, value);
        }
    }
    Some(response)
}

/// A set that is written is read again as the same set, and no scope is longer or stranger than
/// allowed.
fn scopes_round(set: &ScopeSet) {
    assert!(set.iter().count() <= 64);
    let read = ScopeSet::read(set.as_str()).expect("what was written can be read");
    assert_eq!(&read, set);
    for scope in set.iter() {
        assert!(set.contains(scope));
        assert!(scope.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\'));
    }
    assert_eq!(
        &ScopeSet::from_tokens(set.iter().chain(set.iter())).expect("nothing was added"),
        set
    );
}

/// `WWW-Authenticate`, one field a line.
pub fn challenge(data: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n') {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(WWW_AUTHENTICATE, value);
        }
    }
    for dpop in [false, true] {
        let Some(challenge) = read_challenge(&headers, dpop) else { continue };
        challenge_holds(&challenge);
    }
    if let Ok(text) = core::str::from_utf8(data)
        && let Ok(set) = ScopeSet::read(text)
    {
        scopes_round(&set);
    }
}

fn challenge_holds(challenge: &Challenge<'_>) {
    if let Some(Ok(set)) = challenge.scopes() {
        scopes_round(&set);
    }
    let texts = [
        challenge.realm,
        challenge.scope,
        challenge.error,
        challenge.error_description,
        challenge.error_uri,
        challenge.resource_metadata,
    ];
    for text in texts.into_iter().flatten() {
        let read = text.read();
        assert!(text.plain().is_none_or(|plain| plain == read));
        // Beyond ASCII the three disagree about what a byte stands for.
        if read.is_ascii() {
            assert!(text.eq_str(&read));
            assert!(text.chars().eq(read.chars()));
        }
    }
    if let Some(error) = challenge.error.map(|error| error.read().into_owned())
        && error.is_ascii()
    {
        assert!(challenge.error_is(&error));
    }
    assert!(challenge.faults().count() <= 16);
}

/// A URL that was let through is the same to the `url` crate, and names no other host there.
fn url_holds(url: &ServerUrl, reach: &Reach) {
    let read = Url::parse(url.as_str()).expect("what passes is a URL");
    assert!(matches!(read.scheme(), "https" | "http"));
    let host = url.host_str().to_ascii_lowercase();
    assert_eq!(read.host_str(), Some(&*host), "{url:?}");
    assert_eq!(read.port_or_known_default(), Some(url.port()), "{url:?}");
    let origin = Url::parse(url.origin()).expect("an origin is a URL");
    assert_eq!(read.origin(), origin.origin(), "{url:?}");
    assert!(read.username().is_empty() && read.password().is_none() && read.fragment().is_none());
    assert!(read.scheme() == "https" || url.is_loopback() || reach.is_own(url), "{url:?}");
    assert!(url.as_str().bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\'));
    let again = ServerUrl::read(url.as_str(), "again", reach).expect("it passes again");
    assert!(again.same_origin(url));
    assert!(url.recheck("again", reach).is_ok());
}

/// URLs: of servers, of the person, of redirects; and where a redirect leads, after a line end.
pub fn server_url(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    let (first, location) = text.split_once('\n').unwrap_or((text, ""));
    for own in [MCP_URL, "http://127.0.0.1:8080/mcp", "http://localhost/", first] {
        let Ok(own) = McpUrl::parse(own, &[], false) else { continue };
        let canonical = Url::parse(own.canonical()).expect("an MCP URL is a URL");
        assert_eq!(canonical.origin().ascii_serialization(), own.origin());
        let reach = reach(&own);
        for (_, candidate) in resource_candidates(&own) {
            let candidate = Url::parse(&candidate).expect("a candidate is a URL");
            assert_eq!(candidate.origin(), canonical.origin());
        }
        if let Ok(issuer) = ServerUrl::read_issuer(first, "issuer", &reach) {
            url_holds(&issuer, &reach);
            assert!(issuer.query().is_none());
            for (_, candidate) in server_candidates(&issuer) {
                let candidate = ServerUrl::read(&candidate, "candidate", &reach);
                assert!(candidate.expect("a candidate passes").same_origin(&issuer));
            }
        }
        if let Ok(endpoint) = ServerUrl::read_endpoint(first, "token_endpoint", &reach) {
            url_holds(&endpoint, &reach);
        }
        let Ok(url) = ServerUrl::read(first, "url", &reach) else { continue };
        url_holds(&url, &reach);
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::from_str(location) {
            headers.insert(LOCATION, value);
        }
        if let Ok(target) = resolve_redirect(&url, &headers, &reach) {
            url_holds(&target, &reach);
            assert!(target.same_origin(&url));
        }
    }
    for private in [false, true] {
        let Ok(redirect) = RedirectUri::read(first, private) else { continue };
        assert!(private || !redirect.is_private_scheme());
        assert!(!redirect.as_str().contains('#'));
        assert!(redirect.matches_registered(redirect.as_str()));
    }
}

/// The answer to a request for protected resource metadata.
pub fn resource_metadata(data: &[u8]) {
    let Some(response) = response(data) else { return };
    let mcp = mcp();
    let Some(body) = document(&response) else { return };
    let Ok(metadata) = read_resource_metadata(body) else { return };
    if let Some(scopes) = &metadata.scopes_supported {
        scopes_round(scopes);
    }
    let reach = reach(&mcp);
    let mut skipped = Vec::new();
    if let Ok(servers) = metadata.usable_servers(&reach, &mut skipped) {
        assert!(!servers.is_empty());
        for server in &servers {
            url_holds(server, &reach);
            assert!(metadata.authorization_servers.iter().any(|one| **one == *server.as_str()));
        }
    }
    for place in [Place::Pointer, Place::Path, Place::PathWithoutSlash, Place::Root] {
        for strict in [false, true] {
            if check_resource(&metadata.resource, &mcp, place, strict).is_ok() {
                let named = Url::parse(&metadata.resource).expect("a resource is a URL");
                assert_eq!(named.origin().ascii_serialization(), mcp.origin());
            }
        }
    }
}

/// The body, if the answer is a document; the other findings are bounded too.
fn document(response: &Response<Vec<u8>>) -> Option<&[u8]> {
    if let Some(wait) = read_retry_after(response.headers(), NOW) {
        assert!(wait <= LONGEST_WAIT);
    }
    match classify(response, NOW) {
        Finding::Document(body) => Some(body),
        Finding::Transient { retry_after, .. } => {
            assert!(retry_after.is_none_or(|wait| wait <= LONGEST_WAIT));
            None
        }
        Finding::Absent(status) => {
            assert!((400..500).contains(&status) && status != 408 && status != 429);
            None
        }
        _ => None,
    }
}

/// The answer to a request for authorization server metadata.
pub fn server_metadata(data: &[u8]) {
    const ISSUER: &str = "https://as.example";
    let Some(response) = response(data) else { return };
    let reach = reach(&mcp());
    let Some(body) = document(&response) else { return };
    let Ok((metadata, _)) = read_server_metadata(body, &reach) else { return };
    let endpoints = [Some(&metadata.authorization_endpoint), Some(&metadata.token_endpoint)];
    let optional = [metadata.registration_endpoint.as_ref(), metadata.revocation_endpoint.as_ref()];
    for endpoint in endpoints.into_iter().chain(optional).flatten() {
        url_holds(endpoint, &reach);
    }
    let written = serde_json::to_vec(&metadata).expect("it can be written");
    let read = serde_json::from_slice(&written).expect("what was written can be read");
    assert_eq!(metadata, read);
    for strict in [false, true] {
        let rules = ServerRules { expected_issuer: ISSUER, strict, ..ServerRules::default() };
        if check_server_metadata(&metadata, &rules).is_ok() {
            let own = &*metadata.issuer;
            assert!(own == ISSUER || (!strict && own.strip_suffix('/') == Some(ISSUER)), "{own}");
            assert_eq!(metadata.pkce, mcp_authz_core::internals::metadata::Pkce::Listed);
        }
    }
}

/// The answer to a registration.
pub fn registration(data: &[u8]) {
    let Some(response) = response(data) else { return };
    let redirect = RedirectUri::loopback(LoopbackHost::V4, 8080, "/callback");
    let redirect = redirect.expect("the redirect URI is good");
    for method in Method::ALL {
        for (legacy, listed) in [(false, None), (true, Some(Methods::of(&[method])))] {
            let sent = &[];
            let asked =
                registration::Asked { method, listed, redirect_uri: &redirect, sent, legacy };
            let Ok(registered) = read_registration(&response, &asked, NOW) else { continue };
            let credentials = &registered.credentials;
            assert!(!credentials.client_id.is_empty());
            assert!(credentials.client_id.len() <= LONGEST_CLIENT_ID);
            assert!(!credentials.method.needs_secret() || credentials.secret.is_some());
            assert!(matches!(response.status().as_u16(), 200 | 201));
        }
    }
}

/// The answer to a token request, in which the server may repeat what it was sent.
pub fn token_response(data: &[u8]) {
    const CANARY: &str = "SENT-CANARY-0123456789abcdef";
    let Some(mut response) = response(data) else { return };
    let body = String::from_utf8_lossy(response.body()).replace("CANARY", CANARY);
    if core::str::from_utf8(response.body()).is_ok() {
        *response.body_mut() = body.into_bytes();
    }
    let sent = Secret::new(CANARY);
    for (strict, code) in [(false, true), (true, false)] {
        let rules = TokenRules { strict, code, now: NOW, sent: &[&sent], held: &[], spent: None };
        match read_tokens(&response, &rules) {
            Ok(tokens) => {
                let token = tokens.access_token.expose();
                assert!(!token.is_empty() && token.len() <= LONGEST_TOKEN);
                assert!(token.bytes().all(|byte| byte.is_ascii_graphic()));
                assert!(tokens.lifetime.is_none_or(|life| life <= LONGEST_LIFETIME));
                assert!(tokens.type_named || !strict);
                let shown = format!("{tokens:?}");
                assert!(!shown.contains(CANARY), "what was sent is shown: {shown}");
                if let Some(set) = &tokens.scope {
                    scopes_round(set);
                }
            }
            Err(refusal) => {
                let shown = format!("{refusal:?} {}", refusal.failure);
                assert!(!shown.contains(CANARY), "what was sent is shown: {shown}");
            }
        }
    }
}

/// A good token answer with one byte wrong outside of the members that are needed (HOST-320): both
/// tokens are read all the same. The bytes say which answer, where, what is done, and with which byte.
pub fn token_damage(data: &[u8]) {
    let [shape, place, kind, byte, ..] = data else { return };
    let document = token_answer(*shape);
    let places: Vec<usize> = document.harmless().collect();
    let Some(at) = places.get(usize::from(*place) % places.len().max(1)) else { return };
    if let Err(text) = document.damaged(*at, *kind, *byte) {
        panic!("{text}");
    }
}

/// A token answer, and which of its bytes a damage may not touch.
#[derive(Clone, Debug)]
pub struct TokenAnswer {
    body: Vec<u8>,
    needed: Vec<core::ops::Range<usize>>,
}

/// One of the answers that are damaged: the members in different orders, with and without spaces.
pub fn token_answer(shape: u8) -> TokenAnswer {
    const MEMBERS: [(&str, bool); 9] = [
        (r#""access_token":"AT""#, true),
        (r#""x":1"#, false),
        (r#""refresh_token":"RT""#, true),
        (r#""name":"Jos\u00e9""#, false),
        (r#""obj":{"k":"v"}"#, false),
        (r#""token_type":"Bearer""#, true),
        (r#""list":[1,"a"]"#, false),
        (r#""empty":{}"#, false),
        (r#""t":true"#, false),
    ];
    let (mut body, mut needed) = (b"{".to_vec(), Vec::new());
    let between: &[u8] = if shape & 16 == 0 { b"," } else { b" ,\n  " };
    let count = MEMBERS.len();
    for index in 0..count {
        let turned = (index * 2 + usize::from(shape % 16)) % count;
        let Some((text, is_needed)) = MEMBERS.get(turned).copied() else { continue };
        if index > 0 {
            body.extend_from_slice(between);
        }
        if is_needed {
            needed.push(body.len()..body.len() + text.len());
        }
        body.extend_from_slice(text.as_bytes());
    }
    // Without the last brace the answer is cut. The end of an inner object cannot be told from one
    // that goes on, and what is inside one is never taken.
    let ends = body.iter().enumerate().filter(|(_, byte)| **byte == b'}');
    needed.extend(ends.map(|(at, _)| at..at + 1));
    needed.push(body.len()..body.len() + 1);
    body.push(b'}');
    TokenAnswer { body, needed }
}

impl TokenAnswer {
    /// The places that may be damaged.
    pub fn harmless(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.body.len()).filter(|at| !self.needed.iter().any(|range| range.contains(at)))
    }

    /// Replaces, removes or inserts a byte.
    ///
    /// # Errors
    /// The damaged answer, if a token of it is lost.
    pub fn damaged(&self, at: usize, kind: u8, byte: u8) -> Result<(), String> {
        let mut body = self.body.clone();
        if kind.is_multiple_of(3) && byte == b'{' && at + 2 == body.len() {
            // An object opens, and the last brace is its end: the answer is cut.
            return Ok(());
        }
        match kind % 3 {
            0 => body.get_mut(at).into_iter().for_each(|place| *place = byte),
            1 => drop(body.remove(at)),
            _ => body.insert(at, byte),
        }
        let shown = String::from_utf8_lossy(&body).into_owned();
        let rules =
            TokenRules { strict: false, code: false, now: NOW, sent: &[], held: &[], spent: None };
        let tokens = read_tokens(&Response::new(body), &rules);
        let tokens = tokens.map_err(|refusal| format!("{shown}: {refusal}"))?;
        let refresh = tokens.refresh_token.as_ref().map(Secret::expose);
        let kept = (tokens.access_token.expose(), refresh) == ("AT", Some("RT"));
        if kept { Ok(()) } else { Err(shown) }
    }
}

/// The text that reaches the redirect URI.
pub fn callback(data: &[u8]) {
    const ISSUER: &str = "https://as.example";
    let Ok(text) = core::str::from_utf8(data) else { return };
    for promised in [false, true] {
        let params = authorize::read_callback(text);
        assert!(params.state.is_none_or(|state| !state.expose().is_empty()));
        let Ok(rest) = params.rest else { continue };
        match rest.checked(ISSUER, promised, false, &[]) {
            Ok(Outcome::Code(code)) => {
                assert!(!code.expose().is_empty());
                assert!(code.expose().len() <= authorize::LONGEST_CODE);
            }
            Ok(Outcome::Error(said)) => {
                let shown = authorize::refusal(said).to_string();
                assert!(!shown.contains(['\n', '\r', '\u{1b}']));
            }
            Err(_) => {}
        }
    }
}
