//! The hostile metadata documents HOST-107 to HOST-148: which rule is named for each, and that the
//! printed configuration works where one can.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use mcp_authz_tests::model::{Consent, IssMode};
use mcp_authz_tests::serve;
use serde_json::{Value, json};

use crate::Examined;
use crate::common::Home;

/// One answer: a status, fields and a body.
#[derive(Clone)]
pub(crate) struct Answer {
    status: u16,
    fields: String,
    body: String,
}

impl Answer {
    pub(crate) fn new(status: u16, media: &str, body: &str) -> Self {
        let fields = format!("Content-Type: {media}\r\n");
        Self { status, fields, body: body.to_owned() }
    }

    pub(crate) fn json(document: &Value) -> Self {
        Self::new(200, "application/json", &document.to_string())
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self { status, fields: String::new(), body: String::new() }
    }

    pub(crate) fn field(mut self, line: &str) -> Self {
        self.fields.push_str(&format!("{line}\r\n"));
        self
    }
}

/// The answers of a server by path, for its origin; `None` is 404.
pub(crate) type Answers = Arc<dyn Fn(&str, &str) -> Option<Answer> + Send + Sync>;

/// A server that runs until the test ends.
pub(crate) struct Scripted {
    pub(crate) origin: String,
    /// The paths that were asked for.
    pub(crate) paths: Arc<Mutex<Vec<String>>>,
    listener: TcpListener,
}

impl Drop for Scripted {
    fn drop(&mut self) {
        // A connection of our own wakes the listener, which finds that it is to stop.
        if let Ok(mut paths) = self.paths.lock() {
            paths.push("stop".to_owned());
        }
        let _ = TcpStream::connect(self.listener.local_addr().unwrap());
    }
}

/// Serves these answers.
pub(crate) fn serve_answers(answers: Answers) -> Scripted {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let paths = Arc::new(Mutex::new(Vec::new()));
    let (listening, at, seen) = (listener.try_clone().unwrap(), origin.clone(), Arc::clone(&paths));
    thread::spawn(move || {
        for connection in listening.incoming() {
            if seen.lock().unwrap().last().is_some_and(|path| path == "stop") {
                return;
            }
            let Ok(connection) = connection else { return };
            let _ = converse(connection, &at, &answers, &seen);
        }
    });
    Scripted { origin, paths, listener }
}

fn converse(
    mut connection: TcpStream,
    origin: &str,
    answers: &Answers,
    seen: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && connection.read(&mut byte)? == 1 {
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let length = head.lines().find_map(|line| {
        line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse::<usize>().ok()
    });
    connection.read_exact(&mut vec![0; length.unwrap_or(0)])?;
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let answer = answers(origin, &path).unwrap_or_else(|| Answer::empty(404));
    seen.lock().unwrap().push(path);
    let Answer { status, fields, body } = answer;
    write!(
        connection,
        "HTTP/1.1 {status} S\r\n{fields}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )?;
    connection.shutdown(Shutdown::Write)
}

const PRM: &str = "/.well-known/oauth-protected-resource";
const OAUTH: &str = "/.well-known/oauth-authorization-server/as";
const OPENID: &str = "/.well-known/openid-configuration/as";

/// An honest server at `/mcp` with its authorization server at `/as`, and one change.
pub(crate) fn honest(origin: &str, path: &str) -> Option<Answer> {
    match path {
        "/mcp" | "/tenant-a/mcp" => {
            let pointer = format!("{origin}{PRM}{path}");
            let field = format!("WWW-Authenticate: Bearer resource_metadata=\"{pointer}\"");
            Some(Answer::empty(401).field(&field))
        }
        OAUTH => Some(Answer::json(&server(origin))),
        path => path.strip_prefix(PRM).map(|of| Answer::json(&resource(origin, of))),
    }
}

fn resource(origin: &str, path: &str) -> Value {
    json!({
        "resource": format!("{origin}{path}"),
        "authorization_servers": [format!("{origin}/as")],
        "scopes_supported": ["read"],
    })
}

fn server(origin: &str) -> Value {
    json!({
        "issuer": format!("{origin}/as"),
        "authorization_endpoint": format!("{origin}/as/authorize"),
        "token_endpoint": format!("{origin}/as/token"),
        "registration_endpoint": format!("{origin}/as/register"),
        "revocation_endpoint": format!("{origin}/as/revoke"),
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none"],
        "authorization_response_iss_parameter_supported": true,
    })
}

/// What is expected of a case.
#[derive(Clone, Copy)]
struct Expected {
    verdict: &'static str,
    /// The codes of which one is named; none for a control, at which nothing is broken.
    codes: &'static [&'static str],
    /// The rules of which one is named.
    rules: &'static [&'static str],
}

