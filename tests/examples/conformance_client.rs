//! The client under test of the official MCP conformance suite: one program for every
//! authorization-code scenario. It knows no scenario by name; what the suite prescribes as
//! configuration comes from its environment, and the MCP URL is the last argument.

use std::process::ExitCode;

use mcp_authz_tests::job::args::{self, Command};
use mcp_authz_tests::job::{Options, Outcome, Show, Step, Target};
use mcp_authz_ureq::Client;
use serde_json::Value;

#[path = "../glue/blocking.rs"]
mod glue;

/// Where the suite's own client is described; only a string to it.
const CLIENT_DOCUMENT: &str = "https://conformance-test.local/client-metadata.json";
/// Offered and called by every scenario that gets that far.
const TOOL: &str = "test-tool";

fn main() -> ExitCode {
    let environment = |name: &str| std::env::var(name).ok();
    let context = environment("MCP_CONFORMANCE_CONTEXT");
    let context: Value =
        context.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    let text = |name: &str| context.get(name).and_then(Value::as_str);
    let mut arguments = vec!["--headless", "--json", "--call", TOOL];
    arguments.extend(["--client-document", CLIENT_DOCUMENT, "--timeout", "10"]);
    let version = environment("MCP_CONFORMANCE_PROTOCOL_VERSION");
    if let Some(version) = &version {
        arguments.extend(["--protocol-version", version]);
    }
    if let Some(id) = text("client_id") {
        arguments.extend(["--client-id", id]);
    }
    if let Some(issuer) = text("issuer") {
        arguments.extend(["--issuer", issuer]);
    }
    let arguments = arguments.into_iter().map(Into::into).chain(std::env::args_os().skip(1));
    let secret = |name: &str| match name {
        "MCP_CLIENT_SECRET" => text("client_secret").map(str::to_owned),
        _ => environment(name),
    };
    match args::read("conformance_client", arguments, secret) {
        Ok(Command::Run(options)) => ExitCode::from(job(&options).exit_status()),
        Ok(Command::Say(text)) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(usage) => {
            eprintln!("{usage}");
            ExitCode::from(2)
        }
    }
}

fn job(options: &Options) -> Outcome {
    let show = Show::new(options.format, |line| println!("{line}"));
    let failed = |outcome: Outcome| {
        show.step(&Step::outcome(&outcome));
        outcome
    };
    let Target::Url(url) = &options.target else {
        return failed(Outcome::setup("the suite gives the MCP URL as the last argument"));
    };
    let config = match options.config(url) {
        Ok(config) => config,
        Err(failure) => return failed(failure.into()),
    };
    let (face, visits) = glue::Face::new(&show, options);
    let client = match Client::builder().observer(face).build() {
        Ok(client) => client,
        Err(error) => return failed(Outcome::setup(&error.to_string())),
    };
    let session = client.session(config);
    glue::run(options, url, &session, client.http(), visits, &show)
}
