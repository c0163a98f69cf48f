//! Random schedules of whole worlds against a small reference model: the proof that nothing is lost.
//!
//! A world is 1 to 4 processes with 2 to 16 callers, one credential store, the server model and a
//! virtual clock. A schedule is a list of actions: callers come, use their tokens, go; work is
//! answered in any order, late, twice or never; processes are killed, restarted and restored; stores
//! and servers fail; clocks jump. At the end everything is well again, and everybody must be served.
//!
//! | file | holds |
//! | --- | --- |
//! | `action` | what may happen, and schedules of it |
//! | `scene` | who is there, and what is odd about the servers |
//! | `ledger`, `meant` | the reference model: every code and token, who sent it, what came of it |
//! | `process`, `world` | what there is |
//! | `hearing` | what a session tells, held against the model |
//! | `outside` | the server and the store, well or broken on purpose |
//! | `deeds`, `lives`, `end` | how an action is carried out; how everything comes to rest |
//! | `report`, `reached` | the shortest script that breaks a rule; what was tried |
//! | `twin` | everything that a schedule makes the sessions do, to compare two builds of the machine |
//!
//! The same bytes are the same schedule in the test suite, in the fuzz target and in a report.

mod action;
mod deeds;
mod end;
mod hearing;
mod ledger;
mod lives;
mod meant;
mod outside;
mod process;
mod reached;
mod report;
mod scene;
mod twin;
mod world;

use core::fmt;
use std::panic::catch_unwind;

pub use action::{Action, Fate, Outage, Person, Schedule};
pub use reached::Reached;
pub use report::{hex, prove, script, shrink, unhex};
pub use scene::{Client, Form, Lives, Odd, Scene, Words};
pub use twin::{digest, effects};

use world::World;

/// The rules that must hold, whatever happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// Each waiter is settled exactly once, a cancelled one at most once.
    SettledOnce,
    /// One refresh of a login is out at most, over all processes.
    OneRefresh,
    /// No code, verifier or refresh token is sent twice, but for one attempt more after an unknown
    /// outcome of a refresh.
    SpentOnce,
    /// The newest token that a living process has received is in the store in the end.
    NothingLost,
    /// A grant that is handed out was stored before, or is said to be unsaved.
    SavedFirst,
    /// A refused token never returns under a new epoch.
    RefusedStaysOut,
    /// Published epochs only grow.
    EpochsGrow,
    /// A session with callers has a deadline.
    NoStall,
    /// Requests, work and waiting have an end.
    Bounded,
    /// Once everything is well, who may ask gets a grant that works, and who may not gets one or
    /// `reauthorization_required`.
    ServedInTheEnd,
    /// Nobody is asked to log in while a refresh token could do.
    LoginOnlyIfNeeded,
    /// No token from before a log-out is handed out after it.
    LogOutIsFinal,
    /// No input is misused, no bug reported, no snapshot refused.
    NoFault,
}

/// A rule that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub rule: Rule,
    /// How.
    pub text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.rule, self.text)
    }
}

type Check<T> = Result<T, Violation>;

fn broken<T>(rule: Rule, text: String) -> Check<T> {
    Err(Violation { rule, text })
}

/// Worlds in which something is deliberately wrong, each of which breaks a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// Every lease is granted, every intent is new.
    EverybodyLeased,
    /// The store says that it has kept a record, and has not.
    SwapForgotten,
    /// The store replaces whatever is there.
    SwapBlind,
    /// Intents end with their makers.
    IntentsDie,
    /// Leases outlive their holders.
    LeasesStay,
    /// Work is never answered.
    Unanswered,
    /// Nobody is woken.
    NeverWoken,
    /// Every refresh is answered as the first one was, and refusals do not name their token.
    AnswerRepeated,
    /// Every refresh is sent twice.
    RefreshRepeated,
    /// Random bytes come again.
    RandomnessRepeats,
    /// Some settlements do not reach their callers.
    SettlementLost,
    /// Each settlement is delivered twice.
    SettledTwice,
    /// Nobody is told that a grant is unsaved.
    UnsavedHidden,
    /// A log-out is not passed on.
    LogOutIgnored,
    /// The store finds nothing, whatever it has.
    NothingFound,
    /// The store goes back to what it held first, as a backup does that is played in.
    StoreRolledBack,
    /// A session goes back to an older snapshot while its callers live on.
    SessionRolledBack,
    /// A refusal in other words is taken for an outage.
    WordsUnheard,
    /// Tokens in an odd form are not read.
    FormUnread,
}

/// Runs a schedule to its end, and measures what it has led to.
///
/// # Errors
/// The first rule that did not hold.
pub fn run(schedule: &Schedule, broken: Option<Broken>) -> Result<Reached, Violation> {
    let played = catch_unwind(|| {
        let mut world = World::new(schedule.scene(), broken, false);
        play(&mut world, schedule).map(|()| world.reached())
    });
    played.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        self::broken(Rule::NoFault, format!("a panic: {}", text.unwrap_or_default()))
    })
}

fn play(world: &mut World, schedule: &Schedule) -> Check<()> {
    let told = world.told.take();
    if schedule.scene().logged_in {
        world.log_in()?;
    }
    world.told = told;
    for (number, action) in schedule.actions().enumerate() {
        world.tell(|| format!("{:>3}. {action}", number + 1));
        world.act(action)?;
    }
    world.tell(|| "     everything is well again".to_owned());
    world.heal()?;
    world.tell(|| "     everybody is served".to_owned());
    world.serve_everybody()
}