const fn broken(codes: &'static [&'static str], rules: &'static [&'static str]) -> Expected {
    Expected { verdict: "broken", codes, rules }
}

const fn switched(codes: &'static [&'static str], rules: &'static [&'static str]) -> Expected {
    Expected { verdict: "works_with_options", codes, rules }
}

/// It works, and these rules are mentioned.
const fn works(rules: &'static [&'static str]) -> Expected {
    Expected { verdict: "works", codes: &[], rules }
}

/// Plays documents that differ from the honest ones by what `change` does to a path's document.
fn play(
    id: &str,
    expected: Expected,
    change: impl Fn(&str, &str, Option<Answer>) -> Option<Answer> + Send + Sync + 'static,
) {
    play_at(id, "/mcp", expected, change);
}

fn play_at(
    id: &str,
    path: &str,
    expected: Expected,
    change: impl Fn(&str, &str, Option<Answer>) -> Option<Answer> + Send + Sync + 'static,
) {
    let served =
        serve_answers(Arc::new(move |origin, path| change(origin, path, honest(origin, path))));
    let home = Home::new();
    let examined = Examined::of(&home, &format!("{}{path}", served.origin), &[]);
    judge(id, &examined, expected);
    let sent = examined.sent();
    assert!(!sent.contains(&"registration"), "{id}: nothing is registered");
    if expected.verdict == "works_with_options" {
        examined.works_as_printed(&home, &[]);
    }
    let paths = served.paths.lock().unwrap();
    let strange = paths.iter().find(|path| {
        let endpoint = ["/as/", "/authorize", "/token", "/register"];
        endpoint.iter().any(|it| path.starts_with(it)) && !path.contains("/.well-known/")
    });
    assert_eq!(strange, None, "{id}");
}

fn judge(id: &str, examined: &Examined, expected: Expected) {
    let told = || format!("{id}: {:#?}", examined.lines);
    assert_eq!(examined.verdict(), expected.verdict, "{}", told());
    let named: BTreeSet<&str> = examined.rules();
    assert!(
        expected.rules.is_empty() || expected.rules.iter().any(|rule| named.contains(rule)),
        "{}",
        told()
    );
    let broken: Vec<&str> = examined
        .findings()
        .filter(|finding| finding["severity"] == "broken")
        .map(|finding| finding["code"].as_str().unwrap())
        .collect();
    if expected.codes.is_empty() {
        assert_eq!(broken, [""; 0], "{}", told());
    } else {
        assert!(broken.iter().any(|code| expected.codes.contains(code)), "{}", told());
    }
    for finding in examined.findings() {
        assert!(finding["rule_text"].is_string(), "each rule has its sentence: {finding:#}");
    }
}

/// Changes a member of the resource metadata; null takes it away.
fn prm(
    id: &str,
    expected: Expected,
    member: &'static str,
    value: impl Fn(&str) -> Value + Send + Sync + 'static,
) {
    play(id, expected, move |origin, path, answer| {
        if path != format!("{PRM}/mcp") {
            return answer;
        }
        Some(Answer::json(&changed(resource(origin, "/mcp"), member, value(origin))))
    });
}

/// Changes a member of the authorization server's metadata; null takes it away.
fn asm(
    id: &str,
    expected: Expected,
    member: &'static str,
    value: impl Fn(&str) -> Value + Send + Sync + 'static,
) {
    play(id, expected, move |origin, path, answer| {
        if path != OAUTH {
            return answer;
        }
        Some(Answer::json(&changed(server(origin), member, value(origin))))
    });
}

fn changed(mut document: Value, member: &str, value: Value) -> Value {
    if value.is_null() {
        document.as_object_mut().unwrap().remove(member);
    } else {
        document[member] = value;
    }
    document
}

