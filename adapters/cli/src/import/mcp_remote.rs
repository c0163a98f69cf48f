//! `mcp-remote`: files of a folder, named by the MD5 of the URL.

use std::path::Path;

use md5::{Digest as _, Md5};
use serde_json::Value;

use super::files::{self, json, redirect_uri, secret, text};
use super::{Found, Tool, no_issuer, nothing};
use crate::fault::Fault;

/// The folder of the format that is known, in the one of the program.
const FORMAT: &str = "mcp-remote-v1";

/// Reads what it keeps of a server that it was started for with no more than the URL.
pub(super) fn read(from: Option<&Path>, url: &str) -> Result<Found, Fault> {
    let folder = match from {
        Some(folder) => folder.to_owned(),
        None => match std::env::var_os("MCP_REMOTE_CONFIG_DIR") {
            Some(folder) => folder.into(),
            None => files::in_home(".mcp-auth")?,
        },
    };
    let folder = folder.join(FORMAT);
    let name: String = Md5::digest(url).iter().map(|byte| format!("{byte:02x}")).collect();
    let client = json(&folder.join(format!("{name}_client_info.json")))?;
    let tokens = json(&folder.join(format!("{name}_tokens.json")))?;
    let (Some(client), Some(tokens)) = (client, tokens) else {
        return Err(nothing(Tool::McpRemote, url, &folder));
    };
    let issuer = text(&tokens, "issuer").or_else(|| text(&client, "issuer"));
    Ok(Found {
        issuer: issuer.ok_or_else(|| no_issuer(Tool::McpRemote))?,
        client_id: text(&client, "client_id")
            .ok_or_else(|| nothing(Tool::McpRemote, url, &folder))?,
        client_secret: secret(&client, "client_secret"),
        redirect_uri: redirect_uri(&client),
        auth_method: text(&client, "token_endpoint_auth_method"),
        access_token: secret(&tokens, "access_token"),
        refresh_token: secret(&tokens, "refresh_token"),
        // In milliseconds. A token whose end was not recorded is taken to be over.
        expires: Some(tokens.get("expires_at").and_then(Value::as_f64).map_or(0, seconds)),
        scope: text(&tokens, "scope").or_else(|| text(&tokens, "requested_scope")),
    })
}

/// The whole seconds of a time in milliseconds.
#[expect(clippy::cast_possible_truncation, reason = "a float beyond the range becomes its end")]
fn seconds(milliseconds: f64) -> i64 {
    (milliseconds / 1000.0) as i64
}
