//! The person who is asked for consent, as far as a program can reach one.
//!
//! A [`Person`] is shown a page and may bring something back. A caller that waits for a login has
//! its pages shown to the person it names; a page that nobody asked for by name goes to the
//! manager's own person, if it has one.

use core::fmt;
use core::iter;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use mcp_authz_core::effect::{Page, Told, Visit};
use mcp_authz_core::input::Callback;

use crate::arrivals::{Arrivals, PageSink};
use crate::ports::Observer;

/// Shows pages to somebody, in whatever way there is: a browser, a terminal, a chat.
///
/// Functions that take a page and the [`Answers`] are persons too.
pub trait Person: Send + Sync {
    /// Shows this page. Returns at once: what the person brings back, if it does not reach the
    /// redirect URI by itself, goes to `answers` from another thread or later.
    fn show(&self, visit: &Visit, answers: Answers);
}

impl<F: Fn(&Visit, Answers) + Send + Sync> Person for F {
    fn show(&self, visit: &Visit, answers: Answers) {
        self(visit, answers);
    }
}

/// Where the answer to one page goes.
#[derive(Clone)]
pub struct Answers {
    arrivals: Arrivals,
    awaited: Arc<dyn Fn() -> bool + Send + Sync>,
    unshown: Arc<dyn Fn() + Send + Sync>,
}

impl Answers {
    pub(crate) fn new(
        arrivals: Arrivals,
        awaited: impl Fn() -> bool + Send + Sync + 'static,
        unshown: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        Self { arrivals, awaited: Arc::new(awaited), unshown: Arc::new(unshown) }
    }

    /// Hands in what the person brought back: the redirected URL, its query, or a code alone. `hear`
    /// is called with what became of it, at most once and on any thread; after [`Page::Refused`] and
    /// [`Page::Untrusted`] the login waits on. Returns at once.
    pub fn give(&self, callback: impl Into<Callback>, hear: impl FnOnce(Page) + Send + 'static) {
        self.arrivals.report(callback.into(), PageSink::new(hear));
    }

    /// Says that this page can be shown to nobody: there is no browser, and nobody to open it by hand.
    /// The login ends with `browser_refused` at once, for all who wait for it, rather than when nobody
    /// has come in time.
    pub fn cannot_ask(&self) {
        (self.unshown)();
    }

    /// Returns true if the login still waits for an answer. A [`Person`] that reads a terminal
    /// stops reading when it does not.
    #[must_use]
    pub fn awaited(&self) -> bool {
        (self.awaited)()
    }
}

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answers")
    }
}

/// Hands the pages of one session to whoever waits for them, and everything told to the program's
/// own observer. Each session has its own: a page of one is nothing to show for a login of another.
pub(crate) struct Hub {
    then: Arc<dyn Observer>,
    person: Option<Arc<dyn Person>>,
    answers: OnceLock<MakeAnswers>,
    audience: Mutex<Audience>,
}

#[derive(Default)]
struct Audience {
    watchers: Vec<(u64, Watcher)>,
    count: u64,
    /// The page that was shown last, by its URL.
    shown: Option<String>,
}

type MakeAnswers = Box<dyn Fn(&Visit) -> Answers + Send + Sync>;
/// Says whether it shows the page to somebody.
type Watcher = Box<dyn Fn(Visit) -> bool + Send>;

impl Hub {
    pub(crate) fn new(then: Arc<dyn Observer>, person: Option<Arc<dyn Person>>) -> Self {
        Self { then, person, answers: OnceLock::new(), audience: Mutex::default() }
    }

    /// Where answers of the manager's own person go.
    pub(crate) fn answers_go_to(&self, make: impl Fn(&Visit) -> Answers + Send + Sync + 'static) {
        let _once = self.answers.set(Box::new(make));
    }

    /// Has every page shown to this watcher, which must not wait, until the guard is dropped. It says
    /// whether the page is for it.
    pub(crate) fn watch(
        self: &Arc<Self>,
        watcher: impl Fn(Visit) -> bool + Send + 'static,
    ) -> Watching {
        let mut audience = lock(&self.audience);
        audience.count = audience.count.wrapping_add(1);
        let id = audience.count;
        audience.watchers.push((id, Box::new(watcher)));
        drop(audience);
        Watching { hub: Arc::clone(self), id }
    }

    /// Returns true if this page was shown to those who watched then. A page that was not shown yet
    /// is about to be shown.
    pub(crate) fn has_shown(&self, visit: &Visit) -> bool {
        lock(&self.audience).shown.as_deref() == Some(visit.url())
    }

    /// Shows a page to everybody who watches, and says whether it was for anybody. One of them opens
    /// it: in the browsers of all it would be one login in many windows (HOST-172).
    fn show(&self, visit: &Visit) -> bool {
        let mut audience = lock(&self.audience);
        audience.shown = Some(visit.url().to_owned());
        let mut visit = visit.clone();
        let mut taken = false;
        for (_, watcher) in &audience.watchers {
            taken |= watcher(visit.clone());
            visit.reissued |= taken;
        }
        taken
    }
}

impl Observer for Hub {
    fn told(&self, told: &Told) {
        if let Told::Open(visit) = told {
            let nobody = !self.show(visit);
            if let (true, Some(person), Some(answers)) = (nobody, &self.person, self.answers.get())
            {
                person.show(visit, answers(visit));
            }
        }
        self.then.told(told);
    }
}

/// Ends when it is dropped.
pub(crate) struct Watching {
    hub: Arc<Hub>,
    id: u64,
}

impl Drop for Watching {
    fn drop(&mut self) {
        lock(&self.hub.audience).watchers.retain(|(id, _)| *id != self.id);
    }
}

/// The pages of one login, oldest first: it has another one if the server has forgotten the
/// registration of the first. They are only added to, so each can be lent out.
#[derive(Default)]
pub(crate) struct Pages {
    first: Leaf,
    /// How many of them somebody was given.
    seen: AtomicUsize,
}

#[derive(Default)]
struct Leaf(OnceLock<Box<(Visit, Leaf)>>);

impl Pages {
    /// Adds a page, whichever way it became known, unless it is there already.
    pub(crate) fn add(&self, visit: Visit) {
        let mut leaf = &self.first;
        loop {
            match leaf.0.get() {
                Some(page) if page.0.url() == visit.url() => return,
                Some(page) => leaf = &page.1,
                None if leaf.0.set(Box::new((visit.clone(), Leaf::default()))).is_ok() => return,
                None => {}
            }
        }
    }

    /// The newest page, if nobody was given it yet.
    pub(crate) fn unseen(&self) -> Option<&Visit> {
        let (count, visit) = self.newest()?;
        (self.seen.fetch_max(count, Ordering::SeqCst) < count).then_some(visit)
    }

    /// The newest page.
    pub(crate) fn last(&self) -> Option<&Visit> {
        let (count, visit) = self.newest()?;
        self.seen.fetch_max(count, Ordering::SeqCst);
        Some(visit)
    }

    fn newest(&self) -> Option<(usize, &Visit)> {
        let pages = iter::successors(self.first.0.get(), |page| page.1.0.get());
        pages.enumerate().last().map(|(index, page)| (index.saturating_add(1), &page.0))
    }
}

/// Shows the newest page.
impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.newest().map(|(_, visit)| visit).fmt(f)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
