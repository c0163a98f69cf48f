//! The callback listener's conversation with a browser: bytes in, bytes out.
//!
//! Only a plain GET of the exact path, under the exact host and port, as a top-level navigation, is a
//! callback; everything else gets a fixed answer and ends nothing (NAT-09, HOST-185 to HOST-190,
//! HOST-330).
//! No answer holds a byte of the request (HOST-198).

use mcp_authz_core::effect::{ListenOn, LoopbackHost};
use mcp_authz_core::input::Callback;

use crate::page::{PageText, Pages};

/// Most bytes of a request's head that are held.
const HEAD: usize = 8 * 1024;
/// Most fields in it.
const FIELDS: usize = 64;

/// Fields by which browsers say that they fetch ahead of the person.
const AHEAD: [&str; 4] = ["sec-purpose", "purpose", "x-purpose", "x-moz"];

/// The host, port and path that a listener was bound for, and the pages that it shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    host: LoopbackHost,
    port: u16,
    path: String,
    pages: Pages,
}

impl Rule {
    /// The rule for a listener that was bound to this port, and that speaks to a browser with these
    /// words.
    #[must_use]
    pub fn new(on: &ListenOn, port: u16, text: PageText) -> Self {
        let pages = Pages::new(text, on, port);
        Self { host: on.host, port, path: on.path.clone(), pages }
    }

    /// The pages of this listener.
    #[must_use]
    pub const fn pages(&self) -> &Pages {
        &self.pages
    }

    /// A browser at the redirect URI names exactly this. Anything else is a web page that made its
    /// own name resolve to this machine (DNS rebinding).
    fn is_host(&self, host: &str) -> bool {
        let name = self.host.as_str();
        host.eq_ignore_ascii_case(&format!("{name}:{}", self.port))
            || (self.port == 80 && host.eq_ignore_ascii_case(name))
    }
}

/// One connection's request, as far as it has come.
#[derive(Debug)]
pub struct Conversation<'a> {
    rule: &'a Rule,
    held: Vec<u8>,
}

/// The step that follows from the bytes so far.
#[derive(Debug)]
pub enum Heard {
    /// Read on.
    More,
    /// A callback. Report it, and answer with [`Pages::page`] of [`Rule::pages`] when its page is
    /// known.
    Arrived(Callback),
    /// Write these bytes and close.
    Answer(Vec<u8>),
}

impl<'a> Conversation<'a> {
    /// A connection on which nothing has come yet.
    #[must_use]
    pub const fn new(rule: &'a Rule) -> Self {
        Self { rule, held: Vec::new() }
    }

    /// Takes the next bytes. After anything but [`Heard::More`] no further bytes matter.
    #[must_use]
    pub fn hear(&mut self, bytes: &[u8]) -> Heard {
        let room = HEAD.saturating_sub(self.held.len());
        let taken = bytes.get(..room.min(bytes.len())).unwrap_or_default();
        self.held.extend_from_slice(taken);
        let mut fields = [httparse::EMPTY_HEADER; FIELDS];
        let mut request = httparse::Request::new(&mut fields);
        let heard = match request.parse(&self.held) {
            Ok(httparse::Status::Complete(end)) => {
                let head = self.held.get(..end).unwrap_or_default();
                let more = self.held.len() > end || taken.len() < bytes.len();
                if bare_line_end(head) { Err(400) } else { self.judge(&request, more) }
            }
            Ok(httparse::Status::Partial) if taken.len() == bytes.len() => return Heard::More,
            _ => Err(400),
        };
        match heard {
            Ok(callback) => Heard::Arrived(callback),
            Err(status) => Heard::Answer(self.rule.pages.refusal(status)),
        }
    }

    /// The callback, or the status to refuse with. `more` says that bytes came after the head.
    fn judge(&self, request: &httparse::Request<'_, '_>, more: bool) -> Result<Callback, u16> {
        let all = |name: &str| {
            let name = name.to_owned();
            request
                .headers
                .iter()
                .filter(move |field| field.name.eq_ignore_ascii_case(&name))
                .map(|field| str::from_utf8(field.value).unwrap_or_default())
        };
        let mut hosts = all("host");
        let host = hosts.next().filter(|_| hosts.next().is_none()).ok_or(400u16)?;
        if !self.rule.is_host(host) {
            return Err(421);
        }
        if request.method != Some("GET") {
            return Err(405);
        }
        let target = request.path.filter(|path| path.starts_with('/')).ok_or(400u16)?;
        let path = target.split('?').next().unwrap_or(target);
        if path != self.rule.path {
            return Err(404);
        }
        // An image or a fetch of some web page is no person coming back from the server (HOST-187).
        let navigation = all("sec-fetch-mode").all(|mode| mode == "navigate")
            && all("sec-fetch-dest").all(|dest| dest == "document");
        // A browser that goes to a page sends nothing with it, and no origin that is not ours; what it
        // fetches before anybody wants to go there is no person's answer (HOST-330).
        let origin = format!("http://{host}");
        let plain = !more
            && all("content-length").all(|length| length == "0")
            && all("transfer-encoding").next().is_none()
            && all("upgrade").next().is_none()
            && all("origin").all(|from| from.eq_ignore_ascii_case(&origin))
            && AHEAD.iter().all(|field| all(field).next().is_none());
        if !navigation || !plain {
            return Err(400);
        }
        let Rule { host, port, .. } = self.rule;
        Ok(Callback::url(format!("http://{}:{port}{target}", host.as_str())))
    }
}

/// Two readers that disagree about what ends a line disagree about what the request says.
fn bare_line_end(head: &[u8]) -> bool {
    let bare = |pair: &[u8]| matches!(pair, [before, b'\n'] if *before != b'\r');
    head.first() == Some(&b'\n') || head.windows(2).any(bare)
}

#[cfg(test)]
#[path = "conversation/tests.rs"]
mod tests;
