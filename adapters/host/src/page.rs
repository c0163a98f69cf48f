//! The pages a person sees at the end of a login, as whole HTTP answers.
//!
//! Each is one file without script and without anything from elsewhere, so that it looks the same
//! without a network. Nothing of the request is in one (HOST-198): what varies is named by the session,
//! the listener or the program ([`PageText`]), and is escaped here all the same. To look at them after a
//! change, in light and dark and narrow: `cargo run -p mcp-authz-host --example pages DIRECTORY`, or
//! `tests/browser/run`, which sees them in a browser.
//!
//! The address bar keeps the address that the browser came back to, with its `code` and `state`: both
//! are spent when the page is shown, and a page that rewrote them would need a script.

mod text;

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mcp_authz_core::effect::{ListenOn, Page, Parties};
use mcp_authz_core::failure::Kind;
use sha2::{Digest, Sha256};

pub use self::text::{Label, Outcome, PageText, Words};

/// A constant and no file of its own: a checkout that rewrites line ends would change its hash.
const STYLE: &str = "
:root { color-scheme: light dark; --paper: #f3f4f7; --card: #ffffff; --ink: #1c2026; --soft: #59616d;
  --line: #dfe3e8; --good: #18794e; --mild: #8f5b00; --bad: #c3262f; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #0f1115; --card: #191c22; --ink: #e8eaee; --soft: #a0a8b4; --line: #2d323b;
    --good: #4cc38a; --mild: #e2b04a; --bad: #ff8080; } }
* { box-sizing: border-box; margin: 0; }
html { background: var(--paper); color: var(--ink); -webkit-text-size-adjust: 100%;
  font: 1rem/1.55 system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif; }
body { min-height: 100vh; display: grid; place-items: center; padding: 1.25rem; }
main { width: 100%; max-width: 29rem; padding: 2.5rem 2.25rem; background: var(--card);
  border: 1px solid var(--line); border-radius: 1rem; text-align: center; overflow-wrap: anywhere; }
main > * + * { margin-top: 1rem; }
svg { width: 4rem; height: 4rem; fill: none; stroke: currentColor; stroke-width: 3.25;
  stroke-linecap: round; stroke-linejoin: round; }
.good svg { color: var(--good); } .mild svg { color: var(--mild); }
.bad svg { color: var(--bad); } .stray svg { color: var(--soft); }
circle { fill: currentColor; fill-opacity: .13; stroke: none; }
h1, p { text-wrap: balance; }
h1 { font-size: 1.5rem; line-height: 1.25; font-weight: 650; }
dl { border: 1px solid var(--line); border-radius: .6rem; text-align: start; }
main > dl { margin-block: 1.5rem; }
dl > div { display: flex; flex-wrap: wrap; gap: 0 1rem; padding: .6rem .9rem; }
dl > div + div { border-top: 1px solid var(--line); }
dt { flex: 0 0 7.5rem; color: var(--soft); }
dd { flex: 1 1 11rem; font-weight: 600; }
small { display: block; font-size: .8125rem; color: var(--soft); }
code { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
@media (max-width: 26rem) { main { padding: 2rem 1.25rem; } dt { flex-basis: 100%; } }
";

/// The pages of one listener: a program's words, and the address that they are served at.
///
/// ```
/// use mcp_authz_core::effect::{ListenOn, LoopbackHost, Page, Parties};
/// use mcp_authz_host::page::{PageText, Pages};
///
/// let on = ListenOn { host: LoopbackHost::V4, port: None, path: "/callback".to_owned() };
/// let pages = Pages::new(PageText::new(), &on, 4711);
/// let parties = Parties {
///     program: "Mail <2>".to_owned(),
///     resource: "mcp.example".to_owned(),
///     issuer: "login.example".to_owned(),
/// };
/// let answer = String::from_utf8(pages.page(&Page::Authorized(parties)))?;
/// assert!(answer.contains("<dd>Mail &lt;2&gt;</dd>"));
/// assert!(answer.contains("<dd>127.0.0.1:4711</dd>"));
/// # Ok::<(), std::string::FromUtf8Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pages {
    text: PageText,
    served: String,
}

impl Pages {
    /// The pages of a listener that was bound to this port.
    #[must_use]
    pub fn new(text: PageText, on: &ListenOn, port: u16) -> Self {
        Self { text, served: format!("{}:{port}", on.host.as_str()) }
    }

    /// The answer to a callback.
    #[must_use]
    pub fn page(&self, page: &Page) -> Vec<u8> {
        self.answer(&sheet(page), page.status())
    }

    /// The answer to a callback that nobody waits for any more.
    #[must_use]
    pub fn nobody(&self) -> Vec<u8> {
        let sheet = Sheet {
            outcome: Outcome::Nobody,
            mark: Mark::Stray,
            title: "Nobody waits for this login any more",
            lead: "The program has given the login up, or was closed.".into(),
            parties: None,
            next: "You may close this window, or go back to the program and log in from there."
                .into(),
            kind: None,
        };
        self.answer(&sheet, 410)
    }

    /// The answer to a request that is no callback at all.
    #[must_use]
    pub fn refusal(&self, status: u16) -> Vec<u8> {
        let sheet = Sheet {
            outcome: Outcome::NoCallback,
            mark: Mark::Stray,
            title: match status {
                404 => "There is nothing here",
                405 => "This method is not allowed",
                421 => "This is the wrong host",
                _ => "This request is malformed",
            },
            lead: "A program listens at this address for the end of a login, and for nothing else."
                .into(),
            parties: None,
            next: "You may close this window.".into(),
            kind: None,
        };
        self.answer(&sheet, status)
    }
}

/// The built-in words for a callback.
fn sheet(page: &Page) -> Sheet<'_> {
    match page {
        Page::Authorized(parties) => Sheet {
            outcome: Outcome::Authorized,
            mark: Mark::Good,
            title: "You are logged in",
            lead: "The program may now use this server for you.".into(),
            parties: Some(parties),
            next: "You may close this window and go back to the program.".into(),
            kind: None,
        },
        Page::OneMoreStep(parties) => Sheet {
            outcome: Outcome::OneMoreStep,
            mark: Mark::Mild,
            title: "One more step",
            lead: "The login server had forgotten this program, which has registered there anew. \
                   The login goes on with another page."
                .into(),
            parties: Some(parties),
            next:
                "You may close this window. Go on in the one that opens now, or where the program \
                   shows it."
                    .into(),
            kind: None,
        },
        Page::Untrusted { parties, failure } => Sheet {
            outcome: Outcome::Untrusted,
            mark: Mark::Bad,
            title: "This answer cannot be trusted",
            lead: "It does not come from the login server that the program sent you to, or does \
                   not say so as that server has promised. Nothing of it is used, \
                   and nothing has changed."
                .into(),
            parties: Some(parties),
            next: "You may close this window. The login still waits for a better answer; if you \
                   expect none, cancel it in the program."
                .into(),
            kind: Some(failure.kind()),
        },
        Page::Denied(parties) => Sheet {
            outcome: Outcome::Denied,
            mark: Mark::Mild,
            title: "The login was declined",
            lead: "The program was given no access to this server.".into(),
            parties: Some(parties),
            next:
                "You may close this window. If it was a mistake, go back to the program and log in \
                   again."
                    .into(),
            kind: None,
        },
        Page::Failed { parties, kind, remedy } => {
            let remedy = kind.advice().map_or_else(|| remedy.to_string(), str::to_owned);
            Sheet {
                outcome: Outcome::Failed,
                mark: Mark::Bad,
                title: "The login failed",
                lead: sentence(*kind).into(),
                parties: Some(parties),
                next: format!(
                    "You may close this window. Go back to the program, which knows more, and \
                     {remedy}."
                )
                .into(),
                kind: Some(*kind),
            }
        }
        Page::Refused(kind) => Sheet {
            outcome: Outcome::Refused,
            mark: Mark::Stray,
            title: "This does not belong to a login that is waiting",
            lead: "It has changed nothing. A login that is waiting goes on in its own window."
                .into(),
            parties: None,
            next: "You may close this window, or go back to the program and log in from there."
                .into(),
            kind: Some(*kind),
        },
    }
}

