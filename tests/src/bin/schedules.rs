//! Runs many random schedules on all cores, and prints the shortest script of each rule that breaks, and how
//! often what they are about was reached.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use mcp_authz_tests::schedule::{
    Reached, Rule, Schedule, digest, effects, prove, run, script, unhex,
};

const USAGE: &str = "usage: schedules [SEEDS [FIRST]]     default: 100000 from 0
       schedules replay BYTES
       schedules digest SEEDS [FIRST]
       schedules effects SEED|BYTES

Runs random schedules against the reference model, or one again that was reported.
`digest` prints a number a seed that stands for all effects of it: two builds of the machine that print
the same lines do the same. `effects` prints the effects themselves, to find the first that differs.
Exits with 1 if a rule is broken.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    // A panic is reported by its schedule.
    std::panic::set_hook(Box::new(|_| {}));
    let well = match arguments.as_slice() {
        ["replay", bytes] => unhex(bytes).map(|schedule| replay(&schedule)),
        ["digest", seeds, rest @ ..] if rest.len() < 2 => {
            let first = rest.first().map_or(Ok(0), |first| first.parse());
            seeds.parse().ok().zip(first.ok()).map(|(seeds, first)| digests(seeds, first))
        }
        ["effects", of] => {
            of.parse().ok().map(Schedule::of).or_else(|| unhex(of)).map(|schedule| {
                effects(&schedule).iter().for_each(|line| println!("{line}"));
                true
            })
        }
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

/// Takes so many seeds, on all cores.
fn each(seeds: u64, first: u64, take: impl Fn(u64) + Sync) {
    let end = first.saturating_add(seeds);
    let next = AtomicU64::new(first);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                return;
            }
            take(seed);
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
}

fn digests(seeds: u64, first: u64) -> bool {
    let all = Mutex::new(BTreeMap::<u64, u64>::new());
    each(seeds, first, |seed| {
        let digest = digest(&Schedule::of(seed));
        if let Ok(mut all) = all.lock() {
            all.insert(seed, digest);
        }
    });
    let all = all.into_inner().unwrap_or_default();
    all.iter().for_each(|(seed, digest)| println!("{seed} {digest:016x}"));
    all.len() as u64 == seeds
}

fn search(seeds: u64, first: u64) -> bool {
    let found = Mutex::new((Reached::default(), BTreeMap::<Rule, Vec<u64>>::new()));
    each(seeds, first, |seed| {
        let ran = run(&Schedule::of(seed), None);
        let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
        match ran {
            Ok(reached) => found.0 += reached,
            Err(violation) => found.1.entry(violation.rule).or_default().push(seed),
        }
    });
    let (reached, broken) = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    print!("{reached}");
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
