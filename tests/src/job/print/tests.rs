use std::slice;
use std::sync::{Arc, Mutex};

use mcp_authz_core::effect::{Purpose, Why};
use mcp_authz_core::failure::{
    Evidence, Failure, Kind, Outcome as Ended, Remedy, Said, Setting, Switch,
};
use mcp_authz_core::internals::furnished;
use mcp_authz_core::note::{Choice, ClientWay, Edge, Note, ScopeSource};
use mcp_authz_core::note::{MachineName, SignalName, StateName};
use mcp_authz_core::scope::ScopeSet;

use super::*;
use crate::job::outcome::{Counts, Fault, Outcome, Summary};

fn shown(format: Format, steps: &[Step]) -> Vec<String> {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&lines);
    Show::new(format, move |line| sink.lock().unwrap().push(line.to_owned())).all(steps);
    lines.lock().unwrap().clone()
}

fn read(step: &Step) -> Value {
    serde_json::from_str(&step.json()).unwrap()
}

#[test]
fn a_request_and_its_answer_share_a_row_for_people() {
    let request =
        || Step::request("tools/list", &Method::POST, "http://127.0.0.1:4000/mcp?x=SECRET", true);
    let steps = [
        request(),
        Step::answer("tools/list", 401),
        Step::new("x", "a line"),
        request(),
        Step::new("x", "in between"),
        request(),
        Step::unanswered("tools/list", Why::Timeout),
    ];
    let row = "POST   tools/list                 http://127.0.0.1:4000/mcp, with token";
    assert_eq!(
        shown(Format::Human, &steps),
        [
            format!("  401  {row}"),
            "       - a line".to_owned(),
            format!("  ...  {row}"),
            "       - in between".to_owned(),
            format!("  timeout {row}"),
        ]
    );
    assert_eq!(shown(Format::Json, &steps).len(), steps.len());
}

#[test]
fn json_lines_begin_with_their_step_and_parse() {
    let step = Step::request(
        "tools/list",
        &Method::POST,
        "https://u:SECRET@h.example/mcp?SECRET#SECRET",
        false,
    );
    assert_eq!(
        step.json(),
        "{\"step\":\"request\",\"purpose\":\"tools/list\",\"method\":\"POST\",\
         \"url\":\"https://h.example/mcp\",\"token\":false}"
    );
    let odd = Step::called("t", false, &escaped("a\"b\n\u{202e}\u{1b}[31m"));
    assert_eq!(read(&odd)["text"], "a\"b\\n\\u{202e}\\u{1b}[31m");
    assert!(odd.json().bytes().all(|byte| matches!(byte, b' '..=b'~')));
}

#[test]
fn notes_become_steps() {
    let scopes = || ScopeSet::read("a b").unwrap();
    for (note, name, member, value) in [
        (
            Note::Answered { purpose: Purpose::ResourceMetadata, status: 404 },
            "answer",
            "status",
            json!(404),
        ),
        (
            Note::Lost { purpose: Purpose::Refresh, why: Why::Timeout },
            "lost",
            "code",
            json!("timeout"),
        ),
        (
            Note::Chose(Choice::Client(ClientWay::Dynamic)),
            "chose",
            "way",
            json!("dynamic_registration"),
        ),
        (
            Note::Chose(Choice::Scopes { scopes: scopes(), source: ScopeSource::Challenge }),
            "chose",
            "source",
            json!("challenge"),
        ),
        (
            Note::Chose(Choice::Server { issuer: "https://as\n".into(), document: None }),
            "chose",
            "issuer",
            json!("https://as\\n"),
        ),
        (
            Note::Lenient { switch: Switch::PkceUnlisted, subject: "https://as".to_owned() },
            "lenient",
            "switch",
            json!("pkce_unlisted"),
        ),
        (
            Note::Renewed { missing: scopes(), unasked: ScopeSet::empty() },
            "renewed",
            "missing",
            json!("a b"),
        ),
        (
            Note::Rejected,
            "note",
            "text",
            json!("the refresh token was refused; kept, not used again"),
        ),
        (
            Note::Failed { kind: Kind::Timeout, rule: "HTTP-01" },
            "gave_up",
            "rule",
            json!("HTTP-01"),
        ),
    ] {
        let step = read(&Step::note(&note).unwrap());
        assert_eq!((&step["step"], &step[member]), (&json!(name), &value), "{note}");
    }
    assert_eq!(Step::note(&Note::Late { kept: true }), None);
}

