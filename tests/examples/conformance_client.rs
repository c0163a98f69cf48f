//! The client under test of the official MCP conformance suite: one program for every
//! authorization-code scenario. It knows no scenario by name; what the suite prescribes as
//! configuration comes from its environment, and the MCP URL is the last argument.

use std::process::ExitCode;

use mcp_authz_ureq::Client;
use serde_json::Value;

#[path = "../glue/blocking.rs"]
mod glue;
#[path = "../glue/program.rs"]
mod program;

/// Where the suite's own client is described; only a string to it.
const CLIENT_DOCUMENT: &str = "https://conformance-test.local/client-metadata.json";
/// Offered and called by every scenario that gets that far.
const TOOL: &str = "test-tool";

fn main() -> ExitCode {
    let context = program::variable("MCP_CONFORMANCE_CONTEXT");
    let context: Value =
        context.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    let text = |name: &str| context.get(name).and_then(Value::as_str);
    let mut arguments = vec!["--headless", "--json", "--call", TOOL];
    arguments.extend(["--client-document", CLIENT_DOCUMENT, "--timeout", "10"]);
    let version = program::variable("MCP_CONFORMANCE_PROTOCOL_VERSION");
    if let Some(version) = &version {
        arguments.extend(["--protocol-version", version]);
    }
    if let Some(id) = text("client_id") {
        arguments.extend(["--client-id", id]);
    }
    if let Some(issuer) = text("issuer") {
        arguments.extend(["--issuer", issuer]);
    }
    let arguments = arguments.into_iter().map(Into::into).chain(program::arguments());
    let secret = |name: &str| match name {
        "MCP_CLIENT_SECRET" => text("client_secret").map(str::to_owned),
        _ => program::variable(name),
    };
    let program = match program::Program::start("conformance_client", arguments, secret) {
        Ok(program) => program,
        Err(status) => return status,
    };
    let (options, show) = (&program.options, &program.show);
    let (face, visits) = glue::Face::new(show, options);
    let builder = Client::builder().observer(program.observer(face)).store(program.store.clone());
    let client = match builder.build() {
        Ok(client) => client,
        Err(error) => return program.failed(&error),
    };
    let session = client.session(program.config.clone());
    let outcome = glue::run(options, &program.url, &session, client.http(), visits, show);
    ExitCode::from(outcome.exit_status())
}
