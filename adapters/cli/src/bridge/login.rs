//! One login for all bridges of a server and an account.
//!
//! A bridge's own session asks nobody. When a request needs a person, one process takes the lock of
//! the pending login and leads it; all others wait for the lock and find the grant in the store. The
//! leader keeps a record of its session from before the page is opened, so that whoever takes the
//! lock next, also a bridge that its host starts anew, listens at the same port and completes the
//! login at the same page.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use mcp_authz_core::effect::{Bytes, Purpose, Settlement, Told, Visit};
use mcp_authz_core::failure::{Kind, Remedy};
use mcp_authz_core::input::Epoch;
use mcp_authz_core::note::Note;
use mcp_authz_core::scope::ScopeSet;
use mcp_authz_core::session::Snapshot;
use mcp_authz_host::browser::Opener;
use mcp_authz_host::store::{Leader, PendingLogin};
use mcp_authz_tokio::driver::person::{Answers, Person};
use mcp_authz_tokio::driver::ports::{Common, Observer};
use tokio::sync::watch;

use crate::fault::Fault;
use crate::say::log;
use crate::server::{self, Server};
use crate::way::Session;

/// How often the lock is tried while another process leads.
const POLL: Duration = Duration::from_millis(500);
/// How often the store is looked into while a page waits: the person may have logged in elsewhere,
/// with `mcp-authz login`.
const LOOK: Duration = Duration::from_secs(3);
/// How long the page of a login that was taken over is waited for before it is opened once more.
const REOPENED: Duration = Duration::from_secs(20);
/// How long another process that asks the person is waited for before a call that needs more scope
/// says so.
const PATIENCE: Duration = Duration::from_secs(50);
/// The record of a login that the person has declined.
const NO: &[u8] = b"declined";
/// How long no page is opened once a person was asked in vain. A model that calls again and again
/// must not open a page each time (HOST-245).
const PAUSE: Duration = Duration::from_secs(600);
/// The same after a failure for which nobody was asked.
const BREATH: Duration = Duration::from_secs(2);
/// Logins within [`PAUSE`] that open a page: a server that refuses whatever it grants would have one opened for each
/// call.
const MOST_PAGES: usize = 2;

/// Why there is no grant.
pub(crate) type Cause = Arc<Fault>;

/// The login of this bridge's server and account.
pub(crate) struct Login {
    server: Server,
    place: Option<PendingLogin>,
    pages: Pages,
    state: watch::Sender<State>,
    /// When pages of logins were opened here lately.
    opened: Mutex<VecDeque<Instant>>,
}

#[derive(Clone)]
enum State {
    Idle,
    Underway(Stage),
    Done,
    Failed(Cause, Instant),
}

/// How far a login is.
#[derive(Clone, Debug, PartialEq)]
enum Stage {
    /// No page is there yet.
    Begun,
    /// Another process leads.
    Elsewhere,
    /// A page of this host waits in the person's browser, or its address in the log.
    Page { host: String, printed: bool },
}

/// A page for the person, and where it is said that nobody can be shown it.
#[derive(Clone)]
struct Page {
    visit: Visit,
    answers: Option<Answers>,
}

/// The page that was shown last, until its answer is used. It is handed on at once, since whoever
/// shows it must not wait.
#[derive(Clone)]
pub(crate) struct Pages(watch::Sender<Option<Page>>);

/// Hears when the answer to a page is used. The login cannot be completed by anybody else then: its
/// code is sent once (TOK-04).
#[derive(Clone)]
pub(crate) struct Spent(Pages);

impl Observer for Spent {
    fn told(&self, told: &Told) {
        if matches!(told, Told::Note(Note::Asked { purpose: Purpose::CodeExchange, .. })) {
            self.0.0.send_replace(None);
        }
    }
}

impl Pages {
    pub(crate) fn spent(&self) -> Spent {
        Spent(self.clone())
    }
}

