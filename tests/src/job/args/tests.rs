use super::*;

fn parse(line: &[&str]) -> Result<Command, Usage> {
    read("example", line.iter().map(OsString::from))
}

fn options(line: &[&str]) -> Options {
    match parse(line) {
        Ok(Command::Run(options)) => *options,
        other => panic!("{line:?}: {other:?}"),
    }
}

fn usage(line: &[&str]) -> String {
    match parse(line) {
        Err(usage) => usage.to_string(),
        other => panic!("{line:?}: {other:?}"),
    }
}

#[test]
fn without_a_url_the_program_does_everything_itself() {
    let given = options(&[]);
    assert_eq!(given.target, Target::Embedded(Embedded { revision: None, registration: true }));
    assert_eq!(given.person, Who::Headless);
    assert_eq!(options(&["--browser"]).person, Who::Browser);
    let given = options(&["--revision", "2025-06-18", "--registration=off"]);
    assert_eq!(
        given.target,
        Target::Embedded(Embedded { revision: Some("2025-06-18".to_owned()), registration: false })
    );
    assert_eq!(given.known_client(), Some("example-client"));
}

#[test]
fn with_a_url_a_person_logs_in() {
    let url = "https://mcp.example/mcp";
    assert_eq!(options(&[url]).target, Target::Url(url.to_owned()));
    assert_eq!(options(&[url]).person, Who::Browser);
    assert_eq!(options(&["--headless", url]).person, Who::Headless);
    assert_eq!(options(&[url, "--no-login"]).person, Who::Nobody);
    // A query with an equals sign is no option.
    assert_eq!(options(&["https://h/m?a=b"]).target, Target::Url("https://h/m?a=b".to_owned()));
}

#[test]
fn standard_input_is_read_only_where_a_person_may_paste() {
    let url = "https://mcp.example/mcp";
    for (line, terminal, reads) in [
        (&[url][..], true, true),
        (&[url], false, false),
        (&[url, "--headless"], true, false),
        (&[url, "--no-login"], true, false),
        (&[], true, false),
    ] {
        assert_eq!(options(line).pastes(terminal), reads, "{line:?}");
    }
}

#[test]
fn every_flag_is_taken() {
    let given = options(&[
        "https://mcp.example/mcp",
        "--scope",
        "files:read",
        "--scope=mcp:tools files:read",
        "--call=whoami",
        "--refresh",
        "--log-out",
        "--json",
        "--era",
        "legacy",
        "--transport=sse",
        "--timeout=5",
        "--account=work",
        "--store=here",
    ]);
    assert_eq!(given.scopes.as_str(), "files:read mcp:tools");
    assert_eq!(given.call.as_deref(), Some("whoami"));
    assert!(given.refresh && given.log_out && given.format == Format::Json);
    assert_eq!((given.wire, given.transport), (Wire::Legacy, Transport::Sse));
    assert_eq!(given.timeout, Duration::from_secs(5));
    assert_eq!(given.account.as_deref(), Some("work"));
    assert_eq!(given.store, Some("here".into()));
    let given = options(&["--calls=9", "--parallel", "3"]).repeat.unwrap();
    assert_eq!((given.calls.get(), given.parallel.get()), (9, 3));
}

#[test]
fn help_and_version_name_the_program() {
    let Ok(Command::Say(help)) = parse(&["--help"]) else { panic!("no help") };
    assert!(help.contains("example [OPTIONS] [URL]") && help.contains("token_requests"), "{help}");
    assert!(help.lines().all(|line| line.len() <= 100));
    let Ok(Command::Say(version)) = parse(&["--version"]) else { panic!("no version") };
    assert!(version.starts_with("example 0."), "{version}");
}

#[test]
fn errors_say_what_to_do() {
    for (line, says) in [
        (&["--sope", "x"][..], "'--scope'"),
        (&["--frobnicate"], "--help"),
        (&["--scope"], "value is required"),
        (&["--scope", "a\"b"], "printable ASCII"),
        (&["--timeout", "0"], "1..=300"),
        (&["--era", "new"], "auto, modern, legacy"),
        (&["--transport=pigeon"], "auto, http, sse"),
        (&["--calls", "0"], "a number from 1 to 1000000"),
        (&["--calls=9", "--parallel=257"], "a number from 1 to 256"),
        (&["--parallel", "4"], "--calls"),
        (&["--calls", "4", "--refresh"], "cannot be used with"),
        (&["--calls", "4", "--call", "whoami"], "cannot be used with"),
        (&["--store", "here"], "<URL>"),
        (&["--revision", "2024-11-05"], "2025-03-26"),
        (&["--registration", "maybe"], "on, off"),
        (&["mcp.example"], "write https://mcp.example"),
        (&["https://a", "https://b"], "unexpected argument 'https://b'"),
        (&["https://a", "--revision", "2025-06-18"], "cannot be used with"),
        (&["--headless", "--browser"], "cannot be used with"),
        (&["http://mcp.example/mcp"], "plain http is allowed on loopback only"),
        (&["\u{1b}[31m"], "it is no URL"),
    ] {
        let usage = usage(line);
        assert!(usage.contains(says), "{line:?}: {usage}");
        assert!(!usage.contains('\u{1b}'), "{usage}");
    }
}

#[test]
fn arguments_that_are_not_utf_8_are_refused() {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStringExt as _;
        let word = OsString::from_vec(vec![b'-', 0xff]);
        assert!(read("example", [word]).is_err());
    }
}

#[test]
fn the_embedded_server_is_what_the_options_say() {
    use crate::model::{AuthMethod, RegistrationMode};
    let settings = options(&["--registration", "off"]).settings().unwrap();
    assert_eq!(settings.server.registration.mode, RegistrationMode::Closed);
    assert_eq!(settings.server.clients.len(), 1);
    assert_eq!(settings.server.clients[0].method, AuthMethod::None);
    assert!(options(&["https://mcp.example/mcp"]).settings().is_none());
    for revision in REVISIONS {
        assert!(options(&["--revision", revision]).settings().is_some());
    }
}

#[test]
fn the_era_is_the_revision_to_begin_with() {
    for (line, revision) in [
        (&[][..], None),
        (&["--era", "auto"], None),
        (&["--era", "modern"], Some("2026-07-28")),
        (&["--era", "legacy"], Some("2025-11-25")),
    ] {
        assert_eq!(options(line).revision(), revision, "{line:?}");
    }
}
