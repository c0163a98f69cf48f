//! No secret reaches any output: everything that was secret on the wire is looked for in everything
//! that was printed, by every runtime and in both formats.

use mcp_authz_tests::model::{AuthMethod, Consent};
use mcp_authz_tests::serve::{self, Served};

use crate::runtimes::{RUNTIMES, options};

/// Everything that went over the wire and must not be seen.
fn secrets(served: &Served) -> Vec<String> {
    let model = served.lock();
    let mut secrets = Vec::new();
    for seen in model.seen() {
        for name in ["code", "code_verifier", "refresh_token", "client_secret", "state"] {
            secrets.extend(seen.form.all(name).into_iter().map(str::to_owned));
            secrets.extend(seen.query.all(name).into_iter().map(str::to_owned));
        }
        let authorization = seen.headers.get("authorization").and_then(|v| v.to_str().ok());
        let token = authorization.and_then(|value| value.split_once(' ')).map(|(_, token)| token);
        secrets.extend(token.map(str::to_owned));
    }
    secrets.sort();
    secrets.dedup();
    secrets
}

#[test]
fn no_secret_is_printed_tok_18_host_302() {
    for format in ["--json", "--headless"] {
        for (runtime, run) in RUNTIMES {
            let served = serve::embedded(|at| {
                at.server.consent = Consent::Form;
                at.server.registration.assigns = Some(AuthMethod::Post);
                at.server.auth_methods = vec![AuthMethod::Post];
            })
            .unwrap();
            let arguments = [format, "--headless", "--refresh", "http://127.0.0.1:1/mcp"];
            let ran = run(&options(&arguments), &served);
            assert_eq!(ran.outcome.exit_status(), 0, "{runtime}: {:#?}", ran.lines);
            let secrets = secrets(&served);
            assert!(secrets.len() >= 7, "all kinds were on the wire: {}", secrets.len());
            let printed = ran.lines.join("\n");
            for secret in secrets {
                assert!(!printed.contains(&secret), "{runtime} {format} prints a secret");
            }
        }
    }
}
