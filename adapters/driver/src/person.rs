//! The person who is asked for consent, as far as a program can reach one.
//!
//! A [`Person`] is shown a page and may bring something back. Whoever waits for a login has its pages
//! shown to the person it names; a page that nobody asked for by name goes to the manager's own
//! person, if it has one.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
}

impl Answers {
    pub(crate) fn new(
        arrivals: Arrivals,
        awaited: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Self {
        Self { arrivals, awaited: Arc::new(awaited) }
    }

    /// Hands in what the person brought back: the redirected URL, its query, or a code alone. `hear`
    /// is called with what became of it, at most once and on any thread; after [`Page::Refused`] the
    /// login waits on. Returns at once.
    pub fn give(&self, callback: impl Into<Callback>, hear: impl FnOnce(Page) + Send + 'static) {
        self.arrivals.report(callback.into(), PageSink::new(hear));
    }

    /// Whether the login still waits for an answer. Who reads a terminal stops when it does not.
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

/// Hands pages to whoever waits for them, and everything told to the program's own observer.
pub(crate) struct Hub {
    then: Arc<dyn Observer>,
    person: Option<Arc<dyn Person>>,
    answers: Mutex<Option<MakeAnswers>>,
    watchers: Mutex<Vec<(u64, Watcher)>>,
    count: AtomicU64,
}

type MakeAnswers = Arc<dyn Fn(&Visit) -> Answers + Send + Sync>;
type Watcher = Box<dyn Fn(Visit) + Send>;

impl Hub {
    pub(crate) fn new(then: Arc<dyn Observer>, person: Option<Arc<dyn Person>>) -> Self {
        let (answers, watchers) = (Mutex::default(), Mutex::default());
        Self { then, person, answers, watchers, count: AtomicU64::new(0) }
    }

    /// Where answers to the manager's own person go from now on.
    pub(crate) fn answers_go_to(&self, make: impl Fn(&Visit) -> Answers + Send + Sync + 'static) {
        *lock(&self.answers) = Some(Arc::new(make));
    }

    /// Whether anybody is there when nobody asked.
    pub(crate) const fn has_person(&self) -> bool {
        self.person.is_some()
    }

    /// Has every page shown to this watcher, which must not wait, until the guard is dropped.
    pub(crate) fn watch(self: &Arc<Self>, watcher: impl Fn(Visit) + Send + 'static) -> Watching {
        let id = self.count.fetch_add(1, Ordering::Relaxed);
        lock(&self.watchers).push((id, Box::new(watcher)));
        Watching { hub: Arc::clone(self), id }
    }
}

impl Observer for Hub {
    fn told(&self, told: &Told) {
        if let Told::Open(visit) = told {
            let watchers = lock(&self.watchers);
            watchers.iter().for_each(|(_, watcher)| watcher(visit.clone()));
            let nobody = watchers.is_empty();
            drop(watchers);
            let answers = lock(&self.answers).clone();
            if let (true, Some(person), Some(answers)) = (nobody, &self.person, answers) {
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
        lock(&self.hub.watchers).retain(|(id, _)| *id != self.id);
    }
}

/// Shows each page once, whichever way it became known.
#[derive(Default)]
pub(crate) struct Shown(Option<String>);

impl Shown {
    pub(crate) fn is_new(&mut self, visit: &Visit) -> bool {
        let new = self.0.as_deref() != Some(visit.url());
        self.0 = Some(visit.url().to_owned());
        new
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