impl Default for Pages {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl Person for Pages {
    fn show(&self, visit: &Visit, answers: Answers) {
        self.0.send_replace(Some(Page { visit: visit.clone(), answers: Some(answers) }));
    }
}

/// Of a session that was resumed.
impl Observer for Pages {
    fn told(&self, told: &Told) {
        if let Told::Open(visit) = told {
            self.0.send_replace(Some(Page { visit: visit.clone(), answers: None }));
        }
        self.spent().told(told);
    }
}

impl Login {
    /// The login of a server whose own person hands on its pages to `pages`.
    pub(crate) fn new(server: Server, pages: Pages) -> Result<Arc<Self>, Fault> {
        let options = &server.options;
        let (session, account) = (server.manager.session(), options.account.as_deref());
        let place = match options.no_login {
            // Nothing is kept by a bridge that asks nobody.
            true => None,
            false => {
                let folder = server::folder(options)?;
                let place = PendingLogin::open(folder, session.mcp_url(), account);
                Some(place.map_err(|error| server::in_the_way(&error))?)
            }
        };
        let (state, opened) = (watch::Sender::new(State::Idle), Mutex::default());
        Ok(Arc::new(Self { server, place, pages, state, opened }))
    }

    /// The server that is logged in to.
    pub(crate) const fn server(&self) -> &Server {
        &self.server
    }

    /// Waits until somebody has logged in, here or in another process. The login goes on if nobody
    /// waits any more.
    pub(crate) async fn need(self: &Arc<Self>) -> Result<(), Cause> {
        if self.server.options.no_login {
            return Err(Arc::new(required()));
        }
        let mut state = self.state.subscribe();
        let is_underway = matches!(*self.state.borrow(), State::Underway(_));
        if !is_underway && self.opened_lately() >= MOST_PAGES {
            return Err(Arc::new(required()));
        }
        self.start();
        let over = |state: &State| matches!(state, State::Done | State::Failed(..));
        let ended = state.wait_for(over).await.map(|state| state.clone());
        match ended {
            Ok(State::Failed(cause, _)) => Err(cause),
            Ok(_) => Ok(()),
            Err(_) => Err(Arc::new(required())),
        }
    }

    /// The reason to wait, if a login waits for a person: with a page that was opened.
    pub(crate) fn waits(&self) -> Option<Cause> {
        let State::Underway(stage) = &*self.state.borrow() else { return None };
        let how = match stage {
            Stage::Begun => return None,
            Stage::Elsewhere => "another instance of this program has opened the page for it, in \
                                 their browser"
                .to_owned(),
            Stage::Page { host, printed: false } => {
                format!("a page of {host} was opened for it, in their browser")
            }
            Stage::Page { host, printed: true } => {
                format!("the address of the page for it, at {host}, is in the log of this program")
            }
        };
        let sentence = format!("a person has to log in first: {how}");
        Some(Arc::new(Fault::new("login_pending", &sentence, Remedy::AskUser)))
    }

    /// Does something for which the session may ask the person, as the only process that asks.
    pub(crate) async fn asking<T>(&self, doing: impl Future<Output = T>) -> Result<T, Cause> {
        if self.server.options.no_login {
            return Err(Arc::new(required()));
        }
        let session = self.server.manager.session();
        let leading = async {
            loop {
                if let Some(leader) = self.lead(None).await? {
                    return Ok(leader);
                }
            }
        };
        // Whoever has the lock may be a process that is stopped.
        let led = tokio::time::timeout(PATIENCE, leading).await;
        let leader = led.unwrap_or_else(|_| {
            let sentence = "another program asks the person already, for more than this bridge has";
            Err(Arc::new(Fault::new("login_pending", sentence, Remedy::AskUser)))
        })?;
        // A call that is cancelled leaves no login that others would wait for.
        let _cleared = Cleared(&leader);
        Ok(self.attend(&leader, &session, doing).await)
    }

    fn start(self: &Arc<Self>) {
        let began = self.state.send_if_modified(|state| {
            let rests = match state {
                State::Underway(_) => true,
                State::Failed(cause, at) => at.elapsed() < pause_after(cause),
                State::Idle | State::Done => false,
            };
            if !rests {
                *state = State::Underway(Stage::Begun);
            }
            !rests
        });
        if began {
            let login = Arc::clone(self);
            tokio::spawn(async move {
                let state = match login.run().await {
                    Ok(()) => State::Done,
                    Err(cause) => State::Failed(cause, Instant::now()),
                };
                login.state.send_replace(state);
            });
        }
    }

    fn at(&self, stage: Stage) {
        self.state.send_if_modified(|state| match state {
            State::Underway(before) if *before != stage => {
                *before = stage;
                true
            }
            _ => false,
        });
    }

