//! Many callers in several processes, a token that is replaced again and again, and a process killed each time.

use std::thread;
use std::time::{Duration, Instant};

use mcp_authz_tests::model::{Endpoint, Settings};

use crate::holder::with_grace;
use crate::program::{EXAMPLES, PATIENCE, Program};
use crate::world::World;

const PROCESSES: usize = 4;
const CALLERS: usize = 50;

/// A process of fifty callers that may ask nobody, and go on until they are killed or one call fails.
fn callers(world: &World, number: usize) -> Program {
    let callers = CALLERS.to_string();
    let example = EXAMPLES[number % EXAMPLES.len()];
    world.start(example, &["--no-login", "--calls", "1000000", "--parallel", &callers])
}

/// Who is killed in each rotation, while the answer to the token request is held back.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Victim {
    /// The process that refreshes.
    Holder,
    /// One that waits for it.
    Other,
}

/// Replaces the token again and again under two hundred callers, and a process each time. No call fails, and nobody
/// is asked to log in. `requests`: how many with a refresh token each rotation takes.
fn rotate(world: &World, rotations: usize, victim: Victim, requests: usize) {
    world.log_in(EXAMPLES[0]);
    let mut programs: Vec<Program> = (0..PROCESSES).map(|number| callers(world, number)).collect();
    world.watch.settled(PROCESSES, 3 * CALLERS);
    for rotation in 1..=rotations {
        let before: Vec<usize> = programs.iter().map(Program::refreshes).collect();
        world.watch.hold();
        world.revoke();
        world.watch.reached();
        assert_eq!(world.watch.refreshes(), (rotation - 1) * requests + 1);
        let holder = who_refreshes(&programs, &before);
        let killed = match victim {
            Victim::Holder => holder,
            Victim::Other => (holder + 1 + rotation % (PROCESSES - 1)) % PROCESSES,
        };
        programs[killed].kill();
        assert!(said_no_end(&programs[killed]), "{:#?}", programs[killed].steps());
        programs[killed] = callers(world, rotation);
        world.watch.mark();
        world.watch.let_go();
        world.watch.settled(PROCESSES, 3 * CALLERS);
        assert_eq!(world.watch.refreshes(), rotation * requests);
    }
    for program in &mut programs {
        assert!(program.running() && said_no_end(program), "{:#?}", program.steps());
    }
    assert_eq!(world.watch.most_sent(), requests);
    assert_eq!(world.watch.logins(), 1);
}

fn slowly(at: &mut Settings) {
    at.delays.insert(Endpoint::Mcp, 150);
}

#[test]
fn four_processes_of_fifty_callers_share_each_refresh_and_no_caller_fails_host_223() {
    rotate(&World::new(slowly), 20, Victim::Other, 1);
}

#[test]
fn when_the_one_that_refreshes_is_killed_another_does_and_no_caller_of_the_rest_fails_host_228() {
    let world = World::new(|at| {
        slowly(at);
        with_grace(at);
    });
    rotate(&world, 5, Victim::Holder, 2);
}

/// Which program has sent a refresh token since. It says so before it sends it, but may be read later.
fn who_refreshes(programs: &[Program], before: &[usize]) -> usize {
    let end = Instant::now() + PATIENCE;
    loop {
        let mut numbered = (0..).zip(programs);
        match numbered.find(|(number, program)| program.refreshes() > before[*number]) {
            Some((number, _)) => return number,
            None => assert!(Instant::now() < end, "nobody says that it refreshes"),
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// A program says how it ended only if a call failed.
fn said_no_end(program: &Program) -> bool {
    program.steps().iter().all(|step| step["outcome"].is_null())
}
