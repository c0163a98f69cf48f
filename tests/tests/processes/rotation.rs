//! Many callers in several processes, a token that is replaced again and again, and a process killed each time.

use std::thread;
use std::time::{Duration, Instant};

use mcp_authz_tests::model::Endpoint;

use crate::program::{EXAMPLES, PATIENCE, Program};
use crate::world::World;

const PROCESSES: usize = 4;
const CALLERS: usize = 50;
const ROTATIONS: usize = 20;

/// A process of fifty callers that may ask nobody, and go on until they are killed or one call fails.
fn callers(world: &World, number: usize) -> Program {
    let callers = CALLERS.to_string();
    let example = EXAMPLES[number % EXAMPLES.len()];
    world.start(example, &["--no-login", "--calls", "1000000", "--parallel", &callers])
}

#[test]
fn four_processes_of_fifty_callers_share_each_refresh_and_no_caller_fails_host_223() {
    let world = World::new(|at| {
        at.delays.insert(Endpoint::Mcp, 150);
    });
    world.log_in(EXAMPLES[0]);
    let mut programs: Vec<Program> = (0..PROCESSES).map(|number| callers(&world, number)).collect();
    world.watch.settled(PROCESSES, 3 * CALLERS);
    for rotation in 1..=ROTATIONS {
        let before: Vec<usize> = programs.iter().map(Program::refreshes).collect();
        world.watch.hold();
        world.revoke();
        world.watch.reached();
        assert_eq!(world.watch.refreshes(), rotation);
        let holder = who_refreshes(&programs, &before);
        let victim = (holder + 1 + rotation % (PROCESSES - 1)) % PROCESSES;
        programs[victim].kill();
        assert!(said_no_end(&programs[victim]), "{:#?}", programs[victim].steps());
        programs[victim] = callers(&world, rotation);
        world.watch.mark();
        world.watch.let_go();
        world.watch.settled(PROCESSES, 3 * CALLERS);
        assert_eq!(world.watch.refreshes(), rotation, "one token request for each rotation");
    }
    for program in &mut programs {
        assert!(program.running() && said_no_end(program), "{:#?}", program.steps());
    }
    assert_eq!(world.watch.most_sent(), 1, "no refresh token was sent twice");
    assert_eq!(world.watch.logins(), 1);
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
