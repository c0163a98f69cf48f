//! The world: processes, clocks, callers, and all work that is out. Every input and every effect of a
//! session passes through here.

use std::collections::BTreeMap;
use std::sync::Arc;

use mcp_authz_core::effect::{
    Bound, Effects, Holder, Key, Purpose, Record, Reply, Spend, StoreRequest, Work as Asked,
};
use mcp_authz_core::entropy::Entropy;
use mcp_authz_core::failure::Kind;
use mcp_authz_core::input::{Acquire, ArrivalId, Callback, Had, WaiterId};
use mcp_authz_core::scope::ScopeSet;
use mcp_authz_core::session::{Env, Session};
use mcp_authz_core::time::{Monotonic, Timestamp};
use mcp_authz_core::{Config, Granted, Input};

use super::action::Outage;
use super::ledger::{Ledger, Sent};
use super::meant::Meant;
use super::process::{Item, Running, Saved, Waiter, Watch, Work};
use super::scene::{Odd, Scene};
use super::{Broken, Check, Reached, Rule, broken};
use crate::model::Model;
use crate::random::Random;
use crate::sim::{BEGINNING, Store};

/// Requests that one cause (a caller, a restart, a stretch of time) may lead to.
const MOST_REQUESTS: usize = 32;

/// A caller: one thread or task of a process.
#[derive(Debug, Default)]
pub(super) struct Caller {
    pub(super) waiting: Option<WaiterId>,
    /// The grant it was settled with last.
    pub(super) held: Option<Arc<Granted>>,
    /// Why it was settled without one.
    pub(super) failed: Option<Kind>,
    /// Its next request repeats one that was refused, and has had this.
    pub(super) repeats: Option<Had>,
}

/// A process, running or not.
#[derive(Debug, Default)]
pub(super) struct Slot {
    pub(super) running: Option<Running>,
    pub(super) saved: Option<Saved>,
}

pub(super) struct World {
    pub(super) config: Arc<Config>,
    pub(super) ledger: Ledger,
    pub(super) model: Model,
    pub(super) store: Store,
    pub(super) slots: Vec<Slot>,
    pub(super) callers: Vec<Caller>,
    pub(super) outage: Outage,
    pub(super) store_fails: bool,
    pub(super) odd: Odd,
    /// Milliseconds since the beginning, and how many of them the machine has slept.
    pub(super) now: u64,
    pub(super) slept: u64,
    pub(super) wall_shift: i64,
    /// Counts inputs.
    pub(super) step: usize,
    /// The last step after which the store had no refresh token that could be used.
    pub(super) without: usize,
    pub(super) broken: Option<Broken>,
    next: u64,
    drawn: Random,
    /// Intents, for the world that loses them.
    pub(super) intents: BTreeMap<Holder, Vec<(Key, Spend)>>,
    /// The first answer to a refresh that grants tokens, for the world that repeats it.
    pub(super) repeated: Option<(Vec<u8>, Meant)>,
    /// The first grant that was stored, for the world that goes back to it.
    pub(super) first: Option<BTreeMap<Key, Record>>,
    pub(super) reached: Reached,
    /// The events so far, if anybody wants to know them.
    pub(super) told: Option<Vec<String>>,
    /// The effects of the sessions, if they are compared with those of another build of the
    /// machine.
    pub(super) twin: Option<Vec<String>>,
}

impl World {
    pub(super) fn new(scene: Scene, broken: Option<Broken>, tell: bool) -> Self {
        let model = scene.model();
        let settings = model.settings();
        let config = Config::builder(&settings.mcp_url).persistent(true);
        let config = scene.odd.configure(config, &settings.server.issuer).build();
        let mut world = Self {
            config: config.expect("the configuration is valid"),
            ledger: Ledger::new(scene.odd.client.known().is_some()),
            model,
            store: Store::default(),
            slots: Vec::new(),
            callers: Vec::new(),
            outage: Outage::Over,
            store_fails: false,
            odd: scene.odd,
            now: 0,
            slept: 0,
            wall_shift: 0,
            step: 0,
            without: 0,
            broken,
            next: 1,
            drawn: Random::new(0),
            intents: BTreeMap::new(),
            repeated: None,
            first: None,
            reached: Reached::default(),
            told: tell.then(Vec::new),
            twin: None,
        };
        world.slots.resize_with(scene.processes, Slot::default);
        world.callers.resize_with(scene.callers, Caller::default);
        for process in 0..scene.processes {
            world.begin(process);
        }
        world
    }