#[test]
fn a_failure_says_what_where_which_rule_and_what_next() {
    let failure = Failure::new(Kind::PkceUnsupported, "ASM-12")
        .with_subject("https://as.example")
        .with_said(Said {
            error: "other".to_owned(),
            description: Some("no".to_owned()),
            status: Some(400),
        });
    let purpose = Purpose::ServerMetadata;
    let seen = Evidence {
        purpose,
        url: "https://as.example/.well-known/oauth-authorization-server".to_owned(),
        outcome: Ended::Status(200),
    };
    let switch: (_, &[_]) = (Switch::PkceUnlisted, &["https://as.example"]);
    let failure = furnished(failure, purpose, &[switch], &[], vec![seen]);
    let step = Step::outcome(&Outcome::from(failure));
    let seen = read(&step);
    assert!(step.json().starts_with(
        "{\"outcome\":\"failed\",\"code\":\"pkce_unsupported\",\"remedy\":\"configure\""
    ));
    assert_eq!(seen["rule"], "ASM-12");
    assert_eq!(seen["switches"], json!(["pkce_unlisted"]));
    assert_eq!(seen["said"]["error_description"], "no");
    assert_eq!(seen["evidence"][0]["outcome"], "200");
    assert_eq!(
        seen["next"],
        json!(["if you trust this server all the same: mcp-authz doctor URL names the options"])
    );
    let lines = shown(Format::Human, &[step]);
    assert!(lines[0].starts_with("  failed: pkce_unsupported: "));
    assert!(lines.iter().any(|line| line.contains("mcp-authz doctor")));
}

#[test]
fn every_kind_has_something_to_do_next() {
    for kind in Kind::ALL {
        let next = read(&Step::outcome(&Failure::new(*kind, "X-01").into()))["next"].clone();
        assert!(next.as_array().is_some_and(|next| !next.is_empty()), "{kind:?}");
    }
}

#[test]
fn the_last_step_counts_what_the_session_told() {
    let shown = |format: Format, outcome: &Outcome| {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let show = Show::new(format, move |line| sink.lock().unwrap().push(line.to_owned()));
        for note in [
            Note::Lost { purpose: Purpose::Refresh, why: Why::Timeout },
            Note::Answered { purpose: Purpose::ServerMetadata, status: 200 },
            Note::Answered { purpose: Purpose::Refresh, status: 400 },
            Note::Answered { purpose: Purpose::Refresh, status: 200 },
            Note::Adopted,
            Note::Adopted,
        ] {
            show.note(&note);
        }
        show.step(&Step::ending(outcome, Counts { calls: 9, failures: 0 }));
        lines.lock().unwrap().clone()
    };
    let authorized = Outcome::Authorized(Summary::default());
    let last: Value =
        serde_json::from_str(shown(Format::Json, &authorized).last().unwrap()).unwrap();
    assert_eq!((&last["refreshes"], &last["adopted"]), (&json!(1), &json!(2)));
    assert_eq!((&last["token_requests"], &last["logins"]), (&json!(0), &json!(0)));
    let lines = shown(Format::Human, &authorized);
    let tail: Vec<&str> = lines.iter().rev().take(2).map(String::as_str).collect();
    assert_eq!(
        tail,
        [
            "       tokens       1 refresh, 2 taken over from other programs",
            "       calls        9, none failed",
        ]
    );
    let (_, lines) = last_after(&[], &authorized);
    assert_eq!(lines.last().unwrap(), "       tokens       as they were kept");
    // The advice on what to do next comes last.
    let lines = shown(Format::Human, &Failure::new(Kind::StoreLocked, "REF-05").into());
    assert!(lines.last().unwrap().starts_with("       next "), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("       tokens ")));
}

/// The words of the last step, after these notes.
fn last_after(notes: &[Note], outcome: &Outcome) -> (Value, Vec<String>) {
    let [json, human] = [Format::Json, Format::Human].map(|format| {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let show = Show::new(format, move |line| sink.lock().unwrap().push(line.to_owned()));
        notes.iter().for_each(|note| show.note(note));
        show.step(&Step::outcome(outcome));
        lines.lock().unwrap().clone()
    });
    (serde_json::from_str(json.last().unwrap()).unwrap(), human)
}