#[test]
fn metadata_of_another_resource_host_107_to_host_111() {
    let mismatch = broken(&["resource_mismatch"], &["PRM-07"]);
    prm("HOST-107", mismatch, "resource", |_| json!("https://evil.example/mcp"));
    let variants: [fn(&str) -> String; 6] = [
        |_| "http://127.0.0.1.evil.example/mcp".to_owned(),
        |_| "http://127.0.0.1:1/mcp".to_owned(),
        |origin| format!("{}/mcp", origin.replace("http:", "https:")),
        |origin| format!("{origin}/mc"),
        |origin| format!("{origin}/mcp2"),
        |origin| format!("{origin}/MCP"),
    ];
    for (number, variant) in variants.into_iter().enumerate() {
        prm(&format!("HOST-108 {number}"), mismatch, "resource", move |origin| {
            json!(variant(origin))
        });
    }
    prm("HOST-109", works(&[]), "resource", |origin| json!(format!("{origin}/mcp")));
    prm("HOST-109 slash", works(&["PRM-07"]), "resource", |origin| json!(format!("{origin}/mcp/")));
    prm("HOST-109 parent", works(&["PRM-07"]), "resource", |origin| json!(format!("{origin}/")));
    play_at("HOST-110", "/tenant-a/mcp", mismatch, |origin, path, answer| {
        let other = resource(origin, "/tenant-b/mcp");
        if path.starts_with(PRM) { Some(Answer::json(&other)) } else { answer }
    });
    let invalid = broken(&["prm_invalid"], &["PRM-04"]);
    prm("HOST-111 fragment", invalid, "resource", |origin| json!(format!("{origin}/mcp#x")));
    prm("HOST-111 query", invalid, "resource", |origin| json!(format!("{origin}/mcp?x=1")));
    prm("HOST-111 user", invalid, "resource", |origin| {
        json!(format!("{}/mcp", origin.replace("//", "//me@")))
    });
    prm("HOST-111 number", invalid, "resource", |_| json!(1));
    prm("HOST-111 missing", invalid, "resource", |_| Value::Null);
}

#[test]
fn listed_authorization_servers_host_112_to_host_115() {
    let none = broken(&["no_authorization_server", "prm_invalid"], &["PRM-08", "PRM-09", "PRM-04"]);
    for (number, value) in
        [Value::Null, json!([]), json!([""]), json!([1]), json!({})].into_iter().enumerate()
    {
        prm(&format!("HOST-112 {number}"), none, "authorization_servers", move |_| value.clone());
    }
    prm(
        "HOST-113",
        works(&["HOST-042", "SEC-05", "HOST-033", "SEC-02", "SEC-01"]),
        "authorization_servers",
        |origin| json!(["http://169.254.169.254", format!("{origin}/as")]),
    );
    prm(
        "HOST-114",
        broken(&["url_malformed", "no_authorization_server"], &["HOST-114"]),
        "authorization_servers",
        |origin| json!([format!("{origin}{OAUTH}")]),
    );
    play("HOST-115", broken(&["no_authorization_server"], &["PRM-08"]), |origin, path, answer| {
        if path != format!("{PRM}/mcp") {
            return answer;
        }
        let document = json!({"resource": format!("{origin}/mcp"), "authorization_server": format!("{origin}/as")});
        Some(Answer::json(&document))
    });
}

#[test]
fn the_place_of_resource_metadata_host_116_to_host_119() {
    let pointing = |to: &'static str| {
        move |origin: &str, path: &str, answer: Option<Answer>| {
            let field = format!("WWW-Authenticate: Bearer resource_metadata=\"{origin}{to}\"");
            if path == "/mcp" { Some(Answer::empty(401).field(&field)) } else { answer }
        }
    };
    play("HOST-116", works(&["AMB-06"]), pointing("/gone"));
    play("HOST-117", broken(&["prm_invalid"], &["PRM-04"]), pointing(OAUTH));
    for status in [500, 408, 429] {
        let expected =
            Expected { verdict: "unreachable", codes: &["transient"], rules: &["DISC-09"] };
        play(&format!("HOST-118 {status}"), expected, move |_, path, answer| {
            if path.starts_with(PRM) { Some(Answer::empty(status)) } else { answer }
        });
    }
    let served = serve_answers(Arc::new(|_, path| (path == "/mcp").then(|| Answer::empty(401))));
    let url = format!("{}/mcp", served.origin);
    let examined = Examined::of(&Home::new(), &url, &["--legacy", "off"]);
    judge("HOST-119", &examined, broken(&["discovery_failed"], &["DISC-11"]));
    let paths = served.paths.lock().unwrap();
    assert!(
        paths.iter().all(|path| path == "/mcp" || path.starts_with("/.well-known/")),
        "{paths:?}"
    );
}

