//! The person at the authorization server, played by the program: follows redirects, keeps cookies, agrees to
//! forms, and stops where the browser would be sent back to the client. That URL is handed over and never
//! fetched: it holds the code.
//!
//! Types nothing in. A page that wants a password is for a person ([`Stuck`](PersonAction::Stuck)).

use std::fmt;

use http::header::{ACCEPT, CONTENT_TYPE, COOKIE, LOCATION};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use mcp_authz_core::effect::Why;
use mcp_authz_core::failure::escaped;
use url::Url;

use super::cookies::Jar;
use super::form::{self, Next};
use super::outcome::unanswered;
use super::print::Step;

/// Most requests of one login.
const MOST_HOPS: usize = 10;
/// The largest page that is looked at.
pub const LARGEST_PAGE: usize = 1024 * 1024;

const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");

/// The lines that a step says, and the action that is to be performed.
#[must_use]
#[derive(Debug)]
pub struct Turn {
    /// To be shown before the action is performed.
    pub said: Vec<Step>,
    /// To be performed, and answered with an event.
    pub action: PersonAction,
}

/// The outcome of an action.
#[derive(Debug)]
pub enum PersonEvent {
    /// Nothing yet: the first event.
    Start,
    /// An answer came.
    Answered(Response<Vec<u8>>),
    /// None came.
    Unreachable(Why),
}

/// The person's next action.
#[expect(clippy::large_enum_variant, reason = "one at a time is alive")]
pub enum PersonAction {
    /// Send this, follow no redirect, and read at most [`LARGEST_PAGE`] bytes.
    Send(Request<Vec<u8>>),
    /// The whole URL that the browser would be sent to: hand it to the session as a callback.
    Arrived(String),
    /// Only a real person can go on, or nobody. The reason is fit to be shown.
    Stuck(String),
}

impl fmt::Debug for PersonAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send(request) => {
                f.debug_tuple("Send").field(request.method()).finish_non_exhaustive()
            }
            Self::Arrived(_) => f.write_str("Arrived(..)"),
            Self::Stuck(why) => f.debug_tuple("Stuck").field(why).finish(),
        }
    }
}

/// A person who agrees, as a pure machine.
pub struct Person {
    start: String,
    redirect: Option<Url>,
    jar: Jar,
    hops: usize,
    sent: Option<Sent>,
}

/// The request in hand, to be repeated elsewhere after a 307.
struct Sent {
    url: Url,
    post: bool,
    body: Vec<u8>,
}

impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Person").field("hops", &self.hops).finish_non_exhaustive()
    }
}

impl Person {
    /// Somebody who opens `url` and is to end up at `redirect_uri`; both are in the session's `Visit`.
    #[must_use]
    pub fn new(url: &str, redirect_uri: &str) -> Self {
        let redirect = Url::parse(redirect_uri).ok();
        Self { start: url.to_owned(), redirect, jar: Jar::default(), hops: 0, sent: None }
    }

    /// Takes in what happened and says what to do next. `Arrived` and `Stuck` are the end.
    pub fn step(&mut self, event: PersonEvent) -> Turn {
        let mut said = Vec::new();
        let action = match (self.sent.take(), event) {
            (None, PersonEvent::Start) => match Url::parse(&self.start) {
                Ok(url) => self.send(Sent { url, post: false, body: Vec::new() }, &mut said),
                Err(_) => stuck("the authorization URL is no URL"),
            },
            (Some(sent), PersonEvent::Answered(response)) => {
                said.push(Step::answer(PURPOSE, response.status().as_u16()));
                self.jar.keep(&sent.url, response.headers());
                self.answered(sent, &response, &mut said)
            }
            (Some(sent), PersonEvent::Unreachable(why)) => {
                said.push(Step::unanswered(PURPOSE, why));
                stuck(&unanswered(why, sent.url.as_str()))
            }
            _ => stuck("the program answered an action with an event of another kind"),
        };
        match &action {
            PersonAction::Arrived(url) => said.push(Step::arrived(url)),
            PersonAction::Stuck(why) => said.push(Step::stuck(why)),
            PersonAction::Send(_) => {}
        }
        Turn { said, action }
    }

