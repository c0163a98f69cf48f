use super::*;

fn parse(line: &[&str]) -> Result<Command, Usage> {
    with_secret(line, None)
}

fn with_secret(line: &[&str], secret: Option<&str>) -> Result<Command, Usage> {
    read("example", line.iter().map(OsString::from), |name| {
        secret.filter(|_| name == SECRET_VARIABLE).map(Into::into)
    })
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
    assert_eq!(
        options(&["--registration", "off", "--client-id", "mine"]).known_client(),
        Some("mine")
    );
}

#[test]
fn with_a_url_a_person_logs_in() {
    let url = "https://mcp.example/mcp";
    assert_eq!(options(&[url]).target, Target::Url(url.to_owned()));
    assert_eq!(options(&[url]).person, Who::Browser);
    assert_eq!(options(&["--headless", url]).person, Who::Headless);
    assert_eq!(options(&[url, "--no-login"]).person, Who::Nobody);
    assert_eq!(options(&["--", url]).target, Target::Url(url.to_owned()));
    // A query with an equals sign is no option.
    assert_eq!(options(&["https://h/m?a=b"]).target, Target::Url("https://h/m?a=b".to_owned()));
}

#[test]
fn standard_input_is_read_only_where_a_person_may_paste() {
    let url = "https://mcp.example/mcp";
    for (line, terminal, reads) in [
        (&[url][..], true, true),
        (&[url], false, false),
        (&[url, "--paste"], false, true),
        (&[url, "--redirect", "https://app.example/cb"], false, true),
        (&[url, "--headless", "--paste"], true, false),
        (&[url, "--no-login"], true, false),
        (&[], true, false),
    ] {
        assert_eq!(options(line).pastes(terminal), reads, "{line:?}");
    }
}

#[test]
fn options_are_taken_in_both_spellings() {
    let given = options(&[
        "https://mcp.example/mcp",
        "--scope",
        "files:read",
        "--scope=mcp:tools files:read",
        "--call=whoami",
        "--refresh",
        "--register-scopes",
        "--json",
        "--era",
        "legacy",
        "--protocol-version",
        "2025-06-18",
        "--timeout=5",
        "--entra",
        "https://as.example",
        "--pin-issuer",
        "https://a",
        "https://b",
        "--allow-plain-http=h",
    ]);
    assert_eq!(given.scopes.as_str(), "files:read mcp:tools");
    assert_eq!(given.call.as_deref(), Some("whoami"));
    assert!(given.refresh && given.format == Format::Json && given.wire == Wire::Legacy);
    assert!(given.register_scopes);
    assert_eq!(given.protocol_version.as_deref(), Some("2025-06-18"));
    assert_eq!(given.timeout, Duration::from_secs(5));
    assert_eq!(
        given.leniencies,
        [
            Leniency::Entra("https://as.example".to_owned()),
            Leniency::PinIssuer("https://a".to_owned(), "https://b".to_owned()),
            Leniency::PlainHttp("h".to_owned()),
        ]
    );
}

#[test]
fn every_option_is_read_and_explained() {
    let Ok(Command::Say(help)) = parse(&["--help"]) else { panic!("no help") };
    for option in FLAGS.iter().chain(&VALUED) {
        assert!(help.contains(option), "{option}");
    }
    assert!(help.lines().all(|line| line.len() <= 120));
    for option in VALUED {
        let value = match option {
            "--revision" | "--protocol-version" => "2025-11-25",
            "--registration" | "--legacy" => "on",
            "--era" | "--transport" => "auto",
            "--timeout" | "--calls" | "--parallel" => "9",
            "--redirect" => "http://localhost:3000/callback",
            _ => "https://as.example/x",
        };
        let mut line = vec![option, value];
        line.extend((option == "--pin-issuer").then_some("https://other.example"));
        if option.ends_with("-endpoint") {
            let rest = [
                "--authorization-endpoint=https://as.example/a",
                "--token-endpoint=https://b.example/t",
            ];
            line.extend(rest.into_iter().filter(|other| !other.starts_with(option)));
        }
        line.extend((option == "--store").then_some("https://mcp.example/mcp"));
        line.extend((option == "--parallel").then_some("--calls=9"));
        assert!(parse(&line).is_ok(), "{option}: {:?}", parse(&line));
    }
    let Ok(Command::Say(version)) = parse(&["--version"]) else { panic!("no version") };
    assert!(version.starts_with("example 0."));
}