#[test]
fn what_a_resource_demands_host_121_to_host_123() {
    prm("HOST-121", works(&["PRM-13"]), "bearer_methods_supported", |_| json!(["query", "body"]));
    let dpop = broken(&["dpop_required"], &["PRM-14"]);
    prm("HOST-122", dpop, "dpop_bound_access_tokens_required", |_| json!(true));
    let name = "\u{202e}\u{1b}[31mevil".repeat(10_000);
    prm("HOST-123", works(&[]), "resource_name", move |_| json!(name));
}

#[test]
fn the_issuer_of_a_document_host_124_to_host_128() {
    let pinned = switched(&["issuer_mismatch"], &["ASM-07"]);
    asm("HOST-124", pinned, "issuer", |_| json!("https://evil.example"));
    asm("HOST-125 slash", pinned, "issuer", |origin| json!(format!("{origin}/as/")));
    asm("HOST-125 slashes", pinned, "issuer", |origin| json!(format!("{origin}//as")));
    asm("HOST-125 percent", pinned, "issuer", |origin| json!(format!("{origin}/%61s")));
    asm("HOST-128 bare", pinned, "issuer", |origin| json!(origin));
    asm("HOST-128 other", pinned, "issuer", |origin| json!(format!("{origin}/t2")));
    let invalid = broken(&["as_metadata_invalid"], &["ASM-10"]);
    for (number, value) in [Value::Null, json!(""), json!(1)].into_iter().enumerate() {
        asm(&format!("HOST-126 {number}"), invalid, "issuer", move |_| value.clone());
    }
    asm("HOST-127 query", invalid, "issuer", |origin| json!(format!("{origin}/as?x")));
    asm("HOST-127 fragment", invalid, "issuer", |origin| json!(format!("{origin}/as#x")));
    // The one slash that may differ, after a bare origin.
    play("HOST-125 control", works(&["AMB-05"]), |origin, path, answer| match path {
        "/.well-known/oauth-authorization-server" => {
            Some(Answer::json(&changed(server(origin), "issuer", json!(format!("{origin}/")))))
        }
        path if path.starts_with(PRM) => {
            let listed = json!([origin]);
            Some(Answer::json(&changed(resource(origin, "/mcp"), "authorization_servers", listed)))
        }
        _ => answer,
    });
}

#[test]
fn pkce_and_the_flow_host_129_to_host_133() {
    const PKCE: &str = "code_challenge_methods_supported";
    let unlisted = broken(&["pkce_unsupported", "as_metadata_invalid"], &["ASM-12", "ASM-10"]);
    asm("HOST-129", broken(&["pkce_unsupported"], &["ASM-12"]), PKCE, |_| json!(["plain"]));
    asm("HOST-130", switched(&["pkce_unsupported"], &["ASM-11"]), PKCE, |_| Value::Null);
    let variants = [json!([]), json!(["s256"]), json!(["S256 "]), json!("S256"), json!([["S256"]])];
    for (number, value) in variants.into_iter().enumerate() {
        asm(&format!("HOST-131 {number}"), unlisted, PKCE, move |_| value.clone());
    }
    let token = broken(&["response_type_unsupported"], &["ASM-10"]);
    asm("HOST-132", token, "response_types_supported", |_| json!(["token"]));
    let invalid = broken(&["as_metadata_invalid"], &["ASM-10"]);
    for member in ["token_endpoint", "authorization_endpoint"] {
        asm(&format!("HOST-133 {member}"), invalid, member, |_| Value::Null);
    }
}

