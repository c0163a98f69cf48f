//! The shortest script that breaks a rule, in words and in bytes.

use core::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::world::World;
use super::{Broken, Rule, Schedule, broken, play, run};

/// The shortest schedule that breaks the same rule at the least odd servers, made by leaving out what is
/// not needed.
#[must_use]
pub fn shrink(schedule: &Schedule, rule: Rule, broken: Option<Broken>) -> Schedule {
    let breaks = |shorter: &Schedule| run(shorter, broken).is_err_and(|found| found.rule == rule);
    let mut best = schedule.clone();
    loop {
        let tamer = best.tamer().find(|tamer| breaks(tamer));
        let Some(tamer) = tamer else { break };
        best = tamer;
    }
    let mut length = best.actions().len();
    while length > 0 {
        let before = best.actions().len();
        let mut at = 0;
        while at < best.actions().len() {
            let shorter = best.without(at, length);
            if breaks(&shorter) {
                best = shorter;
            } else {
                at += length;
            }
        }
        // Once something has gone, what was needed before may go too.
        if best.actions().len() == before {
            length /= 2;
        }
    }
    best
}

/// The events of a schedule, line by line, and its end.
#[must_use]
pub fn script(schedule: &Schedule, broken: Option<Broken>) -> String {
    let mut world = World::new(schedule.scene(), broken, true);
    let end = catch_unwind(AssertUnwindSafe(|| play(&mut world, schedule)))
        .unwrap_or_else(|_| self::broken(Rule::NoFault, "a panic".to_owned()));
    let mut text = format!("{}\n", schedule.scene());
    for line in folded(&world.told.unwrap_or_default()) {
        let _ = writeln!(text, "{line}");
    }
    let _ = match end {
        Ok(()) => writeln!(text, "Every rule holds."),
        Err(violation) => writeln!(text, "Broken: {violation}"),
    };
    text
}

/// Lines with what repeats at once told once.
fn folded(lines: &[String]) -> Vec<String> {
    const LONGEST: usize = 12;
    let mut folded = Vec::new();
    let mut rest = lines;
    while let Some((line, after)) = rest.split_first() {
        let repeats = |length: usize| {
            let block = rest.get(..length).unwrap_or_default();
            let blocks = rest.chunks(length).take_while(|chunk| *chunk == block);
            (length, blocks.count())
        };
        let found =
            (1..=LONGEST).map(repeats).find(|(length, times)| length * times >= 6 && *times > 2);
        match found {
            Some((length, times)) => {
                let (block, _) = rest.split_at(length);
                folded.extend(block.iter().cloned());
                folded.push(format!("         ... these {length} lines {times} times in all"));
                rest = rest.get(length * times..).unwrap_or_default();
            }
            None => {
                folded.push(line.clone());
                rest = after;
            }
        }
    }
    folded
}

/// The bytes of a schedule as a person can pass them on.
#[must_use]
pub fn hex(schedule: &Schedule) -> String {
    schedule.bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads what [`hex`] has written; `None` if it is not that.
#[must_use]
pub fn unhex(text: &str) -> Option<Schedule> {
    let digit = |digit: char| digit.to_digit(16);
    let digits: Vec<u32> = text.trim().chars().map(digit).collect::<Option<_>>()?;
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    let byte = |[high, low]: &[u32; 2]| u8::try_from(high * 16 + low).ok();
    Schedule::read(&pairs.iter().map(byte).collect::<Option<Vec<u8>>>()?)
}

/// Runs a schedule; if a rule does not hold, says which, with the shortest script that shows it and
/// the command that runs it again.
///
/// # Errors
/// That text. Mend what it shows, and keep the script's bytes in the corpus of the fuzz target.
pub fn prove(schedule: &Schedule, name: &str) -> Result<(), String> {
    let Err(violation) = run(schedule, None) else { return Ok(()) };
    let shortest = shrink(schedule, violation.rule, None);
    Err(format!(
        "{name} breaks a rule: {violation}\n\n{}\nTo run it again:\n\n    cargo run --release \
         -p mcp-authz-tests --bin schedules -- replay {}\n",
        script(&shortest, None),
        hex(&shortest),
    ))
}
