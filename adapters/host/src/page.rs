//! The pages a person sees at the end of a login, as whole HTTP answers.
//!
//! Each is one file without script and without anything from elsewhere, so that it looks the same
//! without a network. Nothing of the request is in one (HOST-198): what varies is named by the session,
//! and is escaped here all the same. To look at them after a change, in light and dark and narrow:
//! `cargo run -p mcp-authz-host --example pages DIRECTORY`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mcp_authz_core::effect::{Page, Parties};
use mcp_authz_core::failure::Kind;
use sha2::{Digest, Sha256};

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
dl { border: 1px solid var(--line); border-radius: .6rem; text-align: left; }
main > dl { margin-block: 1.5rem; }
dl > div { display: flex; flex-wrap: wrap; gap: 0 1rem; padding: .6rem .9rem; }
dl > div + div { border-top: 1px solid var(--line); }
dt { flex: 0 0 7.5rem; color: var(--soft); }
dd { flex: 1 1 11rem; font-weight: 600; }
small { display: block; font-size: .8125rem; color: var(--soft); }
code { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
@media (max-width: 26rem) { main { padding: 2rem 1.25rem; } }
";

/// The answer to a callback.
#[must_use]
pub fn page(page: &Page) -> Vec<u8> {
    let status = page.status();
    match page {
        Page::Authorized(parties) => Sheet {
            mark: Mark::Good,
            title: "You are logged in",
            lead: "The program may now use this server for you.",
            parties: Some(parties),
            next: "You may close this window and go back to the program.",
            small: String::new(),
        },
        Page::OneMoreStep(parties) => Sheet {
            mark: Mark::Mild,
            title: "One more step",
            lead: "The login server had forgotten this program, which has registered there anew. \
                   The login goes on with another page.",
            parties: Some(parties),
            next: "You may close this window. Go on in the one that opens now, or where the program \
                   shows it.",
            small: String::new(),
        },
        Page::Untrusted { parties, failure } => {
            return Sheet {
                mark: Mark::Bad,
                title: "This answer cannot be trusted",
                lead: "It does not come from the login server that the program sent you to, or does \
                       not say so as that server has promised. It has changed nothing, and nothing of \
                       it is used.",
                parties: Some(parties),
                next: "You may close this window. The login still waits for a better answer; if you \
                       expect none, cancel it in the program.",
                small: format!("{} {}", sentence(failure.kind()), code(failure.kind())),
            }
            .answer(status);
        }
        Page::Denied(parties) => Sheet {
            mark: Mark::Mild,
            title: "The login was declined",
            lead: "The program was given no access to this server.",
            parties: Some(parties),
            next: "You may close this window. If it was a mistake, go back to the program and log in \
                   again.",
            small: String::new(),
        },
        Page::Failed { parties, kind, remedy } => {
            let remedy = kind.advice().map_or_else(|| remedy.to_string(), str::to_owned);
            return Sheet {
                mark: Mark::Bad,
                title: "The login failed",
                lead: &sentence(*kind),
                parties: Some(parties),
                next: &format!(
                    "You may close this window. Go back to the program, which knows more, and \
                     {remedy}."
                ),
                small: code(*kind),
            }
            .answer(status);
        }
        Page::Refused(kind) => Sheet {
            mark: Mark::Stray,
            title: "This does not belong to a login that is waiting",
            lead: "It has changed nothing. A login that is waiting goes on in its own window.",
            parties: None,
            next: "You may close this window, or go back to the program and log in from there.",
            small: format!("{} {}", sentence(*kind), code(*kind)),
        },
    }
    .answer(status)
}

/// The answer to a callback that nobody waits for any more.
#[must_use]
pub fn nobody() -> Vec<u8> {
    Sheet {
        mark: Mark::Stray,
        title: "Nobody waits for this login any more",
        lead: "The program has given the login up, or was closed.",
        parties: None,
        next: "You may close this window, or go back to the program and log in from there.",
        small: String::new(),
    }
    .answer(410)
}

/// The answer to what is no callback at all.
#[must_use]
pub fn refusal(status: u16) -> Vec<u8> {
    Sheet {
        mark: Mark::Stray,
        title: match status {
            404 => "There is nothing here",
            405 => "This method is not allowed",
            421 => "This is the wrong host",
            _ => "This request is malformed",
        },
        lead: "A program listens at this address for the end of a login, and for nothing else.",
        parties: None,
        next: "You may close this window.",
        small: String::new(),
    }
    .answer(status)
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

/// The words of one page. All but the parties is text of this module's or of core's, ready for
/// HTML.
struct Sheet<'a> {
    mark: Mark,
    title: &'a str,
    lead: &'a str,
    parties: Option<&'a Parties>,
    next: &'a str,
    small: String,
}

impl Sheet<'_> {
    fn answer(&self, status: u16) -> Vec<u8> {
        let body = self.body();
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

    fn body(&self) -> String {
        let Self { mark, title, lead, next, small, .. } = self;
        let (class, path) = (mark.class(), mark.path());
        let parties = self.parties.map_or_else(String::new, |parties| {
            format!(
                "<dl>\n\
                 <div><dt>MCP server</dt><dd>{}</dd></div>\n\
                 <div><dt>Login server</dt><dd>{}</dd></div>\n\
                 </dl>\n",
                escaped(&parties.resource),
                escaped(&parties.issuer),
            )
        });
        let small = match small.as_str() {
            "" => String::new(),
            text => format!("<small>{text}</small>\n"),
        };
        format!(
            "<!DOCTYPE html>\n\
             <html lang=\"en\">\n\
             <head>\n\
             <meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <title>{title}</title>\n\
             <style>{STYLE}</style>\n\
             </head>\n\
             <body>\n\
             <main class=\"{class}\">\n\
             <svg viewBox=\"0 0 48 48\" aria-hidden=\"true\">\
             <circle cx=\"24\" cy=\"24\" r=\"24\"/><path d=\"{path}\"/></svg>\n\
             <h1>{title}</h1>\n\
             <p>{lead}</p>\n\
             {parties}\
             <p>{next}</p>\n\
             {small}\
             </main>\n\
             </body>\n\
             </html>\n"
        )
    }
}

/// Core's words for it, as a sentence of their own.
fn sentence(kind: Kind) -> String {
    let mut letters = kind.sentence().chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).chain(['.']).collect()
}

fn code(kind: Kind) -> String {
    format!("<code>{}</code>", kind.code())
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
#[path = "page/tests.rs"]
mod tests;
