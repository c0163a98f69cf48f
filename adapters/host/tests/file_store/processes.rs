//! Several processes, one folder.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use mcp_authz_core::effect::{Holder, RecordKind, StoreRequest, Stored};
use mcp_authz_driver::ports::Store;
use mcp_authz_host::store::FileStore;

use crate::child::{self, OLD, Work, key, record, swap};

/// A folder for the store, with room for marks of our own beside it.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> (Self, std::path::PathBuf) {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("store");
        (Self(place), folder)
    }
}

fn start(work: Work, folder: &Path, count: u64) -> Child {
    child::command(&child::this(), work, folder, count).stdout(Stdio::piped()).spawn().unwrap()
}

#[cfg(feature = "contract")]
#[test]
fn the_file_store_keeps_the_promises_of_a_store_host_240_host_286_host_300() {
    let place = tempfile::tempdir().unwrap();
    let count = std::cell::Cell::new(0);
    mcp_authz_host::contract::in_process(|| {
        count.set(count.get() + 1);
        FileStore::open(place.path().join(count.get().to_string())).unwrap()
    });
}

#[cfg(feature = "contract")]
#[test]
fn it_keeps_them_between_processes_host_238_host_239_host_240_host_283_host_285() {
    use mcp_authz_host::contract;
    let test = "it_keeps_them_between_processes_host_238_host_239_host_240_host_283_host_285";
    let entry = contract::entry(module_path!(), test);
    contract::across_processes(&entry, |place| FileStore::open(place).unwrap());
}

#[test]
fn processes_that_save_different_keys_lose_nothing_host_285() {
    save_different_keys(300);
}

/// `cargo test -p mcp-authz-host --test file_store -- --ignored ten_thousand`
#[test]
#[ignore = "the long form: 40,000 times the disk is waited for"]
fn ten_thousand_rounds_of_different_keys_lose_nothing_host_285() {
    save_different_keys(10_000);
}

fn save_different_keys(rounds: u64) {
    let (_place, folder) = Place::new();
    let children = [(), ()].map(|()| start(Work::SaveOften, &folder, rounds));
    let mut expected = Vec::new();
    for mut child in children {
        expected.push((child.id().to_string(), rounds));
        assert!(child.wait().unwrap().success());
    }
    let listed = FileStore::open(&folder).unwrap().list(RecordKind::Grant).unwrap();
    let mut listed: Vec<_> =
        listed.into_iter().map(|(key, record)| (key.name, record.generation)).collect();
    listed.sort();
    expected.sort();
    assert_eq!(listed, expected);
}

#[test]
fn two_hundred_callers_spend_each_generation_once_host_223() {
    const UNTIL: u64 = 8;
    let (_place, folder) = Place::new();
    let store = FileStore::open(&folder).unwrap();
    assert_eq!(store.perform(swap(None, OLD)), Stored::Swapped);
    fs::write(child::spent(&folder), "").unwrap();
    let children = [(); 4].map(|()| start(Work::Refresh, &folder, UNTIL));
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    // A process that waited for the lease at the end went one generation further.
    let times = child::times_spent(&folder);
    assert!(times.keys().copied().eq(1..=times.len() as u64), "{times:?}");
    assert!(
        times.len() as u64 >= UNTIL - 1 && times.values().all(|times| *times == 1),
        "{times:?}"
    );
}

#[test]
fn a_child_that_outlives_a_killed_holder_does_not_keep_its_lease_host_239_host_289() {
    let (_place, folder) = Place::new();
    let mut holder = start(Work::Hold, &folder, 0);
    let lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    let mut said = lines.filter_map(|line| child::line_said(&line.unwrap()).map(str::to_owned));
    let sleeper = said.next().expect("the holder has the lease and a child");
    let store = FileStore::open(&folder).unwrap();
    let lease = || store.perform(StoreRequest::Lease { key: key(), holder: Holder(1) });
    let while_it_lives = lease();
    holder.kill().unwrap();
    holder.wait().unwrap();
    // The child of a killed process may be about to close what it must not inherit.
    let since = Instant::now();
    let mut after = lease();
    while after == Stored::Busy && since.elapsed() < Duration::from_secs(20) {
        thread::sleep(Duration::from_millis(1));
        after = lease();
    }
    let alive = Command::new("kill").arg(&sleeper).status().unwrap();
    assert_eq!((while_it_lives, after), (Stored::Busy, Stored::Leased));
    assert!(alive.success(), "the holder's child was to outlive it");
}

#[test]
fn without_a_home_nothing_is_written_host_290() {
    let place = tempfile::tempdir().unwrap();
    let run = |home: Option<&str>, data: Option<&str>| {
        let mut command = child::command(&child::this(), Work::AtHome, place.path(), 0);
        command.current_dir(place.path()).env_remove("HOME").env_remove("XDG_DATA_HOME");
        command.envs(home.map(|home| ("HOME", home)));
        command.envs(data.map(|data| ("XDG_DATA_HOME", data)));
        child::said(&command.output().unwrap())
    };
    for home in [None, Some(""), Some("here"), Some("./here"), Some("~")] {
        assert_eq!(run(home, None), ["config_invalid"], "{home:?}");
    }
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);

    let home = place.path().join("home");
    fs::create_dir(&home).unwrap();
    assert_eq!(run(home.to_str(), Some("relative")), ["Swapped"]);
    let store = FileStore::open(home.join(".local/share/mcp-authz")).unwrap();
    let old = Stored::Loaded(Some(record(OLD)));
    assert_eq!(store.perform(StoreRequest::Load { key: key() }), old);
    let data = place.path().join("data");
    assert_eq!(run(home.to_str(), data.to_str()), ["Swapped"]);
    let store = FileStore::open(data.join("mcp-authz")).unwrap();
    assert_eq!(store.perform(StoreRequest::Load { key: key() }), old);
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 2);
}

/// Run as somebody whom rights concern.
#[test]
fn a_folder_that_cannot_be_written_can_be_read_host_280() {
    let (place, folder) = Place::new();
    let store = FileStore::open(&folder).unwrap();
    assert_eq!(store.perform(swap(None, OLD)), Stored::Swapped);
    let mut program = child::this();
    let root = rustix::process::geteuid().is_root();
    if root {
        let copy = place.0.path().join("program");
        fs::copy(&program, &copy).unwrap();
        program = copy;
        fs::set_permissions(place.0.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for entry in fs::read_dir(&folder).unwrap() {
            chown(entry.unwrap().path(), Some(65534), Some(65534)).unwrap();
        }
        chown(&folder, Some(65534), Some(65534)).unwrap();
    }
    // A swap first takes its lock, whose file is there already or not.
    let locks = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let lock = locks.into_iter().find(|path| path.extension().is_some_and(|is| is == "write"));
    for _ in 0..2 {
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o500)).unwrap();
        let mut command = child::command(&program, Work::LoadAndSave, &folder, 0);
        if root {
            command.uid(65534).gid(65534);
        }
        let said = child::said(&command.output().unwrap());
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
        let loaded = format!("{:?}", Stored::Loaded(Some(record(OLD))));
        assert_eq!(said, [loaded, "Failed(StoreUnavailable)".to_owned()]);
        let _second_time = fs::remove_file(lock.as_ref().unwrap());
    }
}
