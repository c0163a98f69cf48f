//! The actions that may happen, and schedules of them: three bytes an action, after two that set
//! the scene and before up to two that make the servers odd.
//!
//! Any bytes are a schedule: numbers are taken modulo what is there. So a schedule is still one after
//! any of its actions is left out.

use core::fmt;

use super::scene::{Odd, Scene};
use crate::random::Random;

/// The fate of one piece of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Done and answered.
    Answered,
    /// Done; the answer comes later, or never.
    Held,
    /// Never done, and answered so: the connection broke, the store failed.
    LostBefore,
    /// Done, and answered as if it had failed.
    LostAfter,
    /// Certainly never sent, and answered so.
    Unsent,
    /// The server says that it cannot now.
    Unserved,
    /// Never done, never answered.
    DroppedBefore,
    /// Done, never answered.
    DroppedAfter,
}

impl Fate {
    fn read(byte: u8) -> Self {
        match byte % 16 {
            0..=8 => Self::Answered,
            9 => Self::Held,
            10 => Self::LostBefore,
            11 => Self::LostAfter,
            12 => Self::Unsent,
            13 => Self::Unserved,
            14 => Self::DroppedBefore,
            _ => Self::DroppedAfter,
        }
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Answered => "is done and answered",
            Self::Held => "is done, its answer held back",
            Self::LostBefore => "fails before it is done",
            Self::LostAfter => "is done, and answered as failed",
            Self::Unsent => "is certainly not sent",
            Self::Unserved => "is refused for now",
            Self::DroppedBefore => "is not done and never answered",
            Self::DroppedAfter => "is done and never answered",
        })
    }
}

/// The behaviour of the servers towards requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outage {
    /// They answer.
    Over,
    /// Nobody can connect.
    Unreachable,
    /// Connections break before the request is looked at.
    BreaksBefore,
    /// Connections break once the request is carried out.
    BreaksAfter,
    /// 503.
    Unavailable,
}

impl Outage {
    const fn read(byte: u8) -> Self {
        match byte % 4 {
            0 => Self::Unreachable,
            1 => Self::BreaksBefore,
            2 => Self::BreaksAfter,
            _ => Self::Unavailable,
        }
    }
}

/// A person's action at the page that was shown last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Person {
    /// Says yes.
    Approves,
    /// Says yes, and the browser arrives twice.
    ArrivesTwice,
    /// Says no.
    Declines,
    /// Arrives with the `state` of somebody else.
    Strays,
}

impl Person {
    const fn read(byte: u8) -> Self {
        match byte % 8 {
            0 => Self::ArrivesTwice,
            1 => Self::Declines,
            2 => Self::Strays,
            _ => Self::Approves,
        }
    }
}

/// One thing that happens. Processes, callers and work are named by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "Display says it")]
pub enum Action {
    Acquire { caller: usize, may_ask: bool, named: bool },
    Use { caller: usize, held: bool, may_ask: bool },
    Cancel { caller: usize },
    Answer { process: usize, work: usize, fate: Fate },
    Run { process: usize, most: usize },
    RunAll,
    UntilSpending { process: usize },
    Person { process: usize, does: Person },
    NextDeadline,
    Pass { seconds: u64 },
    Sleep { seconds: u64 },
    Wake { process: usize },
    Kill { process: usize, done: u8 },
    KillAmid { done: u8 },
    Restart { process: usize, from_snapshot: bool },
    Snapshot { process: usize },
    Move { process: usize },
    LogOut { process: usize },
    WallClock { seconds: i64 },
    Store { fails: bool },
    Servers { outage: Outage },
    RevokeAccess,
    RevokeAll,
}

