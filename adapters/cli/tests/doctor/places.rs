//! What is no MCP server, or none that can be reached, and how `doctor` behaves towards people: each has a
//! verdict that somebody can act on.

use std::io::Write as _;
use std::net::TcpListener;
use std::sync::Arc;

use mcp_authz_tests::model::{Era, MetadataPlace, Pkce, PrmPlace, RegistrationMode};
use mcp_authz_tests::serve;
use serde_json::json;

use crate::Examined;
use crate::common::{Home, ended, event};
use crate::documents::{Answer, honest, serve_answers};

fn todo(examined: &Examined) -> String {
    event(&examined.lines, "verdict")["todo"].to_string()
}

#[test]
fn a_server_that_is_not_there_is_unreachable() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}/mcp");
    let examined = Examined::of(&Home::new(), &url, &[]);
    assert_eq!((examined.verdict(), examined.status), ("unreachable", 4));
    assert_eq!(event(&examined.lines, "request")["lost"], "connect");
}

#[test]
fn a_port_without_tls_is_told_from_a_server_that_is_not_there() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/mcp", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            let _ = connection.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let examined = Examined::of(&Home::new(), &url, &[]);
    assert_eq!((examined.verdict(), examined.status), ("unreachable", 4));
    assert_eq!(event(&examined.lines, "request")["lost"], "plain_http");
    assert!(todo(&examined).contains("http://"), "{}", todo(&examined));
}