    fn answered(
        &mut self,
        sent: Sent,
        response: &Response<Vec<u8>>,
        said: &mut Vec<Step>,
    ) -> PersonAction {
        let status = response.status();
        if status.is_redirection() {
            let Some(to) = response.headers().get(LOCATION).and_then(|to| to.to_str().ok()) else {
                return stuck("a redirect leads nowhere");
            };
            let keeps =
                matches!(status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
            return self.go(to.trim(), &sent, keeps, said);
        }
        if !status.is_success() {
            let answer = format!("the authorization server answered {}", status.as_u16());
            return stuck(&with_address(&answer, &sent.url));
        }
        if !matches!(
            essence(response.headers()).as_str(),
            "" | "text/html" | "application/xhtml+xml"
        ) {
            let answer = "the authorization server answered with something that is no page";
            return stuck(&with_address(answer, &sent.url));
        }
        let page = response.body();
        let page = String::from_utf8_lossy(page.get(..LARGEST_PAGE).unwrap_or(page));
        match form::next(&page, &sent.url, |url| self.arrives(url)) {
            Next::Visit(to) => self.go(&to, &sent, false, said),
            Next::Submit(form) if self.arrives(&form.url) => {
                if form.post {
                    return stuck("the page posts its answer, which this client does not ask for");
                }
                PersonAction::Arrived(form.url.into())
            }
            Next::Submit(form) => self
                .send(Sent { url: form.url, post: form.post, body: form.body.into_bytes() }, said),
            Next::Stuck(why) => stuck(&with_address(&why, &sent.url)),
        }
    }

    /// Follows a link or a redirect, unless it is the one back to the client.
    fn go(&mut self, to: &str, from: &Sent, keeps: bool, said: &mut Vec<Step>) -> PersonAction {
        let Ok(url) = from.url.join(to) else {
            return stuck("a redirect leads to something that is no URL");
        };
        if self.arrives(&url) {
            // As the server wrote it: parsing and writing again may change the query.
            let whole = Url::parse(to).is_ok();
            return PersonAction::Arrived(if whole { to.to_owned() } else { url.into() });
        }
        let (post, body) = if keeps { (from.post, from.body.clone()) } else { (false, Vec::new()) };
        self.send(Sent { url, post, body }, said)
    }

    fn send(&mut self, sent: Sent, said: &mut Vec<Step>) -> PersonAction {
        if !matches!(sent.url.scheme(), "https" | "http") {
            return stuck(&format!(
                "the way leads to {}: which no browser opens by itself",
                sent.url.scheme()
            ));
        }
        self.hops = self.hops.saturating_add(1);
        if self.hops > MOST_HOPS {
            return stuck("the authorization server leads on and on");
        }
        let method = if sent.post { Method::POST } else { Method::GET };
        let mut target = sent.url.clone();
        target.set_fragment(None);
        let request =
            Request::builder().method(method.clone()).uri(target.as_str()).body(sent.body.clone());
        let Ok(mut request) = request else {
            return stuck("a redirect leads to something that cannot be asked");
        };
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("text/html,application/xhtml+xml"));
        if sent.post {
            headers.insert(CONTENT_TYPE, FORM);
        }
        if let Some(cookies) = self.jar.header(&sent.url) {
            headers.insert(COOKIE, cookies);
        }
        said.push(Step::request(PURPOSE, &method, sent.url.as_str(), false));
        self.sent = Some(sent);
        PersonAction::Send(request)
    }

    /// Returns true if this is the redirect URI; parameters that the query adds do not matter.
    fn arrives(&self, url: &Url) -> bool {
        self.redirect.as_ref().is_some_and(|redirect| {
            (
                redirect.scheme(),
                redirect.host_str(),
                redirect.port_or_known_default(),
                redirect.path(),
            ) == (url.scheme(), url.host_str(), url.port_or_known_default(), url.path())
        })
    }
}

const PURPOSE: &str = "person";

/// Adds the error in a page's address to the reason that the page gives: a server that will not
/// send the browser back often leads it to an error page of its own, `error=invalid_client`
/// (REG-93).
fn with_address(why: &str, at: &Url) -> String {
    let says = |name: &str| at.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value);
    let Some(error) = says("error").filter(|error| !error.is_empty()) else {
        return why.to_owned();
    };
    let description = says("error_description").map(|text| format!(" ({text})"));
    format!("{why}; its address says error={error}{}", description.unwrap_or_default())
}

/// The media type without parameters, in lower case.
fn essence(headers: &HeaderMap) -> String {
    let text = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn stuck(why: &str) -> PersonAction {
    PersonAction::Stuck(escaped(why))
}

#[cfg(test)]
mod tests;