#[test]
fn a_one_shot_moment_is_named_with_what_to_do_host_227_host_228() {
    let lost = |purpose| {
        let failure = Failure::new(Kind::OutcomeUnknown, "X-01");
        furnished(failure, purpose, &[], &[], Vec::new())
    };
    let refused = || Failure::new(Kind::ReauthorizationRequired, "REF-08");
    let lost_on_the_way = |why| Note::Lost { purpose: Purpose::Refresh, why };
    let cut_off = Note::Step(Edge {
        machine: MachineName::Intent,
        from: StateName::Recorded,
        on: SignalName::Stored,
        to: StateName::Pause,
    });
    for (notes, failure, moment, next) in [
        (&[][..], lost(Purpose::CodeExchange), json!("code_unanswered"), "log in"),
        (&[], lost(Purpose::Refresh), json!("refresh_unanswered"), "run it again"),
        (slice::from_ref(&cut_off), refused(), json!("refresh_cut_off"), "log in"),
        (&[lost_on_the_way(Why::Broken)], refused(), json!("refresh_unanswered"), "log in"),
        (&[lost_on_the_way(Why::Connect)], refused(), Value::Null, "log in"),
        // No crash came before it, or none that this failure is about.
        (&[], refused(), Value::Null, "log in"),
        (slice::from_ref(&cut_off), Failure::new(Kind::Transient, "REF-09"), Value::Null, "later"),
    ] {
        let (last, human) = last_after(notes, &failure.into());
        assert_eq!(last["moment"], moment, "{last}");
        assert!(last["next"][0].as_str().unwrap().contains(next), "{last}");
        let named = human.iter().any(|line| line.starts_with("       moment "));
        assert_eq!(named, !moment.is_null(), "{human:?}");
        assert!(human.last().unwrap().starts_with("       next "), "{human:?}");
    }
    let step = read(&Step::note(&cut_off).unwrap());
    assert_eq!(step["step"], "refresh_cut_off");
    let (last, _) = last_after(&[cut_off], &Outcome::Authorized(Summary::default()));
    assert_eq!(last["moment"], Value::Null, "it went well");
}

#[test]
fn a_wait_for_another_program_is_said_once() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&lines);
    let show = Show::new(Format::Json, move |line| sink.lock().unwrap().push(line.to_owned()));
    let leads = |to: StateName| {
        let (machine, from, on) = (MachineName::Claim, StateName::Lease, SignalName::Stored);
        show.note(&Note::Step(Edge { machine, from, on, to }));
        lines.lock().unwrap().len()
    };
    // Asked for three times, had at last; and then the same again.
    let said = [StateName::Pause, StateName::Pause, StateName::Pause, StateName::Grant];
    assert_eq!(said.map(leads), [1, 1, 1, 1]);
    assert_eq!(said.map(leads), [2, 2, 2, 2]);
    assert!(lines.lock().unwrap().iter().all(|line| line == r#"{"step":"waiting"}"#));
}

#[test]
fn nothing_is_said_after_the_end() {
    let ends = [
        Step::outcome(&Outcome::setup("no socket")),
        Step::new("late", "a note of another thread"),
        Step::outcome(&Outcome::Authorized(Summary::default())),
    ];
    let lines = shown(Format::Json, &ends);
    assert_eq!(lines.len(), 1);
    assert!(lines[0].starts_with("{\"outcome\":\"failed\""));
}

/// The action that is left to the person is named as an option where there is one, with its real
/// words.
#[test]
fn a_setting_that_mends_a_failure_is_named_cauth_13_reg_91_reg_92() {
    let issuer = Some("https://as.example");
    let failure = Failure::new(Kind::RegistrationFailed, "REG-17");
    let settings = [
        (Setting::RegisterScopes, None),
        (Setting::Redirect, None),
        (Setting::ClientAuthMethod, issuer),
    ];
    let failure = furnished(failure, Purpose::Registration, &[], &settings, Vec::new());
    let seen = read(&Step::outcome(&failure.into()));
    let next: Vec<&str> =
        seen["next"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let scopes =
        "or register the scopes that will be asked for: register_scopes of the configuration";
    assert!(next.contains(&scopes), "{next:?}");
    let method = "or choose another client authentication method for https://as.example: \
                  client_auth_method of the configuration";
    assert!(next.contains(&method), "{next:?}");
    let names = json!(["register_scopes", "redirect_uri", "client_auth_method"]);
    assert_eq!(seen["settings"], names);
}

#[test]
fn other_endings() {
    let retry = Remedy::Retry { after: Some(std::time::Duration::from_secs(7)) };
    let seen = read(&Step::outcome(&Fault::new("transient", "busy\u{7}", "", retry).into()));
    assert_eq!((&seen["retry_after"], &seen["message"]), (&json!(7), &json!("busy\\u{7}")));
    let summary = Summary {
        tools: vec!["t".to_owned()],
        version: "2026-07-28".to_owned(),
        ..Summary::default()
    };
    for (outcome, name, status) in [
        (Outcome::Authorized(summary.clone()), "authorized", 0),
        (Outcome::Open(summary), "open", 0),
        (Outcome::setup("no socket"), "failed", 1),
        (Outcome::stuck("a password"), "failed", 1),
    ] {
        assert_eq!(read(&Step::outcome(&outcome))["outcome"], name);
        assert_eq!(outcome.exit_status(), status);
        assert!(!shown(Format::Human, &[Step::outcome(&outcome)]).is_empty());
    }
}