#[test]
fn the_candidates_of_a_document_host_134_to_host_136() {
    let page = || Answer::new(200, "text/html", "<html>welcome</html>");
    play("HOST-134", works(&["HOST-059"]), move |origin, path, answer| match path {
        OAUTH => Some(page()),
        OPENID => Some(Answer::json(&server(origin))),
        _ => answer,
    });
    let evil = |origin: &str| {
        Answer::json(&changed(server(origin), "issuer", json!("https://evil.example")))
    };
    let served = serve_answers(Arc::new(move |origin, path| match path {
        OAUTH => Some(evil(origin)),
        OPENID => Some(Answer::json(&server(origin))),
        _ => honest(origin, path),
    }));
    let examined = Examined::of(&Home::new(), &format!("{}/mcp", served.origin), &[]);
    judge("HOST-135", &examined, switched(&["issuer_mismatch"], &["ASM-07"]));
    assert!(!served.paths.lock().unwrap().iter().any(|path| path == OPENID), "it is not asked");
    for status in [500, 408, 429] {
        play(&format!("HOST-136 {status}"), works(&["ASM-06"]), move |origin, path, answer| {
            match path {
                OAUTH => Some(Answer::empty(status)),
                OPENID => Some(Answer::json(&server(origin))),
                _ => answer,
            }
        });
        let expected =
            Expected { verdict: "unreachable", codes: &["transient"], rules: &["ASM-06"] };
        play(&format!("HOST-136 {status} all"), expected, move |_, path, answer| {
            if path.ends_with("/as") || path.contains("openid") {
                Some(Answer::empty(status))
            } else {
                answer
            }
        });
    }
}

#[test]
fn demands_and_endpoints_host_137_host_138_host_146_host_147() {
    asm(
        "HOST-137",
        broken(&["par_required"], &["PAR-01"]),
        "require_pushed_authorization_requests",
        |_| json!(true),
    );
    let methods = broken(&["client_auth_unsupported"], &["CAUTH-02", "HOST-138"]);
    asm("HOST-138", methods, "token_endpoint_auth_methods_supported", |_| {
        json!(["tls_client_auth"])
    });
    let apart = switched(&["endpoints_incoherent"], &["ASM-17"]);
    asm("HOST-146", apart, "authorization_endpoint", |_| {
        json!("https://login.honest.example/authorize")
    });
    asm("HOST-147 token", works(&[]), "token_endpoint", |_| json!("https://tokens.example/token"));
    play("HOST-147 both", works(&[]), |origin, path, answer| {
        if path != OAUTH {
            return answer;
        }
        let document =
            changed(server(origin), "token_endpoint", json!("https://login.example/token"));
        let page = json!("https://login.example/authorize");
        Some(Answer::json(&changed(document, "authorization_endpoint", page)))
    });
}

/// HOST-140 to HOST-145 need a callback, and so a login.
#[test]
fn the_issuer_of_a_callback_host_140_to_host_145() {
    let other = || "https://evil.example".to_owned();
    let mismatch = broken(&["iss_mismatch"], &["ISS-07", "ISS-09", "ISS-11", "ISS-12"]);
    let cases: [(&str, IssMode, Consent, Expected); 6] = [
        ("HOST-140", IssMode::Wrong(other()), Consent::Auto, mismatch),
        ("HOST-141", IssMode::Missing, Consent::Auto, broken(&["iss_missing"], &["ISS-08"])),
        ("HOST-142", IssMode::Unexpected(other()), Consent::Auto, mismatch),
        ("HOST-143", IssMode::Slashed, Consent::Auto, mismatch),
        ("HOST-144", IssMode::Wrong(other()), Consent::Deny, mismatch),
        ("HOST-145", IssMode::Absent, Consent::Auto, works(&["ISS-10"])),
    ];
    for (id, iss, consent, expected) in cases {
        let served = serve::embedded(|settings| {
            settings.server.callback.iss = iss.clone();
            settings.server.consent = consent.clone();
        })
        .unwrap();
        let examined = Examined::of(&Home::new(), served.mcp_url(), &["--login", "--forget"]);
        judge(id, &examined, expected);
        let sent = examined.sent();
        assert_eq!(
            sent.contains(&"code_exchange"),
            id == "HOST-145",
            "{id}: the code is sent nowhere"
        );
        let shown = format!("{:?}", examined.lines);
        assert!(!shown.contains("access_denied"), "{id}: an untrusted refusal is not shown");
    }
}

/// Cases of the two sections that no look at a server can play, each with the reason.
const ELSEWHERE: [(u16, &str); 3] = [
    (
        120,
        "a stored credential and a document that changes between two runs: doctor begins with no store",
    ),
    (139, "a document that changes while a person is asked: the session reads it once"),
    (148, "an assertion of a client with a key: the program has none"),
];

#[test]
fn every_case_of_the_two_sections_is_played_or_accounted_for() {
    let source = include_str!("documents.rs");
    for number in 107..=148 {
        let played = source.contains(&format!("\"HOST-{number}"));
        let elsewhere = ELSEWHERE.iter().any(|(of, why)| *of == number && !why.is_empty());
        assert!(played != elsewhere, "HOST-{number}");
    }
}
