//! Every committed fuzz input runs through its target.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

use mcp_authz_tests::coverage::root;
use mcp_authz_tests::fuzz_bodies;
use mcp_authz_tests::random::Random;

#[test]
fn every_committed_input_passes_sec_19() {
    for (name, body) in fuzz_bodies::ALL {
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
    let known: Vec<&str> = fuzz_bodies::ALL.iter().map(|(name, _)| *name).collect();
    for folder in ["fuzz/corpus", "fuzz/fuzz_targets"] {
        let entries = fs::read_dir(root().join(folder)).unwrap();
        let mut found: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().to_string_lossy().replace(".rs", ""))
            .collect();
        found.sort();
        assert_eq!(found, known, "{folder}");
    }
}

/// Bytes without any thought behind them, from a fixed seed.
#[test]
fn random_inputs_pass_sec_19() {
    let mut random = Random::new(0);
    for round in 0..200 {
        let length = usize::try_from(random.below(200)).unwrap();
        let mut bytes: Vec<u8> = (0..length).map(|_| random.next().to_le_bytes()[0]).collect();
        for (name, body) in fuzz_bodies::ALL {
            let passed = catch_unwind(AssertUnwindSafe(|| body(&bytes)));
            assert!(passed.is_ok(), "round {round} breaks {name}: {bytes:?}");
        }
        bytes.clear();
    }
}