/// How it went, at a glance. The shapes differ as the colours do, for those who see no colours.
#[derive(Clone, Copy)]
enum Mark {
    Good,
    Mild,
    Bad,
    Stray,
}

impl Mark {
    const fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Mild => "mild",
            Self::Bad => "bad",
            Self::Stray => "stray",
        }
    }

    const fn path(self) -> &'static str {
        match self {
            Self::Good => "M14.5 24.5l6.75 6.75L34 17.5",
            Self::Mild => "M15 24h18",
            Self::Bad => "M24 13.5v13M24 34v.01",
            Self::Stray => "M18.5 19a5.5 5.5 0 1 1 8 4.9c-1.7.9-2.5 1.9-2.5 3.9M24 34v.01",
        }
    }
}

/// One page with its built-in words, which are text like everything else that is shown.
struct Sheet<'a> {
    outcome: Outcome,
    mark: Mark,
    title: &'a str,
    lead: Cow<'a, str>,
    parties: Option<&'a Parties>,
    next: Cow<'a, str>,
    /// The failure, whose code is shown, and a sentence about it unless the lead is that already.
    kind: Option<Kind>,
}

impl Pages {
    fn answer(&self, sheet: &Sheet<'_>, status: u16) -> Vec<u8> {
        let body = self.body(sheet);
        let reason = match status {
            200 => "OK",
            404 => "Not Found",
            405 => "Method Not Allowed",
            410 => "Gone",
            421 => "Misdirected Request",
            _ => "Bad Request",
        };
        let style = STANDARD.encode(Sha256::digest(STYLE));
        let allow = if status == 405 { "Allow: GET\r\n" } else { "" };
        let length = body.len();
        format!(
            "HTTP/1.1 {status} {reason}\r\n\
             Content-Type: text/html; charset=utf-8\r\n\
             Content-Length: {length}\r\n\
             Content-Security-Policy: default-src 'none'; style-src 'sha256-{style}'; \
             frame-ancestors 'none'; base-uri 'none'; form-action 'none'\r\n\
             Referrer-Policy: no-referrer\r\n\
             Cache-Control: no-store\r\n\
             X-Content-Type-Options: nosniff\r\n\
             {allow}\
             Connection: close\r\n\r\n{body}"
        )
        .into_bytes()
    }

