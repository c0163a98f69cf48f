//! An examination for people: sections that fit a terminal of 80 columns.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use mcp_authz_core::effect::Purpose;
use mcp_authz_core::note::ScopeSource;
use serde_json::{Value, json};

use super::facts::{Authorization, Facts, Server};
use super::finding::{Finding, Severity};
use super::log::{Asked, End};
use super::snippet::Snippet;
use super::verdict::Verdict;

const WIDTH: usize = 80;
const HEAD: Style = Style::new().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const WARN: Style = AnsiColor::Yellow.on_default();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const ASIDE: Style = Style::new().dimmed();

/// Breaks a text at blanks into lines that fit beside this indentation.
fn wrapped(text: &str, indent: usize) -> Vec<String> {
    let room = WIDTH.saturating_sub(indent).max(20);
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// A name with its value beside it.
fn row(out: &mut String, name: &str, value: &str) {
    const INDENT: usize = 18;
    for (number, line) in wrapped(value, INDENT).iter().enumerate() {
        let name = if number == 0 { name } else { "" };
        let _ = write!(out, "\n  {ASIDE}{name:<15}{ASIDE:#} {line}");
    }
}

fn head(title: &str) -> String {
    format!("{HEAD}{title}{HEAD:#}")
}

/// The requests, one a line.
pub(super) fn requests(title: &str, asked: &[Asked]) -> String {
    let mut out = head(title);
    for asked in asked {
        let style = match asked.status() {
            Some(200..=299) => Style::new(),
            Some(_) => ASIDE,
            None => WARN,
        };
        let purpose = purpose(asked.purpose);
        let method = if asked.method == http::Method::GET { "" } else { asked.method.as_str() };
        let _ = write!(
            out,
            "\n  {style}{:<4}{style:#} {purpose:<13} {}{}",
            short(&asked.end),
            if method.is_empty() { String::new() } else { format!("{method} ") },
            asked.url,
        );
        if let Some(more) = remark(asked) {
            let _ = write!(out, "\n       {ASIDE}{:<13} {more}{ASIDE:#}", "");
        }
    }
    out
}

/// The purpose in words.
const fn purpose(purpose: Option<Purpose>) -> &'static str {
    match purpose {
        Some(Purpose::FirstRequest) => "first request",
        Some(Purpose::ResourceMetadata) => "resource doc",
        Some(Purpose::ServerMetadata) => "server doc",
        Some(Purpose::Registration) => "registration",
        Some(Purpose::CodeExchange) => "code exchange",
        Some(Purpose::Refresh) => "refresh",
        Some(Purpose::Revocation) => "revocation",
        Some(_) => "authorization",
        None => "MCP",
    }
}

fn short(end: &End) -> String {
    match end {
        End::Open | End::Withheld => "-".to_owned(),
        End::Lost(_) => "lost".to_owned(),
        End::Answered(answered) => answered.status.to_string(),
    }
}

/// What the status of an answer does not tell.
fn remark(asked: &Asked) -> Option<String> {
    match &asked.end {
        End::Open => Some("no answer yet".to_owned()),
        End::Withheld => Some("not sent: nothing is registered without --login".to_owned()),
        End::Lost(why) => Some(why.sentence().to_owned()),
        End::Answered(answer) => {
            let documents = [Some(Purpose::ResourceMetadata), Some(Purpose::ServerMetadata)];
            let no_document = answer.status == 200
                && answer.document.is_none()
                && documents.contains(&asked.purpose);
            let media = || answer.media.clone().unwrap_or_else(|| "untyped".to_owned());
            let location = answer.location.as_ref().map(|url| format!("to {url}"));
            location.or_else(|| no_document.then(|| format!("no JSON: {}", media())))
        }
    }
}

/// One request for programs.
pub(super) fn request_line(asked: &Asked) -> Value {
    let answer = asked.answered();
    json!({
        "event": "request",
        "purpose": asked.purpose.map_or("mcp", Purpose::name),
        "method": asked.method.as_str(),
        "url": asked.url,
        "sent": !matches!(asked.end, End::Withheld),
        "status": answer.map(|answer| answer.status),
        "lost": match &asked.end {
            End::Lost(why) => Some(why.name()),
            _ => None,
        },
        "content_type": answer.map(|answer| &answer.media),
        "location": answer.and_then(|answer| answer.location.as_ref()),
        "bytes": answer.and_then(|answer| answer.bytes),
        "ms": u64::try_from(asked.time.as_millis()).unwrap_or(u64::MAX),
    })
}