    /// A process starts and knows nothing.
    pub(super) fn begin(&mut self, process: usize) {
        let life = self.ledger.begin();
        let session = Session::new(Arc::clone(&self.config));
        self.slot(process).running = Some(Running::new(life, session, Watch::default(), false));
    }

    pub(super) fn slot(&mut self, process: usize) -> &mut Slot {
        self.slots.get_mut(process).expect("processes are counted")
    }

    pub(super) fn running(&mut self, process: usize) -> Option<&mut Running> {
        self.slots.get_mut(process).and_then(|slot| slot.running.as_mut())
    }

    pub(super) fn caller(&mut self, caller: usize) -> &mut Caller {
        self.callers.get_mut(caller).expect("callers are counted")
    }

    /// The events that it has led to, counted.
    pub(super) fn reached(&self) -> Reached {
        let (refreshes, recoveries) = self.ledger.refreshes();
        Reached { refreshes, recoveries, ..self.reached }
    }

    /// The process a caller belongs to.
    pub(super) fn home(&self, caller: usize) -> usize {
        caller % self.slots.len()
    }

    /// An action begins.
    pub(super) fn tell(&mut self, text: impl FnOnce() -> String) {
        if let Some(told) = &mut self.told {
            told.push(text());
        }
    }

    /// Something follows from an action.
    pub(super) fn say(&mut self, text: impl FnOnce() -> String) {
        if let Some(told) = &mut self.told {
            told.push(format!("       - {}", text()));
        }
    }

    pub(super) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub(super) fn wall_ms(&self) -> u64 {
        u64::try_from(BEGINNING).unwrap_or_default() * 1000 + self.now
    }

    pub(super) fn wall(&self) -> Timestamp {
        let seconds = i64::try_from(self.now / 1000).unwrap_or(i64::MAX);
        Timestamp::from_unix(BEGINNING + seconds + self.wall_shift)
    }

    pub(super) fn env(&mut self, clock: u64) -> Env {
        if self.broken == Some(Broken::RandomnessRepeats) && self.step % 50 == 49 {
            self.drawn = Random::new(0);
        }
        let mut bytes = [0; Entropy::BYTES];
        for block in bytes.chunks_mut(8) {
            block.copy_from_slice(&self.drawn.next().to_le_bytes());
        }
        Env {
            wall: self.wall(),
            mono: Monotonic::from_millis(clock + self.now),
            entropy: Entropy::new(bytes),
        }
    }

    /// When a process wants to be woken, in milliseconds since the beginning.
    pub(super) fn due(&mut self, process: usize) -> Option<u64> {
        let running = self.running(process)?;
        let at = running.session.deadline()?.at.millis();
        Some(at.saturating_sub(running.clock))
    }

    /// Gives a session one input and looks at everything it does about it.
    pub(super) fn give(&mut self, process: usize, input: Input) -> Check<()> {
        let Some(clock) = self.running(process).map(|running| running.clock) else {
            return Ok(());
        };
        let env = self.env(clock);
        self.step += 1;
        let Some(running) = self.running(process) else { return Ok(()) };
        let effects = match running.session.handle(input, env) {
            Ok(effects) => effects,
            Err(misuse) => return broken(Rule::NoFault, format!("misuse: {misuse}")),
        };
        self.perform(process, effects)
    }

    pub(super) fn perform(&mut self, process: usize, effects: Effects) -> Check<()> {
        self.witness_effects(process, &effects);
        for told in effects.told {
            self.hear(process, told)?;
        }
        for work in effects.work {
            self.take_on(process, work)?;
        }
        if self.ledger.usable().is_none() {
            self.without = self.step;
        }
        let Some(running) = self.running(process) else { return Ok(()) };
        if running.session.waiting() > 0 && running.session.deadline().is_none() {
            let text = format!("process {process} has callers, and no deadline");
            return broken(Rule::NoStall, text);
        }
        if running.requests > MOST_REQUESTS * running.causes {
            let text = format!("{} requests for {} causes", running.requests, running.causes);
            return broken(Rule::Bounded, text);
        }
        Ok(())
    }

