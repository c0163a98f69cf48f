//! The example does its job over each transport, in this process.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::process::ExitCode;

use mcp_authz_tests::model::{Endpoint, Era};
use mcp_authz_tests::serve::embedded;

#[path = "../examples/rmcp_client.rs"]
#[allow(dead_code, reason = "its main is for the example alone")]
mod rmcp_client;

async fn status(arguments: &[&str]) -> String {
    format!("{:?}", rmcp_client::run(arguments.iter().map(Into::into)).await)
}

#[tokio::test]
async fn it_does_the_whole_job_over_each_transport() {
    for transport in ["http", "sse", "auto"] {
        let done = status(&["--json", "--transport", transport]).await;
        assert_eq!(done, format!("{:?}", ExitCode::SUCCESS), "{transport}");
    }
}

#[tokio::test]
async fn it_speaks_every_revision() {
    for revision in ["2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"] {
        for era in ["auto", if revision == "2026-07-28" { "modern" } else { "legacy" }] {
            let line = ["--json", "--revision", revision, "--era", era];
            assert_eq!(status(&line).await, format!("{:?}", ExitCode::SUCCESS), "{line:?}");
        }
    }
}

/// Of a login whose first page was for a registration that the server has forgotten.
#[tokio::test(flavor = "multi_thread")]
async fn it_goes_on_with_the_second_page_of_a_login_reg_21() {
    for transport in ["http", "sse", "auto"] {
        let served = embedded(|settings| {
            settings.servers_mut().for_each(|server| server.tokens.forgets_clients = 1);
            if transport == "sse" {
                settings.mcp.era = Era::HttpSse;
            }
        });
        let served = served.unwrap();
        let done =
            status(&["--json", "--headless", "--transport", transport, served.mcp_url()]).await;
        assert_eq!(done, format!("{:?}", ExitCode::SUCCESS), "{transport}");
        assert_eq!(served.lock().count(Endpoint::Register), 2, "{transport}");
    }
}

#[tokio::test]
async fn many_calls_and_none_at_all() {
    let calls = ["--json", "--calls", "200", "--parallel", "50"];
    assert_eq!(status(&calls).await, format!("{:?}", ExitCode::SUCCESS));
    assert_eq!(status(&["--no-login"]).await, format!("{:?}", ExitCode::from(1)));
    assert_eq!(status(&["--transport", "pigeon"]).await, format!("{:?}", ExitCode::from(2)));
}