    /// Waits for the lock; or for another grant than that of the epoch, if one is named, since a
    /// leader may be a process that is stopped, and the person log in elsewhere.
    async fn lead(&self, old: Option<Option<Epoch>>) -> Result<Option<Leader<'_>>, Cause> {
        let (mut waited, look) = (0u32, LOOK.as_millis() / POLL.as_millis());
        let place = self.place.as_ref().ok_or_else(|| Arc::new(required()))?;
        loop {
            match place.lead() {
                Ok(Some(leader)) => return Ok(Some(leader)),
                Ok(None) => self.at(Stage::Elsewhere),
                Err(error) => return Err(Arc::new(server::in_the_way(&error))),
            }
            if waited == 0 {
                log("another process asks the person to log in: waiting for it");
            }
            tokio::time::sleep(POLL).await;
            waited = waited.saturating_add(1);
            if let Some(old) = old
                && u128::from(waited) % look == 0
                && self.epoch_in_the_store().await.is_some_and(|epoch| Some(epoch) != old)
            {
                return Ok(None);
            }
        }
    }

    /// The epoch of the grant that can be had without a person.
    async fn epoch_in_the_store(&self) -> Option<Epoch> {
        let settled = self.server.manager.session().acquire(&ScopeSet::empty(), false).await;
        Some(settled.ok()?.outcome.ok()?.epoch())
    }

    /// How many pages of logins were opened here lately.
    fn opened_lately(&self) -> usize {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.retain(|at| at.elapsed() < PAUSE);
        opened.len()
    }

    async fn run(&self) -> Result<(), Cause> {
        let old = self.server.manager.granted().map(|granted| granted.epoch());
        let Some(leader) = self.lead(Some(old)).await? else { return Ok(()) };
        self.at(Stage::Begun);
        let left = leader.left(SystemTime::now());
        if left.as_ref().is_some_and(|(left, _)| left.0 == NO) {
            return Err(Arc::new(required()));
        }
        let left = left.and_then(|(left, rest)| Some((self.resumed(&left)?, rest)));
        let done = match left {
            Some((session, rest)) => match self.finish(&leader, &session, rest).await {
                // The person has said no; any other end is none of theirs.
                Err(cause) if said_no(&cause) => Err(cause),
                ended => {
                    leader.clear();
                    if let Err(cause) = ended {
                        log(format_args!("the login that was waiting could not go on: {cause}"));
                    }
                    self.fresh(&leader).await
                }
            },
            None => self.fresh(&leader).await,
        };
        leader.clear();
        // One "no" is meant for all who asked.
        if matches!(&done, Err(cause) if said_no(cause)) {
            let _or_the_next_asks = leader.keep(NO, SystemTime::now(), PAUSE);
        }
        done
    }

    /// Logs in with this bridge's own session, which first looks into the store for what another
    /// process was granted.
    async fn fresh(&self, leader: &Leader<'_>) -> Result<(), Cause> {
        let manager = &self.server.manager;
        let session = manager.session();
        let pages = self.pages.clone();
        let done = self.attend(leader, &session, manager.log_in(&pages)).await;
        match done {
            Ok(_) => Ok(()),
            Err(error) if error.failure().is_some_and(|it| it.kind() == Kind::NotRequired) => {
                Ok(())
            }
            Err(error) => Err(Arc::new(error.into())),
        }
    }

    /// The session that an earlier leader has left.
    fn resumed(&self, left: &Bytes) -> Option<Session> {
        let Server { url, options, .. } = &self.server;
        let snapshot: Snapshot = serde_json::from_slice(&left.0).ok()?;
        let config = options.config(url, |name| std::env::var(name).ok()).ok()?;
        let config = config.persistent(true).build().ok()?;
        let common = Common {
            store: server::store(options).ok()?,
            observer: Arc::new(self.pages.clone()),
            recorder: crate::trace::recorder(),
            ..Common::default()
        };
        let ports = server::ports(options, None).ok()?;
        Session::resume(config, snapshot, ports, common).ok()
    }

