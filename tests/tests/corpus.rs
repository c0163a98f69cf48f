//! Every committed fuzz input runs through its target.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

use mcp_authz_tests::coverage::root;
use mcp_authz_tests::fuzz_bodies::{self, Body};
use mcp_authz_tests::random::Random;

#[path = "../glue/event_stream.rs"]
mod event_stream;

fn bodies() -> Vec<(&'static str, Body)> {
    let mut all = fuzz_bodies::ALL.to_vec();
    all.push(("sse", event_stream::sse));
    all.sort_by_key(|(name, _)| *name);
    all
}

#[test]
fn every_committed_input_passes_sec_19() {
    for (name, body) in bodies() {
        let folder = root().join("fuzz/corpus").join(name);
        let mut inputs: Vec<_> =
            fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        inputs.sort();
        assert!(!inputs.is_empty(), "{name} has no inputs");
        for input in inputs {
            let bytes = fs::read(&input).unwrap();
            let passed = catch_unwind(AssertUnwindSafe(|| body(&bytes)));
            assert!(passed.is_ok(), "{} breaks {name}", input.display());
        }
    }
}

#[test]
fn every_folder_of_the_corpus_and_every_target_has_a_body() {
    let known: Vec<&str> = bodies().into_iter().map(|(name, _)| name).collect();
    for folder in ["fuzz/corpus", "fuzz/fuzz_targets"] {
        let entries = fs::read_dir(root().join(folder)).unwrap();
        let mut found: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().to_string_lossy().replace(".rs", ""))
            .collect();
        found.sort();
        assert_eq!(found, known, "{folder}");
    }
}

/// Every byte in every place of every answer.
#[test]
fn one_wrong_byte_costs_no_token_host_320_ref_03_d19() {
    let mut lost = Vec::new();
    for shape in 0..32 {
        let answer = fuzz_bodies::token_answer(shape);
        for at in answer.harmless() {
            lost.extend(answer.damaged(at, 1, 0).err());
            for byte in 0..=u8::MAX {
                // Each in a few shapes; those that mean something in all.
                if !b"\"\\{}[],:<x1 \0\n\xff".contains(&byte) && byte % 32 != shape {
                    continue;
                }
                lost.extend(answer.damaged(at, 0, byte).err());
                lost.extend(answer.damaged(at, 2, byte).err());
            }
        }
    }
    assert!(
        lost.is_empty(),
        "{}: {:#?}",
        lost.len(),
        lost.iter().step_by(1 + lost.len() / 12).collect::<Vec<_>>()
    );
}

/// Bytes without any thought behind them, from a fixed seed.
#[test]
fn random_inputs_pass_sec_19() {
    let mut random = Random::new(0);
    for round in 0..200 {
        let length = usize::try_from(random.below(200)).unwrap();
        let mut bytes: Vec<u8> = (0..length).map(|_| random.next().to_le_bytes()[0]).collect();
        for (name, body) in bodies() {
            let passed = catch_unwind(AssertUnwindSafe(|| body(&bytes)));
            assert!(passed.is_ok(), "round {round} breaks {name}: {bytes:?}");
        }
        bytes.clear();
    }
}

/// Streams of what means something in a stream, with every kind of cut.
#[test]
fn random_streams_are_read_as_the_standard_says_trans_06_trans_07() {
    const WORDS: [&[u8]; 24] = [
        b"data",
        b"event",
        b"id",
        b"retry",
        b":",
        b": ",
        b":",
        b"\n",
        b"\r",
        b"\r\n",
        b"\n\n",
        b"\n",
        b"data: ",
        b"id: ",
        b"event: ",
        b"retry: 5",
        b"message",
        b"x",
        b"\0",
        b"\xef\xbb\xbf",
        b"\xe2\x82\xac",
        b"\xe2\x82",
        b"\xf0\x9f\x98\x80",
        b"\xff",
    ];
    let mut random = Random::new(6);
    let mut below = |end: usize| usize::try_from(random.below(end as u64)).unwrap();
    for _ in 0..5_000 {
        let mut input: Vec<u8> = (0..below(4)).map(|_| b"0123456789"[below(10)]).collect();
        input.push(b'\n');
        for _ in 0..below(40) {
            input.extend_from_slice(WORDS[below(WORDS.len())]);
        }
        let passed = catch_unwind(AssertUnwindSafe(|| event_stream::sse(&input)));
        assert!(passed.is_ok(), "{:?}", input.escape_ascii().to_string());
    }
}
