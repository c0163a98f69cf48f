//! Runs many random schedules on all cores, and prints the shortest script of each rule that breaks.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use mcp_authz_tests::schedule::{Rule, Schedule, prove, run, script, unhex};

const USAGE: &str = "usage: schedules [SEEDS [FIRST]]     default: 100000 from 0
       schedules replay BYTES

Runs random schedules against the reference model, or one again that was reported.
Exits with 1 if a rule is broken.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    // What panics is told by its schedule.
    std::panic::set_hook(Box::new(|_| {}));
    let well = match arguments.as_slice() {
        ["replay", bytes] => unhex(bytes).map(|schedule| replay(&schedule)),
        [] => Some(search(100_000, 0)),
        [seeds] => seeds.parse().ok().map(|seeds| search(seeds, 0)),
        [seeds, first] => match (seeds.parse(), first.parse()) {
            (Ok(seeds), Ok(first)) => Some(search(seeds, first)),
            _ => None,
        },
        _ => None,
    };
    match well {
        Some(true) => ExitCode::SUCCESS,
        Some(false) => ExitCode::FAILURE,
        None => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn replay(schedule: &Schedule) -> bool {
    print!("{}", script(schedule, None));
    run(schedule, None).is_ok()
}

fn search(seeds: u64, first: u64) -> bool {
    let end = first.saturating_add(seeds);
    let next = AtomicU64::new(first);
    let broken = Mutex::new(BTreeMap::<Rule, Vec<u64>>::new());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                return;
            }
            if let Err(violation) = run(&Schedule::of(seed), None)
                && let Ok(mut broken) = broken.lock()
            {
                broken.entry(violation.rule).or_default().push(seed);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let broken = broken.into_inner().unwrap_or_default();
    for (rule, seeds) in &broken {
        println!("{rule:?} is broken by {} seeds; the first of them:\n", seeds.len());
        let seed = seeds.iter().min().copied().unwrap_or_default();
        if let Err(text) = prove(&Schedule::of(seed), &format!("seed {seed}")) {
            println!("{text}");
        }
    }
    println!("{seeds} schedules from seed {first} on; {} rules broken", broken.len());
    broken.is_empty()
}