    /// Work leaves a session.
    fn take_on(&mut self, process: usize, work: Asked) -> Check<()> {
        let id = work.id();
        let Some(slot) = self.slots.get_mut(process) else { return Ok(()) };
        let Some(running) = &mut slot.running else { return Ok(()) };
        let work = match work {
            Asked::Call(call) => {
                let purpose = call.purpose();
                let (request, _, ticket) = call.split();
                running.requests += 1;
                let recorded = running.code_recorded;
                let (life, now) = (running.life, self.now);
                let sent = self.ledger.sent(life, purpose, &request, recorded, now)?;
                if self.broken == Some(Broken::RefreshRepeated) && purpose == Purpose::Refresh {
                    self.ledger.sent(life, purpose, &request, recorded, now)?;
                }
                Work::Call { request, purpose, ticket, sent, reply: None }
            }
            Asked::Store(op) => {
                let (request, ticket) = op.split();
                match &request {
                    StoreRequest::Intend { holder, spend: Spend::Code { .. }, .. } => {
                        running.holders.insert(*holder);
                        running.code_recorded = false;
                    }
                    StoreRequest::Lease { holder, .. }
                    | StoreRequest::Intend { holder, .. }
                    | StoreRequest::Release { holder, .. }
                    | StoreRequest::Leave { holder } => {
                        running.holders.insert(*holder);
                    }
                    StoreRequest::Load { .. } | StoreRequest::Swap { .. } => {}
                }
                Work::Store { request, ticket, stored: None }
            }
            Asked::Listen(listen) => {
                let (on, ticket) = listen.split();
                Work::Listen { port: on.port.unwrap_or(51_000), ticket }
            }
            Asked::Sign(_) => return broken(Rule::NoFault, "no key is configured".to_owned()),
        };
        self.say(|| format!("process {process} wants {}", shown(&work)));
        self.witness_work(&work);
        if let Some(running) = self.running(process) {
            running.out.push(Item { id, work, given_up: false });
        }
        Ok(())
    }

    /// A session hears how its request ended.
    pub(super) fn reply(
        &mut self,
        process: usize,
        sent: Option<&Sent>,
        reply: &Reply,
        meant: &Meant,
    ) {
        let life = self.running(process).map(|running| running.life);
        match (reply, sent) {
            (Reply::Answered(_), _) => {
                if let Some(life) = life {
                    self.ledger.heard(life, sent, meant, self.now);
                }
            }
            (Reply::NotSent(_), Some(sent)) => self.ledger.nothing(sent),
            (Reply::MaybeSent(_), Some(sent)) => self.ledger.unknown(sent),
            (_, None) => {}
        }
    }

    /// A caller of a process wants a grant.
    pub(super) fn acquire(&mut self, caller: usize, may_ask: bool, named: bool) -> Check<()> {
        let process = self.home(caller);
        if self.caller(caller).waiting.is_some() || self.running(process).is_none() {
            return Ok(());
        }
        let scopes = if named { "mcp:tools" } else { "" };
        let scopes = ScopeSet::read(scopes).expect("the scopes are scopes");
        let waiter = self.waits(caller, may_ask, false);
        self.give(process, Input::Acquire(Acquire { waiter, scopes, may_ask }))
    }

    /// A caller begins to wait.
    pub(super) fn waits(&mut self, caller: usize, may_ask: bool, refused: bool) -> WaiterId {
        let id = WaiterId(self.number());
        let since = (self.step + 1, self.now - self.slept);
        let process = self.home(caller);
        if let Some(running) = self.running(process) {
            running.causes += 1;
            running.waiting.insert(id, Waiter { caller, may_ask, refused, since });
        }
        self.caller(caller).waiting = Some(id);
        id
    }

    /// A browser arrives at the redirect URI.
    pub(super) fn arrive(&mut self, process: usize, url: String) -> Check<()> {
        let arrival = ArrivalId(self.number());
        self.give(process, Input::Callback { arrival, callback: Callback::url(url) })
    }
}

fn shown(work: &Work) -> String {
    match work {
        Work::Call { purpose, .. } => format!("a request: {}", purpose.name()),
        Work::Store { request, .. } => format!("the store: {request:?}"),
        Work::Listen { port, .. } => format!("a listener on {port}"),
    }
}

/// The answer of a listener.
pub(super) const fn bound(well: bool, exhausted: bool, port: u16) -> Bound {
    match (well, exhausted) {
        (true, _) => Bound::Port(port),
        (false, true) => Bound::Exhausted,
        (false, false) => Bound::Failed,
    }
}
