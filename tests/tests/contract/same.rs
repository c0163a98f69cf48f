//! Every runtime does the whole job in every revision, with and without registration, and says the
//! same.

use mcp_authz_tests::model::REVISIONS;

use crate::runtimes::{Ran, all_alike, options};

/// Against the embedded server that the arguments describe.
fn own_server(arguments: &[&str]) -> Ran {
    let serve = || options(arguments).serve().unwrap().unwrap();
    all_alike(arguments, &serve)
}

#[test]
fn every_revision_with_and_without_registration_on_every_runtime() {
    for revision in REVISIONS {
        for registration in ["on", "off"] {
            let ran =
                own_server(&["--json", "--revision", revision, "--registration", registration]);
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
    let ran = own_server(&["--json"]);
    assert_eq!(ran.outcome.exit_status(), 0, "{:#?}", ran.lines);
    assert!(ran.lines.iter().any(|line| line.contains("mcp:tools mcp:admin")));
}

#[test]
fn many_calls_at_a_time_after_one_login_on_every_runtime() {
    for wire in ["modern", "legacy"] {
        for form in [&["--json"][..], &[]] {
            let calls = ["--era", wire, "--calls", "40", "--parallel", "8"];
            let ran = own_server(&[form, &calls].concat());
            assert_eq!(ran.outcome.exit_status(), 0, "{:#?}", ran.lines);
            let shown = ran.lines.iter().filter(|line| line.contains("tools/list")).count();
            assert!(shown < 8, "what each call does is not shown: {:#?}", ran.lines);
        }
    }
}