    fn body(&self, sheet: &Sheet<'_>) -> String {
        let own = self.text.of(sheet.outcome);
        let own =
            |part: fn(&Words) -> &Option<String>| own.and_then(|words| part(words).as_deref());
        let lang = escaped(self.text.tag());
        let (class, path) = (sheet.mark.class(), sheet.mark.path());
        let title = escaped(own(|words| &words.title).unwrap_or(sheet.title));
        let lead = escaped(own(|words| &words.lead).unwrap_or(&sheet.lead));
        let next = escaped(own(|words| &words.next).unwrap_or(&sheet.next));
        let table = self.table(sheet.parties);
        let small = sheet.kind.map_or_else(String::new, |kind| {
            let told = sheet.outcome == Outcome::Failed || own(|words| &words.lead).is_some();
            let before = if told { String::new() } else { escaped(&sentence(kind)) + " " };
            format!("<small>{before}<code>{}</code></small>\n", kind.code())
        });
        // The direction of writing follows the title's: a program may bring words in any language.
        format!(
            "<!DOCTYPE html>\n\
             <html lang=\"{lang}\">\n\
             <head>\n\
             <meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <title>{title}</title>\n\
             <style>{STYLE}</style>\n\
             </head>\n\
             <body>\n\
             <main class=\"{class}\" dir=\"auto\">\n\
             <svg viewBox=\"0 0 48 48\" aria-hidden=\"true\">\
             <circle cx=\"24\" cy=\"24\" r=\"24\"/><path d=\"{path}\"/></svg>\n\
             <h1>{title}</h1>\n\
             <p>{lead}</p>\n\
             {table}\
             <p>{next}</p>\n\
             {small}\
             </main>\n\
             </body>\n\
             </html>\n"
        )
    }

    /// The names of a login, and the address, by which a person with several programs knows which
    /// one has finished.
    fn table(&self, parties: Option<&Parties>) -> String {
        let named = parties.into_iter().flat_map(|parties| {
            [
                (Label::Program, &parties.program),
                (Label::Resource, &parties.resource),
                (Label::Issuer, &parties.issuer),
            ]
        });
        let rows = named.chain([(Label::Served, &self.served)]).map(|(label, value)| {
            let name = escaped(self.text.name(label));
            format!("<div><dt>{name}</dt><dd>{}</dd></div>\n", escaped(value))
        });
        format!("<dl>\n{}</dl>\n", rows.collect::<String>())
    }
}

/// Core's words for it, as a sentence of their own.
fn sentence(kind: Kind) -> String {
    let mut letters = kind.sentence().chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).chain(['.']).collect()
}

/// Text that no reader takes for markup. Characters that are no text become spaces: they have no
/// place in a name, and a document that holds them is malformed.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            letter if letter.is_control() => safe.push(' '),
            letter => safe.push(letter),
        }
    }
    safe
}

#[cfg(test)]
#[path = "page/tests.rs"]
mod tests;