/// The MCP server and its authorization server.
pub(super) fn facts(url: &str, facts: &Facts) -> String {
    let mut out = server(url, &facts.server, facts);
    if let Some(authorization) = &facts.authorization {
        out.push_str("\n\n");
        out.push_str(&self::authorization(authorization));
    }
    out
}

fn server(url: &str, server: &Server, facts: &Facts) -> String {
    let mut out = head("MCP server");
    row(&mut out, "URL", url);
    match server.first.as_ref().map(|first| &first.end) {
        Some(End::Answered(answer)) => {
            let meaning = match answer.status {
                401 => "401: it wants a token",
                200..=299 => "answered without a token",
                _ => "neither a refusal nor an answer of MCP",
            };
            let text = match answer.status {
                401 => meaning.to_owned(),
                status => format!("{status}: {meaning}"),
            };
            row(&mut out, "first request", &text);
            for line in &answer.challenge {
                row(&mut out, "challenge", line);
            }
        }
        Some(End::Lost(why)) => row(&mut out, "first request", why.sentence()),
        _ => {}
    }
    if let Some(resource) = &server.resource {
        row(&mut out, "resource", resource);
    }
    let wire = match &server.wire {
        Some((wire, version)) => Some(super::facts::wire(*wire, version)),
        None if facts.authorization.is_none() => None,
        None if server.document.is_some() => Some(
            "not to be seen without a token (--login shows it); servers with resource metadata \
             mostly speak 2025-06-18 or later"
                .to_owned(),
        ),
        None => Some(
            "not to be seen without a token (--login shows it); without resource metadata it is \
             taken for revision 2025-03-26"
                .to_owned(),
        ),
    };
    if let Some(wire) = wire {
        row(&mut out, "wire", &wire);
    }
    out
}

fn authorization(server: &Authorization) -> String {
    let mut out = head("Authorization server");
    let issuer = server.text("issuer").or_else(|| server.listed.clone());
    row(&mut out, "issuer", issuer.as_deref().unwrap_or("unnamed"));
    if let (Some(listed), Some(issuer)) = (&server.listed, &issuer)
        && listed != issuer
    {
        row(&mut out, "listed as", listed);
    }
    match &server.document {
        Some(asked) if server.refused => {
            row(&mut out, "document", &format!("{}, refused", asked.url))
        }
        Some(asked) => row(&mut out, "document", &asked.url),
        None if server.described => row(&mut out, "document", "none: you have named the endpoints"),
        None => row(&mut out, "document", "none: the default endpoints of 2025-03-26"),
    }
    endpoints(&mut out, server, issuer.as_deref());
    for (name, member, absent) in [
        ("grants", "grant_types_supported", "not listed: authorization_code"),
        ("PKCE", "code_challenge_methods_supported", "not listed"),
        ("client auth", "token_endpoint_auth_methods_supported", "not listed: client_secret_basic"),
    ] {
        if server.members().is_some() {
            let list = server.list(member).map(|list| list.join(", "));
            row(&mut out, name, list.as_deref().unwrap_or(absent));
        }
    }
    let ways: Vec<&str> = server.registrations().into_iter().map(way).collect();
    row(&mut out, "clients by", &ways.join(", "));
    if !server.refused {
        let from = match server.scope_source {
            Some(ScopeSource::Challenge) => "named by the challenge",
            Some(ScopeSource::Resource) => "named by the resource metadata",
            Some(ScopeSource::Host | ScopeSource::Default) => "named by you",
            _ => "nobody names one",
        };
        let scopes = server.scopes.as_deref().filter(|scopes| !scopes.is_empty());
        row(&mut out, "scopes asked", &format!("{} ({from})", scopes.unwrap_or("none")));
        let promised = server.is_true("authorization_response_iss_parameter_supported");
        row(&mut out, "iss", if promised { "promised in callbacks" } else { "not promised" });
    }
    out
}