#[test]
fn errors_say_what_to_do() {
    for (line, says) in [
        (&["--sope", "x"][..], "did you mean --scope?"),
        (&["--frobnicate"], "see --help"),
        (&["--scope"], "--scope wants a value"),
        (&["--scope", "--json"], "--scope wants a value"),
        (&["--scope", "a\"b"], "is no scope"),
        (&["--json=yes"], "write --json alone"),
        (&["--timeout", "soon"], "1 to 300 seconds"),
        (&["--timeout", "0"], "1 to 300 seconds"),
        (&["--era", "new"], "auto, modern, legacy"),
        (&["--calls", "0"], "--calls is a number from 1 to 1000000"),
        (&["--calls", "many"], "not many"),
        (&["--calls=9", "--parallel=257"], "--parallel is a number from 1 to 256"),
        (&["--parallel", "4"], "give --calls, too"),
        (&["--calls", "4", "--refresh"], "leave out --call and --refresh"),
        (&["--calls", "4", "--call", "whoami"], "leave out --call and --refresh"),
        (&["--store", "here"], "give its URL"),
        (&["--revision", "2024-11-05"], "use one of 2025-03-26"),
        (&["--registration", "maybe"], "on or off"),
        (&["mcp.example"], "write https://HOST/PATH"),
        (&["https://a", "https://b"], "more than one URL"),
        (&["https://a", "--revision", "2025-06-18"], "leave them, or the URL, out"),
        (&["--headless", "--browser"], "leave out one"),
        (&["--strict", "--entra", "https://as"], "leave out one"),
        (&["--pin-issuer", "https://a"], "--pin-issuer wants a value"),
        (&["--client-document", "http://a/b"], "see --help"),
        (&["http://mcp.example/mcp"], "--allow-plain-http mcp.example"),
        (
            &["--token-endpoint", "https://as.example/token"],
            "authorization_endpoint and token_endpoint go together",
        ),
        (
            &[
                "--token-endpoint=http://as.example/t",
                "--authorization-endpoint=https://as.example/a",
            ],
            "--allow-plain-http as.example",
        ),
        (&["--client-secret", "S3CRET"], SECRET_VARIABLE),
        (&["--client-secret=S3CRET"], SECRET_VARIABLE),
        (&["\u{1b}[31m"], "\\u{1b}[31m is no URL"),
    ] {
        let usage = usage(line);
        assert!(usage.contains(says), "{line:?}: {usage}");
        assert!(!usage.contains("S3CRET") && !usage.contains('\u{1b}'), "{usage}");
    }
}

#[test]
fn the_secret_comes_from_the_environment_and_is_never_shown() {
    let line = ["https://mcp.example/mcp", "--client-id", "mine"];
    let Ok(Command::Run(given)) = with_secret(&line, Some("S3CRET")) else { panic!("no options") };
    assert_eq!(given.client_secret.as_ref().map(Secret::expose), Some("S3CRET"));
    assert!(!format!("{given:?}").contains("S3CRET"));
    // Without a client of its own it is somebody else's.
    let Ok(Command::Run(given)) = with_secret(&line[..1], Some("S3CRET")) else {
        panic!("no options")
    };
    assert!(given.client_secret.is_none());
}

#[test]
fn arguments_that_are_not_utf_8_are_refused() {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStringExt as _;
        let word = OsString::from_vec(vec![b'-', 0xff]);
        assert!(read("example", [word], |_| None).unwrap_err().to_string().contains("UTF-8"));
    }
}

#[test]
fn the_embedded_server_is_what_the_options_say() {
    use crate::model::{AuthMethod, RegistrationMode};
    let settings = options(&["--registration", "off"]).settings().unwrap();
    assert_eq!(settings.server.registration.mode, RegistrationMode::Closed);
    assert_eq!(settings.server.clients.len(), 1);
    assert_eq!(settings.server.clients[0].method, AuthMethod::None);
    let Ok(Command::Run(given)) = with_secret(&["--client-id", "mine"], Some("S3CRET")) else {
        panic!("no options")
    };
    let settings = given.settings().unwrap();
    assert_eq!(settings.server.clients[0].method, AuthMethod::Post);
    assert_eq!(settings.server.registration.mode, RegistrationMode::Open);
    assert!(options(&["https://mcp.example/mcp"]).settings().is_none());
    for revision in REVISIONS {
        assert!(options(&["--revision", revision]).settings().is_some());
    }
}

#[test]
fn the_era_or_a_version_is_the_revision_to_begin_with() {
    for (line, revision) in [
        (&[][..], None),
        (&["--era", "auto"], None),
        (&["--era", "modern"], Some("2026-07-28")),
        (&["--era", "legacy"], Some("2025-11-25")),
        (&["--protocol-version", "2025-03-26"], Some("2025-03-26")),
        (&["--era", "legacy", "--protocol-version", "2025-03-26"], Some("2025-03-26")),
        (&["--era", "modern", "--protocol-version", "2027-01-01"], Some("2027-01-01")),
    ] {
        assert_eq!(options(line).revision(), revision, "{line:?}");
    }
    for line in [
        ["--era", "modern", "--protocol-version", "2025-11-25"],
        ["--era", "legacy", "--protocol-version", "2026-07-28"],
    ] {
        assert!(usage(&line).contains("contradict each other"), "{line:?}");
    }
}

#[test]
fn the_transport_is_one_of_three() {
    for (name, transport) in
        [("http", Transport::Http), ("sse", Transport::Sse), ("auto", Transport::Auto)]
    {
        assert_eq!(options(&["--transport", name]).transport, transport);
    }
    assert_eq!(options(&[]).transport, Transport::Auto);
    assert!(usage(&["--transport=pigeon"]).contains("auto, http, sse"));
}
