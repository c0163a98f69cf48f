//! The audit: a line for each request, with what became of it and no secret.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use mcp_authz_core::failure::{Remedy, escaped};
use rustix::fs::OFlags;
use serde_json::json;
use url::Url;

use super::rights::Peer;
use crate::fault::Fault;
use crate::server::shown;

/// Where the lines go: standard error, or a file.
pub(crate) struct Audit {
    file: Option<Mutex<File>>,
}

/// One line. Whatever came from a peer is escaped, and a line is one JSON object, so that no peer
/// writes lines of its own.
pub(crate) struct Line<'a> {
    pub(crate) peer: Peer,
    /// The socket.
    pub(crate) socket: &'a str,
    /// The request, by a name that the protocol has.
    pub(crate) request: &'a str,
    /// The server, as the peer named it.
    pub(crate) server: &'a str,
    /// `ok`, or the code of the fault.
    pub(crate) outcome: &'a str,
}

impl Audit {
    /// Opens the file, which is added to.
    pub(crate) fn open(path: Option<&Path>) -> Result<Self, Fault> {
        let Some(path) = path else { return Ok(Self { file: None }) };
        let unusable = |error: &dyn std::fmt::Display| {
            let text = format!("the audit cannot be written to {}: {error}", path.display());
            Fault::new("audit", &text, Remedy::Configure).advised(["name a file of your own"])
        };
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let flags = i32::try_from(flags.bits()).unwrap_or_default();
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(0o600).custom_flags(flags);
        let file = options.open(path).map_err(|error| unusable(&error))?;
        let found = file.metadata().map_err(|error| unusable(&error))?;
        if !found.is_file() || found.uid() != rustix::process::geteuid().as_raw() {
            return Err(unusable(&"it is no file of yours"));
        }
        Ok(Self { file: Some(Mutex::new(file)) })
    }

    /// Writes a line.
    pub(crate) fn line(&self, line: &Line<'_>) {
        let text = json!({
            "time": utc(SystemTime::now()),
            "pid": line.peer.pid,
            "uid": line.peer.uid,
            "socket": escaped(line.socket),
            "request": line.request,
            "server": named(line.server),
            "outcome": escaped(line.outcome),
        });
        let text = format!("{text}\n");
        let written = self.file.as_ref().map(|file| {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            file.write_all(text.as_bytes())
        });
        // On standard error, too, if the file cannot be written: somebody may read it there.
        if !matches!(written, Some(Ok(()))) {
            let _nobody_reads = std::io::stderr().lock().write_all(text.as_bytes());
        }
    }
}

/// A server without what may be secret in its URL: the query, and a name and password.
fn named(server: &str) -> String {
    match Url::parse(server) {
        Ok(mut url) if !url.username().is_empty() || url.password().is_some() => {
            let emptied = url.set_username("").and_then(|()| url.set_password(None));
            emptied.map_or_else(|()| String::new(), |()| shown(url.as_str()))
        }
        _ => shown(server),
    }
}

/// A moment as RFC 3339 writes it, in UTC.
fn utc(at: SystemTime) -> String {
    let seconds = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let (mut days, time) = (seconds / 86_400, seconds % 86_400);
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let (hour, minute, second) = (time / 3_600, time / 60 % 60, time % 60);
    format!("{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", days + 1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_may_be_secret_in_a_url_is_left_out() {
        let url = "https://h.example/mcp";
        assert_eq!(named(&format!("{url}?key=1#2")), url);
        assert_eq!(named("https://name:word@h.example/mcp?key"), url);
        assert_eq!(named("https://name@h.example/mcp"), url);
        assert_eq!(named("mail"), "mail");
    }

    #[test]
    fn a_moment_is_written_as_rfc_3339_has_it() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_767_225_599, "2025-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(utc(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }
}
