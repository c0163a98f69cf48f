//! Runs a script plain, restarted, and both ways before a recorder, and keeps the list of all of them
//! for the table test.

use std::collections::BTreeSet;

use mcp_authz_core::note::Edge;
use mcp_authz_tests::sim::Sim;

use crate::recorded::{Camera, faults};

/// A script and how it begins.
#[derive(Clone, Copy, Debug)]
pub struct Script {
    pub name: &'static str,
    pub begin: fn() -> Sim,
    pub run: fn(&mut Sim),
}

impl Script {
    /// Runs it as it stands.
    pub fn plain(self) -> BTreeSet<Edge> {
        let mut sim = (self.begin)();
        (self.run)(&mut sim);
        sim.finish();
        sim.edges()
    }

    /// Records it, plain and restarted, and replays the traces.
    #[track_caller]
    pub fn recorded(self) {
        for restarts in [false, true] {
            let traces = Camera::films(|| {
                let mut sim = (self.begin)();
                if restarts {
                    sim.restart_after_each_step();
                }
                (self.run)(&mut sim);
                sim.finish();
            });
            let faults: Vec<String> = traces.iter().flat_map(|lines| faults(lines)).collect();
            assert!(faults.is_empty(), "restarts: {restarts}: {faults:#?}");
        }
    }

    /// Runs it with a restart after each step.
    pub fn restarted(self) -> BTreeSet<Edge> {
        let mut sim = (self.begin)();
        sim.restart_after_each_step();
        (self.run)(&mut sim);
        sim.finish();
        sim.edges()
    }
}

/// Declares scripts: `name(sim = how it begins) { what happens }`.
#[macro_export]
macro_rules! scripts {
    ($($(#[$doc:meta])* $name:ident($sim:ident = $begin:expr) $body:block)*) => {
        /// Every script of this file.
        pub const ALL: &[$crate::suite::Script] = &[$($crate::suite::Script {
            name: stringify!($name),
            begin: || $begin,
            run: |$sim| $body,
        },)*];

        $($(#[$doc])* mod $name {
            #[allow(unused_imports, reason = "not every script needs every word")]
            use super::*;

            fn script() -> $crate::suite::Script {
                *ALL.iter().find(|script| script.name == stringify!($name)).unwrap()
            }

            #[test]
            fn plain() {
                script().plain();
            }

            #[test]
            fn restarted() {
                script().restarted();
            }

            #[test]
            fn recorded() {
                script().recorded();
            }
        })*
    };
}