    /// Completes the login of a session that was resumed, within the rest of its time. Its page is in
    /// the person's browser; or they have closed it, so that it is opened once more if nothing comes.
    async fn finish(
        &self,
        leader: &Leader<'_>,
        session: &Session,
        rest: Duration,
    ) -> Result<(), Cause> {
        let Some(mut visit) = session.visit() else {
            return Err(Arc::new(required()));
        };
        log(format_args!("going on with the login at {}", visit.authorization_host));
        // It is open somewhere already, whatever the session thinks of it.
        visit.reissued = true;
        let page = Page { visit, answers: None };
        self.keep(leader, session, rest);
        self.show(session, &page);
        let scopes = self.server.options.scopes().map_err(Arc::new)?;
        let mut attended = pin!(self.attend(leader, session, session.log_in(&scopes)));
        let settled = tokio::select! {
            settled = &mut attended => settled,
            () = tokio::time::sleep(REOPENED) => {
                let Page { mut visit, answers } = page;
                visit.reissued = false;
                self.show(session, &Page { visit, answers });
                match tokio::time::timeout(rest, attended).await {
                    Ok(settled) => settled,
                    Err(_) => return Err(Arc::new(required())),
                }
            }
        };
        let ended: Result<Settlement, Fault> = settled.map_err(Fault::from);
        ended.map_err(Arc::new)?.outcome.map_err(|failure| Arc::new(failure.into()))?;
        session.quiet().await;
        Ok(())
    }

    /// Does something of a session's, and shows the pages that it brings meanwhile.
    async fn attend<T>(
        &self,
        leader: &Leader<'_>,
        session: &Session,
        doing: impl Future<Output = T>,
    ) -> T {
        let mut pages = self.pages.0.subscribe();
        pages.mark_unchanged();
        let mut doing = core::pin::pin!(doing);
        loop {
            tokio::select! {
                done = &mut doing => return done,
                Ok(()) = pages.changed() => {
                    let page = pages.borrow_and_update().clone();
                    match page {
                        Some(page) => {
                            self.keep(leader, session, self.server.options.times().callback);
                            self.show(session, &page);
                        }
                        None => leader.clear(),
                    }
                }
                () = tokio::time::sleep(LOOK) => {
                    // A grant of another process settles whoever waits for one here.
                    let none = ScopeSet::empty();
                    let _grant_or_none = session.acquire(&none, false).await;
                }
            }
        }
    }

    /// Keeps the login for those who come after this process. It is done before the page is shown: one
    /// that nobody could complete is not.
    fn keep(&self, leader: &Leader<'_>, session: &Session, waits: Duration) {
        // What the keychain is to protect is not written beside it.
        if !self.server.options.keychain {
            let record = serde_json::to_vec(&session.snapshot()).map(Bytes);
            let kept = record.map(|record| leader.keep(&record.0, SystemTime::now(), waits));
            if !matches!(kept, Ok(Ok(()))) {
                log("the login cannot be kept: it ends with this process");
            }
        }
    }

    /// Opens a page, or says where it is.
    fn show(&self, session: &Session, page: &Page) {
        let Page { visit, answers } = page;
        let options = &self.server.options;
        let (host, printed) = (visit.authorization_host.clone(), server::without_browser(options));
        match (printed, visit.reissued) {
            (true, _) => {
                log(format_args!("to log in, open this page in a browser: {}", visit.url()))
            }
            (false, true) => {}
            (false, false) => {
                log(format_args!("opening a page of {host} in the browser, to log in"));
                // For more scope the session has limits of its own (STEP-10).
                if matches!(*self.state.borrow(), State::Underway(_)) {
                    let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
                    opened.push_back(Instant::now());
                }
                let (answers, session) = (answers.clone(), session.clone());
                Opener::default().open_or(visit, move |visit, refused| {
                    log("the browser could not be opened: log in with mcp-authz login");
                    match (refused, &answers) {
                        (Some(_), Some(answers)) => answers.cannot_ask(),
                        (Some(_), None) => {
                            let _without_random_bytes_it_times_out = session.unshown(visit);
                        }
                        (None, _) => {}
                    }
                });
            }
        }
        self.at(Stage::Page { host, printed });
    }
}

/// Removes the record of a login when it is dropped.
struct Cleared<'a>(&'a Leader<'a>);

impl Drop for Cleared<'_> {
    fn drop(&mut self) {
        self.0.clear();
    }
}

/// Nobody is asked here.
fn required() -> Fault {
    let kind = Kind::ReauthorizationRequired;
    Fault::new(kind.code(), kind.sentence(), Remedy::AskUser)
}

/// Returns true if a person was asked and there will be no other answer.
fn said_no(cause: &Fault) -> bool {
    [Kind::AuthorizationDenied, Kind::CallbackTimeout]
        .iter()
        .any(|kind| cause.code() == kind.code())
}

fn pause_after(cause: &Fault) -> Duration {
    if cause.remedy() == Remedy::AskUser { PAUSE } else { BREATH }
}