impl Action {
    /// Any three bytes are an action.
    fn read([kind, one, two]: [u8; 3], scene: Scene) -> Self {
        let process = usize::from(one) % scene.processes;
        let caller = usize::from(one) % scene.callers;
        let may_ask = !two.is_multiple_of(4);
        match kind % 108 {
            0..=9 => Self::Acquire { caller, may_ask, named: two & 4 != 0 },
            10..=21 => Self::Use { caller, held: two & 4 != 0, may_ask },
            22..=23 => Self::Cancel { caller },
            24..=37 => Self::Answer { process, work: usize::from(two >> 4), fate: Fate::read(two) },
            38..=49 => Self::Run { process, most: 1 + usize::from(two % 8) },
            50..=59 => Self::RunAll,
            60..=65 => Self::Person { process, does: Person::read(two) },
            66..=71 => Self::NextDeadline,
            72..=77 => Self::Pass { seconds: u64::from(two) / 2 },
            78 => Self::Sleep { seconds: u64::from(two) * 4 },
            79 => Self::Wake { process },
            80..=82 => Self::Kill { process, done: two },
            83..=85 => Self::Restart { process, from_snapshot: two & 1 != 0 },
            86 => Self::Snapshot { process },
            87 => Self::Move { process },
            88 => Self::LogOut { process },
            89 => Self::WallClock { seconds: i64::from(two.cast_signed()) * 600 },
            90 => Self::Store { fails: true },
            91 => Self::Store { fails: false },
            92 => Self::Servers { outage: Outage::read(two) },
            93 => Self::Servers { outage: Outage::Over },
            94 if two.is_multiple_of(3) => Self::RevokeAll,
            94 | 95 => Self::RevokeAccess,
            96..=103 => Self::UntilSpending { process },
            _ => Self::KillAmid { done: two },
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let asking = |may_ask: &bool| if *may_ask { "a person may be asked" } else { "quietly" };
        match self {
            Self::Acquire { caller, may_ask, named } => {
                let scopes = if *named { ", naming a scope" } else { "" };
                write!(f, "caller {caller} wants a grant, {}{scopes}", asking(may_ask))
            }
            Self::Use { caller, held, may_ask } => {
                let which = if *held { "its own" } else { "the published" };
                write!(f, "caller {caller} uses {which} token, {}", asking(may_ask))
            }
            Self::Cancel { caller } => write!(f, "caller {caller} no longer waits"),
            Self::Answer { process, work, fate } => {
                write!(f, "work {work} of process {process} {fate}")
            }
            Self::Run { process, most } => {
                write!(f, "process {process} has up to {most} pieces of work done")
            }
            Self::RunAll => f.write_str("all work of all processes is done"),
            Self::UntilSpending { process } => {
                write!(f, "process {process} has its work done until it spends something")
            }
            Self::Person { process, does } => {
                write!(f, "the person at process {process}: {does:?}")
            }
            Self::NextDeadline => f.write_str("time passes to the next deadline"),
            Self::Pass { seconds } => write!(f, "{seconds} s pass"),
            Self::Sleep { seconds } => write!(f, "the machine sleeps for {seconds} s"),
            Self::Wake { process } => write!(f, "process {process} is woken for nothing"),
            Self::Kill { process, done } => {
                write!(f, "process {process} is killed; of its work this much was done: {done:08b}")
            }
            Self::KillAmid { done } => {
                write!(f, "who is spending or saving is killed; of its work was done: {done:08b}")
            }
            Self::Restart { process, from_snapshot: true } => {
                write!(f, "process {process} is restarted from its last snapshot")
            }
            Self::Restart { process, .. } => write!(f, "process {process} is restarted"),
            Self::Snapshot { process } => write!(f, "process {process} writes a snapshot"),
            Self::Move { process } => {
                write!(f, "process {process} writes a snapshot, is killed and restored")
            }
            Self::LogOut { process } => write!(f, "process {process} logs out"),
            Self::WallClock { seconds } => write!(f, "the wall clock is set off by {seconds} s"),
            Self::Store { fails: true } => f.write_str("the store begins to fail"),
            Self::Store { .. } => f.write_str("the store is well again"),
            Self::Servers { outage } => write!(f, "the servers' outage: {outage:?}"),
            Self::RevokeAccess => f.write_str("the server revokes all access tokens"),
            Self::RevokeAll => f.write_str("the server revokes everything"),
        }
    }
}

/// A scene and what happens in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    scene: [u8; 2],
    actions: Vec<[u8; 3]>,
    odd: [u8; 2],
}

/// Actions past this one are not looked at.
const MOST_ACTIONS: usize = 96;

impl Schedule {
    /// Any bytes but too few are a schedule.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (scene, rest) = bytes.split_first_chunk()?;
        let (actions, rest) = rest.as_chunks();
        let actions = actions.iter().take(MOST_ACTIONS).copied().collect();
        let mut odd = [0; 2];
        odd.iter_mut().zip(rest).for_each(|(byte, there)| *byte = *there);
        Some(Self { scene: *scene, actions, odd })
    }

    /// The bytes it is read from.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.scene.to_vec();
        bytes.extend(self.actions.as_flattened());
        bytes.extend(match &self.odd {
            [0, 0] => &[],
            [low, 0] => core::slice::from_ref(low),
            odd => odd.as_slice(),
        });
        bytes
    }

    /// 20 to 60 actions that follow from a number. Where that is even, the servers are honest, and the
    /// schedule is the one that it was before there were others.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let length = 20 + random.next() % 41;
        let scene = random.next().to_le_bytes();
        let action = |random: &mut Random| {
            let [a, b, c, ..] = random.next().to_le_bytes();
            [a, b, c]
        };
        let [first, second, ..] = scene;
        let actions = (0..length).map(|_| action(&mut random)).collect();
        let odd = if seed.is_multiple_of(2) { [0; 2] } else { Odd::drawn(random.next()) };
        Self { scene: [first, second], actions, odd }
    }

    /// The scene of the schedule.
    #[must_use]
    pub fn scene(&self) -> Scene {
        Scene::read(self.scene, self.odd)
    }

    /// The actions of the schedule, in order.
    pub fn actions(&self) -> impl ExactSizeIterator<Item = Action> + '_ {
        let scene = self.scene();
        self.actions.iter().map(move |bytes| Action::read(*bytes, scene))
    }

    /// The same at servers that are less odd, in one way each.
    pub(super) fn tamer(&self) -> impl Iterator<Item = Self> {
        let tamer = Odd::tamer(self.odd).filter(|odd| *odd != self.odd);
        tamer.map(|odd| Self { odd, ..self.clone() })
    }

    /// Without `count` actions from `at` on.
    #[must_use]
    pub fn without(&self, at: usize, count: usize) -> Self {
        let mut shorter = self.clone();
        let end = at.saturating_add(count).min(shorter.actions.len());
        shorter.actions.drain(at.min(end)..end);
        shorter
    }
}