#[test]
fn a_web_site_and_a_json_api_are_no_endpoints() {
    let answers = [
        Answer::new(200, "text/html", "<html>shop</html>"),
        Answer::new(200, "application/json", r#"{"items": []}"#),
        Answer::new(404, "text/plain", "nothing"),
        Answer::empty(405),
    ];
    for answer in answers {
        let served = serve_answers(Arc::new(move |_, _| Some(answer.clone())));
        let examined = Examined::of(&Home::new(), &format!("{}/mcp", served.origin), &[]);
        let told = format!("{:#?}", examined.lines);
        assert_eq!((examined.verdict(), examined.status), ("no_endpoint", 1), "{told}");
        let rules = examined.rules();
        assert!(rules.contains("DISC-01") || rules.contains("TRANS-27"), "{told}");
        // A web site is left after a bounded number of requests.
        assert!(served.paths.lock().unwrap().len() < 24, "{:?}", served.paths.lock().unwrap());
    }
}

/// A server that refuses with 403 can be logged in to by name alone.
#[test]
fn a_refusal_with_another_status_is_weak() {
    let served = serve_answers(Arc::new(|origin, path| match path {
        "/mcp" => Some(Answer::empty(403)),
        path => honest(origin, path),
    }));
    let examined = Examined::of(&Home::new(), &format!("{}/mcp", served.origin), &[]);
    assert_eq!(examined.verdict(), "works", "{:#?}", examined.lines);
    assert!(examined.rules().contains("WWW-01"), "{:?}", examined.rules());
}

#[test]
fn an_endpoint_elsewhere_on_the_server_is_found() {
    let served = serve::embedded(|_| {}).unwrap();
    let right = served.mcp_url();
    for path in ["/", "/nowhere"] {
        let url = right.replace("/mcp", path);
        let examined = Examined::of(&Home::new(), &url, &[]);
        assert_eq!(examined.verdict(), "no_endpoint", "{:#?}", examined.lines);
        assert!(todo(&examined).contains(&format!("use {right}")), "{}", todo(&examined));
    }
}

#[test]
fn a_redirect_of_the_endpoint_is_shown_and_not_followed() {
    let served = serve_answers(Arc::new(|_, path| {
        let answer = Answer::empty(301).field("Location: https://new.example/mcp?key=SECRET");
        (path == "/old").then_some(answer)
    }));
    let examined = Examined::of(&Home::new(), &format!("{}/old", served.origin), &[]);
    assert_eq!(examined.verdict(), "no_endpoint", "{:#?}", examined.lines);
    assert!(todo(&examined).contains("https://new.example/mcp"), "{}", todo(&examined));
    assert!(!format!("{:?}", examined.lines).contains("SECRET"));
}

#[test]
fn a_server_of_http_sse_without_a_login_works() {
    let served = serve::embedded(|settings| {
        settings.mcp.era = Era::HttpSse;
        settings.gate.open = true;
        settings.prm.places.clear();
        settings.servers_mut().for_each(|server| server.metadata.at.clear());
    })
    .unwrap();
    let examined = Examined::of(&Home::new(), served.mcp_url(), &[]);
    assert_eq!(examined.verdict(), "works_without_login", "{:#?}", examined.lines);
    assert_eq!(event(&examined.lines, "server")["transport"], "http_sse");
}

/// Each revision of the protocol, with what a login shows of it.
#[test]
fn a_login_shows_the_revision() {
    for revision in ["2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"] {
        let served = serve::embedded_revision(revision, |_| {}).unwrap();
        let home = Home::new();
        let examined = Examined::of(&home, served.mcp_url(), &["--login", "--forget"]);
        assert_eq!(examined.verdict(), "works", "{revision}: {:#?}", examined.lines);
        let login = event(&examined.lines, "login");
        assert_eq!(login["protocol_version"], revision);
        assert_eq!((&login["tools"], &login["refresh_token"]), (&json!(4), &json!(true)));
        assert_eq!(home.pages(), 1);
        assert!(home.done(&["list"]).contains("no credentials are kept"), "{revision}");
    }
}

/// A grant that is kept is one that later commands use.
#[test]
fn a_login_is_kept_unless_it_is_to_be_forgotten() {
    let served = serve::embedded(|_| {}).unwrap();
    let (home, url) = (Home::new(), served.mcp_url());
    let examined = Examined::of(&home, url, &["--login", "--refresh"]);
    assert_eq!(event(&examined.lines, "login")["refreshed"], true);
    assert!(home.done(&["tools", url]).contains("echo"));
    let token = home.done(&["token", url]);
    assert_eq!(home.pages(), 1);
    // Another examination that keeps nothing leaves it alone.
    Examined::of(&home, url, &["--login", "--forget"]);
    assert_eq!((home.done(&["token", url]), home.pages()), (token.clone(), 2));
    let said = format!("{:?}{}", examined.lines, home.run(&["doctor", url]).out);
    assert!(!said.contains(token.trim()), "no token is shown");
}

/// An attacker's server could be made to need options; a person agrees to them before a login.
#[test]
fn a_login_with_options_that_were_found_needs_a_word() {
    let served = serve::embedded(|settings| settings.server.metadata.pkce = Pkce::Absent).unwrap();
    let (home, url) = (Home::new(), served.mcp_url());
    let examined = Examined::of(&home, url, &["--login"]);
    assert_eq!((examined.verdict(), examined.status), ("works_with_options", 1));
    let why_not = event(&examined.lines, "not_logged_in")["text"].as_str().unwrap().to_owned();
    let again = format!("mcp-authz doctor {url} --allow-unlisted-pkce ");
    assert!(why_not.contains(&again) && why_not.contains("--yes"), "{why_not}");
    assert_eq!((home.pages(), examined.sent().contains(&"registration")), (0, false));
}

/// A document that names a private host must not make this program knock there.
#[test]
fn a_switch_that_widens_what_is_dialled_is_left_to_the_person() {
    let private = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = format!("https://10.1.2.3:{}/as", private.local_addr().unwrap().port());
    let listed = at.clone();
    let served = serve_answers(Arc::new(move |origin, path| {
        let document =
            json!({"resource": format!("{origin}/mcp"), "authorization_servers": [listed]});
        match path {
            "/mcp" => Some(Answer::empty(401)),
            path if path.ends_with("protected-resource/mcp") => Some(Answer::json(&document)),
            _ => None,
        }
    }));
    let examined = Examined::of(&Home::new(), &format!("{}/mcp", served.origin), &[]);
    let told = format!("{:#?}", examined.lines);
    assert_eq!((examined.verdict(), examined.status), ("needs_decision", 1), "{told}");
    let broken = examined.findings().find(|it| it["severity"] == "broken").unwrap();
    assert!(broken["options"].to_string().contains("--allow-private-address 10.1.2.3"), "{told}");
    assert!(!told.contains(&format!("\"{at}")), "nothing was asked there: {told}");
    assert_eq!(event(&examined.lines, "snippet")["proved"], false);
}

/// The query of an MCP URL may hold a key.
#[test]
fn the_query_of_the_url_is_shown_nowhere() {
    let served = serve::embedded(|_| {}).unwrap();
    let url = format!("{}?key=SECRET", served.mcp_url());
    for more in [&["doctor", &url][..], &["doctor", &url, "--json"]] {
        let ended = Home::new().run(more);
        assert!(!format!("{}{}", ended.out, ended.err).contains("SECRET"), "{}", ended.out);
        assert!(ended.out.contains("add its query"), "{}", ended.out);
    }
}

/// The text for people has no line over 80 columns but for a URL that alone is longer.
#[test]
fn the_text_fits_a_terminal() {
    let served = serve::embedded(|settings| {
        settings.server.metadata.pkce = Pkce::Absent;
        settings.server.metadata.at = vec![MetadataPlace::Oidc];
    })
    .unwrap();
    let ended = Home::new().run(&["doctor", served.mcp_url()]);
    assert_eq!(ended.status, 1);
    for line in ended.out.lines().filter(|line| !line.contains("http")) {
        assert!(line.chars().count() <= 80, "{line}");
    }
    for section in ["What was asked", "MCP server", "Authorization server", "Findings", "Verdict"] {
        assert!(ended.out.contains(section), "{section}: {}", ended.out);
    }
    assert!(!ended.out.contains('\u{1b}'), "no colour where no terminal is");
}

/// Every broken rule is named, not the first alone, and the set of options is complete.
#[test]
fn several_broken_rules_are_all_named() {
    let served = serve_answers(Arc::new(|origin, path| {
        let answer = honest(origin, path)?;
        if !path.contains("authorization-server") {
            return Some(answer);
        }
        Some(Answer::json(&json!({
            "issuer": "https://named.example",
            "authorization_endpoint": "https://login.other.example/authorize",
            "token_endpoint": format!("{origin}/as/token"),
            "registration_endpoint": format!("{origin}/as/register"),
            "response_types_supported": ["code"],
            "token_endpoint_auth_methods_supported": ["none"],
        })))
    }));
    let home = Home::new();
    let examined = Examined::of(&home, &format!("{}/mcp", served.origin), &[]);
    assert_eq!(examined.verdict(), "works_with_options", "{:#?}", examined.lines);
    let broken: Vec<&str> = examined
        .findings()
        .filter(|finding| finding["severity"] == "broken")
        .map(|finding| finding["rule"].as_str().unwrap())
        .collect();
    assert_eq!(broken, ["ASM-07", "ASM-11", "ASM-17"]);
    let options = event(&examined.lines, "snippet")["options"].as_object().unwrap();
    let names: Vec<&str> = options.keys().map(String::as_str).collect();
    assert_eq!(names, ["allow-split-endpoints", "allow-unlisted-pkce", "pin-issuer"]);
    // Each document was asked for once, however many rounds it took.
    let server = examined.sent().iter().filter(|purpose| **purpose == "server_metadata").count();
    assert_eq!(server, 1);
    examined.works_as_printed(&home, &[]);
}

/// Where the person wants no leniency, each that is needed is named.
#[test]
fn a_strict_examination_says_what_strict_would_refuse() {
    let served = serve::embedded(|settings| settings.prm.places = vec![PrmPlace::Root]).unwrap();
    let (home, url) = (Home::new(), served.mcp_url());
    let examined = Examined::of(&home, url, &["--strict"]);
    assert_eq!(examined.verdict(), "works_with_options", "{:#?}", examined.lines);
    let broken = examined.findings().find(|it| it["severity"] == "broken").unwrap();
    assert!(broken["options"].to_string().contains("leave out --strict"), "{broken:#}");
    assert!(!event(&examined.lines, "snippet")["config"].to_string().contains("strict"));
    examined.works_as_printed(&home, &[]);
}

/// A client that is known beforehand comes to the page that a person would be shown.
#[test]
fn a_known_client_is_not_registered_and_its_secret_is_not_shown() {
    let served = serve::embedded(|settings| {
        settings.server.registration.mode = RegistrationMode::Closed;
    })
    .unwrap();
    let (home, url) = (Home::new(), served.mcp_url());
    let examined = Examined::of(&home, url, &[]);
    assert_eq!(examined.verdict(), "needs_client");
    let printed = event(&examined.lines, "snippet")["config"].as_str().unwrap();
    assert!(printed.contains("# client-id = "), "{printed}");
    let mut command = home.command(&["doctor", url, "--client-id", "known"]);
    let output = command.env("MCP_CLIENT_SECRET", "SECRET-CANARY").output().unwrap();
    let ended = ended(output);
    assert_eq!((ended.status, home.pages()), (0, 0), "{}", ended.out);
    assert!(ended.out.contains("client-id = \"known\""), "{}", ended.out);
    assert!(!format!("{}{}", ended.out, ended.err).contains("CANARY"));
}
