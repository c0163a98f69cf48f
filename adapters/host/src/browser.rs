//! Showing the authorization page to the person, in a browser of their own (NAT-07).
//!
//! Only a [`Visit`] can be opened, and only a session makes one: no other text ever reaches a
//! launcher (HOST-171). It is one argument of one program; no shell reads it (HOST-168).

use core::fmt;
use core::time::Duration;
use std::ffi::OsString;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Instant;

use mcp_authz_core::effect::Visit;
use mcp_authz_core::failure::{Failure, Kind};

/// How long a launcher may take before the URL is offered for manual use as well (HOST-169).
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a program of `BROWSER` is watched for an early failure.
const EARLY: Duration = Duration::from_secs(2);

/// Opens pages.
pub trait Browser: Send + Sync + 'static {
    /// Opens this page. May take its time: it is called on a thread of its own.
    ///
    /// # Errors
    /// [`BrowserRefused`]; the URL is then offered for manual use.
    fn open(&self, visit: &Visit) -> Result<(), BrowserRefused>;
}

/// No browser could be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrowserRefused;

impl fmt::Display for BrowserRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the browser could not be opened")
    }
}

impl core::error::Error for BrowserRefused {}

mcp_authz_driver::diagnosed!(BrowserRefused, _this => Arc::new(
    Failure::new(Kind::BrowserRefused, "HOST-169"),
));

/// The person's default browser.
///
/// On Unix the variable `BROWSER` goes first, if set: programs separated by colons, each with
/// arguments separated by spaces; `%s` is replaced by the URL, which otherwise is the last argument.
/// There is no quoting.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

impl Browser for System {
    fn open(&self, visit: &Visit) -> Result<(), BrowserRefused> {
        if cfg!(unix)
            && let Some(wish) = std::env::var_os("BROWSER").filter(|wish| !wish.is_empty())
            && commands(&wish, visit.url()).into_iter().any(launch)
        {
            return Ok(());
        }
        open::that_detached(visit.url()).map_err(|_| BrowserRefused)
    }
}

/// The programs that `BROWSER` names, with their arguments.
fn commands(wish: &OsString, url: &str) -> Vec<Command> {
    let wish = wish.to_string_lossy();
    let command = |program: &str| {
        let mut words = program.split_ascii_whitespace();
        let mut command = Command::new(words.next()?);
        let mut placed = false;
        for word in words {
            placed |= word.contains("%s");
            command.arg(word.replace("%s", url));
        }
        if !placed {
            command.arg(url);
        }
        Some(command)
    };
    wish.split(':').filter_map(command).collect()
}

/// Returns true if the command runs, or ended well. Its output is dropped, since it could be
/// endless.
fn launch(mut command: Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // A Ctrl-C that ends this program is not meant for the person's browser.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let Ok(mut child) = command.spawn() else { return false };
    let begun = Instant::now();
    while begun.elapsed() < EARLY {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) => thread::sleep(Duration::from_millis(20)),
            Err(_) => return false,
        }
    }
    reap(child);
    true
}

fn reap(mut child: Child) {
    // Without a thread it stays a zombie until this process ends.
    let _reaped = thread::Builder::new().spawn(move || child.wait());
}

/// Opens pages without waiting, and offers each for manual use if its browser fails or takes too long.
#[derive(Clone)]
pub struct Opener {
    browser: Arc<dyn Browser>,
    patience: Duration,
}

impl Opener {
    /// Opens with this browser.
    pub fn new(browser: impl Browser) -> Self {
        Self { browser: Arc::new(browser), patience: PATIENCE }
    }

    /// How long a launcher may take before the page is offered; ten seconds unless said.
    #[must_use]
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Opens this page. `offer` is called at most once, on another thread, if it could not be opened.
    pub fn open(&self, visit: &Visit, offer: impl Fn(&Visit) + Send + Sync + 'static) {
        self.open_or(visit, move |visit, _| offer(visit));
    }

    /// As [`Opener::open`]; `offer` is told as well whether the browser was refused. If not, it only
    /// takes its time, and may open the page yet.
    pub fn open_or(
        &self,
        visit: &Visit,
        offer: impl Fn(&Visit, Option<BrowserRefused>) + Send + Sync + 'static,
    ) {
        let offer = Arc::new(offer);
        let (opened, result) = mpsc::channel();
        let (browser, page) = (Arc::clone(&self.browser), visit.clone());
        let opening = thread::Builder::new().spawn(move || opened.send(browser.open(&page)));
        let (offers, page, patience) = (Arc::clone(&offer), visit.clone(), self.patience);
        let watching = thread::Builder::new().spawn(move || {
            // The opener's thread is left behind if it hangs; the wait for the callback goes on.
            match result.recv_timeout(patience) {
                Ok(Ok(())) => {}
                Err(RecvTimeoutError::Timeout) => offers(&page, None),
                Ok(Err(BrowserRefused)) | Err(RecvTimeoutError::Disconnected) => {
                    offers(&page, Some(BrowserRefused));
                }
            }
        });
        if opening.is_err() && watching.is_err() {
            offer(visit, Some(BrowserRefused));
        }
    }
}

impl Default for Opener {
    fn default() -> Self {
        Self::new(System)
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opener").field("patience", &self.patience).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    const URL: &str = "https://as.example/authorize?a=$(calc)&b=%25&c=`id`&d='\"^|;";

    #[test]
    fn the_url_is_one_argument_authz_08_host_168_host_170() {
        let of = |wish: &str| -> Vec<Vec<String>> {
            let text = |word: &OsStr| word.to_str().unwrap().to_owned();
            commands(&wish.into(), URL)
                .iter()
                .map(|command| {
                    let program = text(command.get_program());
                    [program].into_iter().chain(command.get_args().map(text)).collect()
                })
                .collect()
        };
        assert_eq!(of("firefox"), [["firefox", URL]]);
        assert_eq!(of("a -n %s:b"), [vec!["a", "-n", URL], vec!["b", URL]]);
        assert_eq!(of("sh -c 'x; %s'"), [vec!["sh", "-c", "'x;", &format!("{URL}'")]]);
        assert!(of(" : ").is_empty());
    }

    #[cfg(unix)]
    #[test]
    fn a_launcher_that_is_missing_or_fails_is_noticed_host_169() {
        assert!(!launch(Command::new("/nonexistent/launcher")));
        assert!(!launch(Command::new("false")));
        assert!(launch(Command::new("true")));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_ends_this_program_in_its_terminal_does_not_end_the_browser() {
        let mut command = Command::new("sh");
        command.args(["-c", "set -- $(cat /proc/$$/stat); test $5 = $$"]);
        assert!(launch(command));
    }
}
