//! FastMCP: the `FileTreeStore` that a program gives its client, whose files are named by a hash of
//! their key.

use std::fs;
use std::path::Path;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::files::{json, redirect_uri, secret, text};
use super::{Found, Tool, no_issuer, nothing};
use crate::fault::Fault;

/// The most folders, and files of one, that are looked at.
const MOST: usize = 4_096;

/// Reads what it keeps of a server. There is no usual place: each program names its own.
pub(super) fn read(from: Option<&Path>, url: &str) -> Result<Found, Fault> {
    let folder = from.ok_or_else(|| {
        Fault::usage(
            "fastmcp keeps logins where its program says: name that folder with --from DIR",
        )
    })?;
    let of = |name: &str| entry(folder, &format!("{url}/{name}"));
    let (Some(client), Some(tokens)) = (of("client_info")?, of("tokens")?) else {
        return Err(nothing(Tool::Fastmcp, url, folder));
    };
    let expires = of("token_expiry")?;
    Ok(Found {
        issuer: text(&client, "issuer").ok_or_else(|| no_issuer(Tool::Fastmcp))?,
        client_id: text(&client, "client_id").ok_or_else(|| nothing(Tool::Fastmcp, url, folder))?,
        client_secret: secret(&client, "client_secret"),
        redirect_uri: redirect_uri(&client),
        auth_method: text(&client, "token_endpoint_auth_method"),
        access_token: secret(&tokens, "access_token"),
        refresh_token: secret(&tokens, "refresh_token"),
        expires: expires.as_ref().map(|it| it.get("expires_at").map_or(0, seconds)),
        scope: text(&tokens, "scope"),
    })
}

/// The value of a key. The name of its file ends with the beginning of the key's hash.
fn entry(folder: &Path, key: &str) -> Result<Option<Value>, Fault> {
    let digest = Sha256::digest(key);
    let hash: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let ending = format!("-{hash}.json");
    let inside = |folder: &Path| {
        let entries = fs::read_dir(folder).into_iter().flatten();
        entries.filter_map(Result::ok).map(|entry| entry.path()).take(MOST).collect::<Vec<_>>()
    };
    for path in inside(folder).iter().filter(|path| path.is_dir()).flat_map(|it| inside(it)) {
        if path.to_string_lossy().ends_with(&ending) {
            return Ok(json(&path)?.and_then(|entry| entry.get("value").cloned()));
        }
    }
    Ok(None)
}

/// The whole seconds of a time in seconds.
#[expect(clippy::cast_possible_truncation, reason = "a float beyond the range becomes its end")]
fn seconds(time: &Value) -> i64 {
    time.as_f64().unwrap_or_default() as i64
}
