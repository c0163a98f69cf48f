//! One contract for every runtime: the example clients do the whole job against the embedded server
//! over real sockets, in every revision, with and without registration, and say the same.
#![forbid(unsafe_code)]

use std::sync::{Arc, Mutex};

use mcp_authz_tests::job::args::{self, Command};
use mcp_authz_tests::job::{Options, Outcome, Show};
use mcp_authz_tests::model::REVISIONS;

#[path = "../glue/asynchronous.rs"]
mod asynchronous;
#[path = "../glue/blocking.rs"]
mod blocking;

/// What one run printed, and how it ended.
struct Ran {
    lines: Vec<String>,
    outcome: Outcome,
}

fn options(arguments: &[&str]) -> Options {
    let arguments = arguments.iter().map(|argument| (*argument).into());
    match args::read("contract", arguments, |_| None) {
        Ok(Command::Run(options)) => *options,
        other => panic!("these arguments make a run: {other:?}"),
    }
}

/// Runs the job with one adapter; `$run` is given options, URL, session, port, visits and show.
macro_rules! ran {
    ($options:expr, $glue:ident, $client:ty $(, $await:tt)?) => {{
        let options: &Options = $options;
        let printed = Arc::new(Mutex::new(Vec::new()));
        let lines = Arc::clone(&printed);
        let show = Show::new(options.format, move |line| {
            lines.lock().unwrap().push(line.to_owned());
        });
        let served = options.serve().unwrap().unwrap();
        let url = served.mcp_url().to_owned();
        let (face, visits) = $glue::Face::new(&show, options);
        let client = <$client>::builder().observer(face).build().unwrap();
        let session = client.session(options.config(&url).unwrap());
        let outcome =
            $glue::run(options, &url, &session, client.http(), visits, &show)$(.$await)?;
        let lines = printed.lock().unwrap().iter().map(|line| normalised(line)).collect();
        Ran { lines, outcome }
    }};
}

/// A line without what differs between two runs of one program: ports.
fn normalised(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("127.0.0.1:") {
        out.push_str(before);
        out.push_str("127.0.0.1:PORT");
        rest = after.trim_start_matches(|character: char| character.is_ascii_digit());
    }
    out.push_str(rest);
    out
}

fn on_ureq(options: &Options) -> Ran {
    ran!(options, blocking, mcp_authz_ureq::Client)
}

fn on_tokio(options: &Options) -> Ran {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async { ran!(options, asynchronous, mcp_authz_tokio::Client, await) })
}

fn on_async_std(options: &Options) -> Ran {
    async_std::task::block_on(async {
        ran!(options, asynchronous, mcp_authz_async_std::Client, await)
    })
}

fn all_alike(arguments: &[&str]) -> Ran {
    let options = options(arguments);
    let blocking = on_ureq(&options);
    let tokio = on_tokio(&options);
    let async_std = on_async_std(&options);
    assert_eq!(blocking.lines, tokio.lines, "ureq and tokio say the same: {arguments:?}");
    assert_eq!(blocking.lines, async_std.lines, "and so does async-std: {arguments:?}");
    blocking
}

#[test]
fn every_revision_with_and_without_registration_on_every_runtime() {
    for revision in REVISIONS {
        for registration in ["on", "off"] {
            let ran =
                all_alike(&["--json", "--revision", revision, "--registration", registration]);
            let context = format!("{revision}, registration {registration}: {:#?}", ran.lines);
            assert_eq!(ran.outcome.exit_status(), 0, "{context}");
            let has = |text: &str| ran.lines.iter().any(|line| line.contains(text));
            assert!(has(r#""outcome":"authorized""#), "{context}");
            assert!(has(r#""purpose":"refresh""#), "{context}");
            assert_eq!(has(r#""purpose":"registration""#), registration == "on", "{context}");
        }
    }
}

#[test]
fn both_wires_and_a_step_up_on_every_runtime() {
    let ran = all_alike(&["--json"]);
    assert_eq!(ran.outcome.exit_status(), 0, "{:#?}", ran.lines);
    assert!(ran.lines.iter().any(|line| line.contains("mcp:tools mcp:admin")));
}

#[test]
fn strict_fails_alike_where_a_plain_server_needs_leniency() {
    let ran = all_alike(&["--json", "--strict", "--revision", "2025-03-26"]);
    assert_eq!(ran.outcome.exit_status(), 1);
    let last = ran.lines.last().unwrap();
    assert!(last.contains(r#""code":"discovery_failed""#), "{last}");
}