/// The endpoints, and which of them are on another host.
fn endpoints(out: &mut String, server: &Authorization, issuer: Option<&str>) {
    for (name, member) in [
        ("log-in page", "authorization_endpoint"),
        ("tokens", "token_endpoint"),
        ("registration", "registration_endpoint"),
        ("revocation", "revocation_endpoint"),
    ] {
        if let Some(url) = server.text(member) {
            let host = server.host(member).unwrap_or_default();
            let own = issuer.is_some_and(|issuer| {
                issuer
                    .split_once("://")
                    .is_some_and(|(_, rest)| rest.split('/').next() == Some(host.as_str()))
            });
            let note = if own { "" } else { "   (another host than the issuer's)" };
            row(out, name, &format!("{url}{note}"));
        } else if server.members().is_some() {
            row(out, name, "none");
        }
    }
}

/// A way to be a client, in words.
fn way(name: &str) -> &'static str {
    match name {
        "client_document" => "client ID metadata document",
        "dynamic_registration" => "registration",
        _ => "a client id known beforehand",
    }
}

/// The findings, the worst first.
pub(super) fn findings(findings: &[Finding]) -> String {
    let mut out = head("Findings");
    if findings.is_empty() {
        out.push_str("\n  nothing is wrong");
    }
    for finding in findings {
        let style = match finding.severity {
            Severity::Broken => BAD,
            Severity::Weak => WARN,
            Severity::Note => ASIDE,
        };
        let label = finding.severity.name();
        let lines = wrapped(&finding.text, 19);
        for (number, line) in lines.iter().enumerate() {
            let _ = match number {
                0 => write!(out, "\n  {style}{label:<6}{style:#} {:<8} {line}", finding.rule),
                _ => write!(out, "\n  {:<16}{line}", ""),
            };
        }
        let mut below = |name: &str, text: &str| {
            for (number, line) in wrapped(text, 28).iter().enumerate() {
                let name = if number == 0 { name } else { "" };
                let _ = write!(out, "\n  {:<16}{ASIDE}{name:<7}{ASIDE:#} {line}", "");
            }
        };
        if let Some(at) = &finding.at {
            below("at", at);
        }
        if let Some(sentence) = finding.sentence() {
            below("rule", &sentence);
        }
        if let Some(said) = &finding.said {
            below("it said", said);
        }
        finding.options.iter().for_each(|option| below("accept", option));
        finding.mends.iter().for_each(|mend| below("or", mend));
    }
    out
}

/// The configuration, in each form.
pub(super) fn snippet(snippet: &Snippet, file: &str) -> String {
    let proof = if snippet.proved { "" } else { ", as far as it is known" };
    let mut out = head(&format!("Configuration{proof}"));
    let mut block = |title: &str, text: &str| {
        let _ = write!(out, "\n  {ASIDE}{title}{ASIDE:#}");
        for line in text.lines() {
            let _ = write!(out, "\n    {line}");
        }
    };
    block(&format!("in {file}"), &snippet.file());
    block("on the command line", &format!("mcp-authz login {}", snippet.words()));
    block("in Rust", &snippet.rust());
    out
}

/// What came of a login.
pub(super) fn login(rows: &[(&'static str, String)]) -> String {
    let mut out = head("Login");
    rows.iter().for_each(|(name, value)| row(&mut out, name, value));
    out
}

/// The last word.
pub(super) fn verdict(verdict: Verdict, logged_in: bool, todo: &[String]) -> String {
    let style = match verdict {
        Verdict::Works | Verdict::Open => GOOD,
        Verdict::Unknown
        | Verdict::Refused
        | Verdict::WorksWith
        | Verdict::NeedsClient
        | Verdict::NeedsDecision => WARN,
        Verdict::Broken | Verdict::NoEndpoint | Verdict::Unreachable => BAD,
    };
    let mut out = format!("{HEAD}Verdict:{HEAD:#} {style}{}{style:#}", verdict.sentence(logged_in));
    for text in todo {
        for (number, line) in wrapped(text, 4).iter().enumerate() {
            let mark = if number == 0 { "-" } else { " " };
            let _ = write!(out, "\n  {mark} {line}");
        }
    }
    out
}
