//! Codex: one file, where no keychain is, with a login for each server and no word of its issuer.

use std::path::Path;

use super::files::{self, json, secret, text};
use super::{Found, Tool, no_issuer, nothing};
use crate::fault::Fault;

/// Reads what it keeps of a server.
pub(super) fn read(from: Option<&Path>, url: &str) -> Result<Found, Fault> {
    let folder = match from {
        Some(folder) => folder.to_owned(),
        None => match std::env::var_os("CODEX_HOME") {
            Some(folder) => folder.into(),
            None => files::in_home(".codex")?,
        },
    };
    let logins = json(&folder.join(".credentials.json"))?;
    let logins = logins.as_ref().and_then(|it| it.as_object()).into_iter().flatten();
    let login = logins.map(|(_, login)| login);
    let login = login.rev().find(|it| text(it, "server_url").as_deref() == Some(url));
    let login = login.ok_or_else(|| nothing(Tool::Codex, url, &folder))?;
    let scopes = login.get("scopes").and_then(|it| it.as_array()).into_iter().flatten();
    let scopes: Vec<&str> = scopes.filter_map(|scope| scope.as_str()).collect();
    Ok(Found {
        // No version that is known writes it; one that does is read.
        issuer: text(login, "issuer").ok_or_else(|| no_issuer(Tool::Codex))?,
        client_id: text(login, "client_id").ok_or_else(|| nothing(Tool::Codex, url, &folder))?,
        client_secret: None,
        redirect_uri: None,
        auth_method: None,
        access_token: secret(login, "access_token"),
        refresh_token: secret(login, "refresh_token"),
        expires: login.get("expires_at").and_then(|it| it.as_i64()).map(|it| it / 1000),
        scope: (!scopes.is_empty()).then(|| scopes.join(" ")),
    })
}
