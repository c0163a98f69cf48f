//! Two builds of the machine, driven by the same schedules: what they do is compared to the byte.
//!
//! A change that is to change nothing is proven so: the lines of both builds are equal for every
//! seed, and where they are not, the first line that differs says what has changed.

use std::hash::{DefaultHasher, Hash, Hasher};

use mcp_authz_core::effect::{Effects, StoreRequest, Told};
use mcp_authz_core::internals::FLOWS;
use mcp_authz_core::note::Note;

use super::process::Work;
use super::world::World;
use super::{Schedule, play};

/// Every effect of a schedule, a line each, in order.
#[must_use]
pub fn effects(schedule: &Schedule) -> Vec<String> {
    let mut world = World::new(schedule.scene(), None, false);
    world.twin = Some(Vec::new());
    if let Err(violation) = play(&mut world, schedule) {
        world.witness(|| violation.to_string());
    }
    world.twin.unwrap_or_default()
}

/// A number that stands for [`effects`].
#[must_use]
pub fn digest(schedule: &Schedule) -> u64 {
    let mut hasher = DefaultHasher::new();
    effects(schedule).hash(&mut hasher);
    hasher.finish()
}

impl World {
    /// Notes a line, if anybody compares.
    pub(super) fn witness(&mut self, line: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.twin {
            lines.push(line());
        }
    }

    /// Notes what a session has to be done, and when it wants to be woken.
    pub(super) fn witness_effects(&mut self, process: usize, effects: &Effects) {
        if self.twin.is_none() {
            return;
        }
        let step = self.step;
        let deadline = self.running(process).and_then(|running| running.session.deadline());
        // The edges of flows are how this build calls what it does.
        let flow = |told: &&Told| {
            let Told::Note(Note::Step(edge)) = told else { return false };
            FLOWS.iter().any(|table| table.flow == edge.machine)
        };
        for told in effects.told.iter().filter(|told| !flow(told)) {
            self.witness(|| format!("{step} {process} {told:?}"));
        }
        for work in &effects.work {
            self.witness(|| format!("{step} {process} {:?}", work.id()));
        }
        self.witness(|| format!("{step} {process} {deadline:?}"));
    }

    /// Notes a piece of work whole: what is shown of it in an effect leaves its secrets out.
    pub(super) fn witness_work(&mut self, work: &Work) {
        self.witness(|| match work {
            Work::Call { request, purpose, .. } => {
                let body = String::from_utf8_lossy(request.body());
                let (method, url) = (request.method(), request.uri());
                format!("  {purpose:?} {method} {url} {:?} {body}", request.headers())
            }
            Work::Store { request: request @ StoreRequest::Swap { record, .. }, .. } => {
                format!("  {request:?} {}", String::from_utf8_lossy(&record.bytes.0))
            }
            Work::Store { request, .. } => format!("  {request:?}"),
            Work::Listen { port, .. } => format!("  port {port}"),
        });
    }
}
