//! The person at this machine: with a browser, or with no more than a terminal.
//!
//! A login listens for the browser in any case. On a terminal the address that the browser ended up at
//! may be pasted as well, whichever comes first: over SSH the browser is on another machine, and what
//! it is sent back to is not this one.

use core::fmt;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;

use mcp_authz_core::effect::{Page, Visit};
use mcp_authz_core::failure::escaped;
use mcp_authz_driver::person::{Answers, Person};

use crate::browser::{Browser, BrowserRefused, Opener};
use crate::terminal;

/// For those who open the page themselves.
const BY_HAND: &str = "Open this page in a browser:";

/// Somebody in front of a screen: their default browser opens the page, and what they paste into the
/// terminal, if there is one, is taken as well.
///
/// With neither a browser nor a terminal there is nobody: the login ends with `browser_refused` at once.
/// Lines that go to a function of the program's own ([`Desktop::say`]) are taken to be read by somebody,
/// who can open the page by hand.
#[derive(Clone, Debug, Default)]
pub struct Desktop {
    opener: Opener,
    voice: Voice,
}

impl Desktop {
    /// Opens pages in the default browser and speaks to standard error.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens pages in another way.
    #[must_use]
    pub fn browser(mut self, browser: impl Browser) -> Self {
        self.opener = Opener::new(browser);
        self
    }

    /// Hands what there is to say to this function, a line at a time, in place of standard error.
    #[must_use]
    pub fn say(mut self, say: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.voice.say = Arc::new(say);
        self.voice.own = true;
        self
    }

    /// Reads nothing from the terminal.
    #[must_use]
    pub const fn without_pasting(mut self) -> Self {
        self.voice.pastes = false;
        self
    }
}

impl Person for Desktop {
    fn show(&self, visit: &Visit, answers: Answers) {
        self.voice.announce(visit);
        if visit.reissued {
            // It is open somewhere already; a second tab would end the first one's login.
            self.voice.offer(BY_HAND, visit);
        } else {
            // It is said in any case: a launcher that ended well may have opened it where nobody looks.
            self.voice.offer("Your browser opens this page:", visit);
            let say = Arc::clone(&self.voice.say);
            let unheard = self.voice.unheard().then(|| answers.clone());
            self.opener.open_or(visit, move |_, refused| match (&unheard, refused) {
                // Nobody is there to open it, and the login ends at once.
                (Some(answers), Some(BrowserRefused)) => answers.cannot_ask(),
                _ => say("The browser could not be opened. Open the page above in one yourself."),
            });
        }
        self.voice.listen(visit, answers);
    }
}

/// Somebody with a terminal only: the page is printed, and what they paste is taken. Without a terminal
/// there is nobody, as for [`Desktop`].
#[derive(Clone, Debug, Default)]
pub struct Terminal {
    voice: Voice,
}

impl Terminal {
    /// Speaks to standard error.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// As [`Desktop::say`].
    #[must_use]
    pub fn say(mut self, say: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.voice.say = Arc::new(say);
        self.voice.own = true;
        self
    }

    /// As [`Desktop::without_pasting`].
    #[must_use]
    pub const fn without_pasting(mut self) -> Self {
        self.voice.pastes = false;
        self
    }
}

impl Person for Terminal {
    fn show(&self, visit: &Visit, answers: Answers) {
        self.voice.announce(visit);
        self.voice.offer(BY_HAND, visit);
        // One that is reissued was shown to somebody before.
        if self.voice.unheard() && !visit.reissued {
            answers.cannot_ask();
        }
        self.voice.listen(visit, answers);
    }
}

/// The way in which lines are said, and whether anybody answers.
#[derive(Clone)]
struct Voice {
    say: Arc<dyn Fn(&str) + Send + Sync>,
    /// The program has taken over what is said.
    own: bool,
    pastes: bool,
}

impl Default for Voice {
    fn default() -> Self {
        let say = |line: &str| {
            let _nobody_reads = writeln!(io::stderr(), "{line}");
        };
        Self { say: Arc::new(say), own: false, pastes: true }
    }
}

impl Voice {
    /// Says who is to be trusted with what, before the page is open (AUTHZ-14): every host that
    /// gets something, and the client that asks there.
    fn announce(&self, visit: &Visit) {
        let resource = escaped(visit.shown_resource());
        (self.say)(&format!("{resource} wants a login at {}.", visit.authorization_host));
        if let Some(previous) = &visit.previous_issuer {
            (self.say)(&format!("Careful: so far it was {} that let you in.", escaped(previous)));
        }
        let row = |name: &str, value: &str| {
            (self.say)(&format!("  {name:<18} {}", escaped(value)));
        };
        row("login server", &visit.issuer);
        let mut hosts: Vec<(&str, Vec<&str>)> = Vec::new();
        for (part, host) in visit.hosts() {
            match hosts.iter_mut().find(|(known, _)| *known == host) {
                Some((_, parts)) => parts.push(part),
                None => hosts.push((host, vec![part])),
            }
        }
        for (host, parts) in hosts {
            row("host", &format!("{host}, for {}", parts.join(", ")));
        }
        row("client", &visit.client_id);
        row("comes back to", &visit.redirect_uri);
        if !visit.scopes.is_empty() {
            row("it is asked for", visit.scopes.as_str());
        }
    }

    /// Returns true if nobody can be there: the lines go to no terminal, and nothing is typed into
    /// one.
    fn unheard(&self) -> bool {
        !self.own && !self.reads() && !io::stderr().is_terminal()
    }

    /// Returns true if something may be pasted.
    fn reads(&self) -> bool {
        self.pastes && io::stdin().is_terminal()
    }

    fn offer(&self, how: &str, visit: &Visit) {
        (self.say)(how);
        (self.say)(&format!("  {}", visit.url()));
    }

    /// Takes in what is pasted for as long as the login waits for it.
    fn listen(&self, visit: &Visit, answers: Answers) {
        if !self.reads() {
            return;
        }
        let say = Arc::clone(&self.say);
        say("If the browser is on another machine, paste the address that it ends up at.");
        let redirect = escaped(&visit.redirect_uri);
        let waits = answers.clone();
        let take = move |line: &str| {
            let (say, redirect) = (Arc::clone(&say), redirect.clone());
            answers.give(line, move |page| match page {
                Page::Refused(kind) => {
                    say(&format!(
                        "That was not it: {}. Paste the whole address that the browser ended up at; \
                         it begins with {redirect}",
                        kind.sentence()
                    ));
                }
                Page::Untrusted { failure, .. } => say(&format!(
                    "This answer cannot be trusted: {failure}. The login waits for a better one; \
                     if you expect none, cancel it."
                )),
                _ => {}
            });
        };
        if !terminal::read_lines(move || waits.awaited(), take) {
            (self.say)("Nothing can be read from this terminal.");
        }
    }
}

impl fmt::Debug for Voice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Voice").field("pastes", &self.pastes).finish_non_exhaustive()
    }
}
