//! Another process: this very program, run for one test that does as its environment says.

use std::collections::BTreeMap;
use std::env;
use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio, exit};
use std::thread;
use std::time::Duration;

use mcp_authz_core::effect::{Bytes, Holder, Key, Record, RecordKind, Spend, StoreRequest, Stored};
use mcp_authz_driver::ports::Store;
use mcp_authz_host::store::FileStore;

const DO: &str = "MCP_AUTHZ_STORE_DO";
const FOLDER: &str = "MCP_AUTHZ_STORE_FOLDER";
const COUNT: &str = "MCP_AUTHZ_STORE_COUNT";
const SAID: &str = "it says: ";

/// Looked for and not found, so that a trace shows where the work begins and ends.
pub(crate) const BEGIN: &str = "/mcp-authz-the-work-begins";
pub(crate) const END: &str = "/mcp-authz-the-work-ends";

/// The task of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Opens the store and replaces generation 1 by 2, after many harmless system calls.
    Save,
    /// The same, for a first record in a folder that is not there.
    SaveFirst,
    /// The same, for an intent of generation 2.
    Intend,
    /// Saves so many times under a key of its own, whose name is its process id.
    SaveOften,
    /// Fifty callers refresh until there are so many generations.
    Refresh,
    /// Takes the lease, starts a child of its own that sleeps, and waits.
    Hold,
    /// Opens the store at home.
    AtHome,
    /// Loads, and tries to replace generation 1 by 2.
    LoadAndSave,
}

use Work::{AtHome, Hold, Intend, LoadAndSave, Refresh, Save, SaveFirst, SaveOften};

const ALL: [Work; 8] = [Save, SaveFirst, Intend, SaveOften, Refresh, Hold, AtHome, LoadAndSave];

/// This program as a child; more may be said to it before it starts.
pub(crate) fn command(program: &Path, work: Work, folder: &Path, count: u64) -> Command {
    let mut command = Command::new(program);
    tell(&mut command, work, folder, count);
    command.args(ARGUMENTS).stdin(Stdio::null());
    command
}

/// Its arguments, wherever they stand.
pub(crate) const ARGUMENTS: [&str; 5] =
    ["child::serve", "--exact", "--ignored", "--nocapture", "--test-threads=1"];

/// Its environment.
pub(crate) fn tell(command: &mut Command, work: Work, folder: &Path, count: u64) {
    command.env(DO, format!("{work:?}")).env(FOLDER, folder).env(COUNT, count.to_string());
}

pub(crate) fn this() -> PathBuf {
    env::current_exe().unwrap()
}

/// The child's words, line by line.
pub(crate) fn said(output: &Output) -> Vec<String> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().filter_map(|line| line.strip_prefix(SAID)).map(str::to_owned).collect()
}

pub(crate) fn line_said(line: &str) -> Option<&str> {
    line.strip_prefix(SAID)
}

fn say(what: &str) {
    let mut out = std::io::stdout().lock();
    write!(out, "\n{SAID}{what}\n").unwrap();
    out.flush().unwrap();
}

#[test]
#[ignore = "the other side of the tests between processes, which start it"]
fn serve() {
    let Some(work) = env::var(DO).ok() else { return };
    let work = ALL.into_iter().find(|known| format!("{known:?}") == work).unwrap();
    let folder = PathBuf::from(env::var_os(FOLDER).unwrap());
    let count = env::var(COUNT).unwrap().parse().unwrap();
    match work {
        Save => watched(count, || {
            FileStore::open(&folder).map(|store| store.perform(swap(Some(1), NEW)))
        }),
        SaveFirst => {
            watched(count, || FileStore::open(&folder).map(|store| store.perform(swap(None, NEW))))
        }
        Intend => watched(count, || {
            FileStore::open(&folder).map(|store| {
                let spend = Spend::Refresh { generation: 2, attempt: 0 };
                let answer = store.perform(StoreRequest::Intend { key: key(), spend, holder: ME });
                // Its maker dies with it, and does not leave.
                std::mem::forget(store);
                answer
            })
        }),
        SaveOften => save_often(&folder, count),
        Refresh => refresh(&folder, count),
        Hold => hold(&folder),
        AtHome => match FileStore::at_home() {
            Ok(store) => say(&format!("{:?}", store.perform(swap(None, OLD)))),
            Err(error) => say(error.kind().code()),
        },
        LoadAndSave => {
            let store = FileStore::open(&folder).unwrap();
            for request in [StoreRequest::Load { key: key() }, swap(Some(1), NEW)] {
                say(&format!("{:?}", store.perform(request)));
            }
        }
    }
    exit(0);
}

pub(crate) const ME: Holder = Holder(7);
/// A record's generation and content.
pub(crate) const OLD: (u64, &str) = (1, "the old record, which is the longer one of the two");
pub(crate) const NEW: (u64, &str) = (2, "the new record");

pub(crate) fn key() -> Key {
    Key { kind: RecordKind::Grant, name: r#"["https://as.example"]"#.to_owned() }
}

pub(crate) fn record((generation, text): (u64, &str)) -> Record {
    Record { generation, bytes: Bytes(text.as_bytes().to_vec()) }
}

pub(crate) fn swap(expected: Option<u64>, new: (u64, &str)) -> StoreRequest {
    StoreRequest::Swap { key: key(), expected, record: record(new) }
}

/// Does something between two marks in the trace.
fn watched(
    harmless: u64,
    work: impl FnOnce() -> Result<Stored, mcp_authz_host::store::StoreError>,
) {
    for _ in 0..harmless {
        harmless_calls();
    }
    let _none = std::fs::symlink_metadata(BEGIN);
    let answer = work();
    let _none = std::fs::symlink_metadata(END);
    match answer {
        Ok(Stored::Failed(kind)) => say(kind.code()),
        Ok(answer) => say(&format!("{answer:?}")),
        Err(error) => say(error.kind().code()),
    }
}

/// One of each kind that a save makes, and memory enough that it asks for none.
fn harmless_calls() {
    use rustix::fs::{AtFlags, CWD, FlockOperation, flock, statat};
    let mut null = OpenOptions::new().read(true).write(true).open("/dev/null").unwrap();
    let mut byte = [0];
    let _none = null.read(&mut byte).unwrap();
    null.write_all(&byte).unwrap();
    let _found = null.metadata().unwrap();
    let _found = statat(CWD, "/dev/null", AtFlags::empty()).unwrap();
    let _found = rustix::fs::fstat(&null).unwrap();
    let _flags = rustix::io::fcntl_getfd(&null).unwrap();
    let _not_for_a_device = flock(&null, FlockOperation::Unlock);
    drop(null);
    getrandom::fill(&mut byte).unwrap();
    drop(vec![1_u8; 100 * 1024]);
}

fn save_often(folder: &Path, count: u64) {
    let store = FileStore::open(folder).unwrap();
    let key = Key { name: std::process::id().to_string(), ..key() };
    for generation in 1..=count {
        let expected = Some(generation - 1).filter(|before| *before > 0);
        let record = Record { generation, bytes: Bytes(key.name.clone().into_bytes()) };
        let answer = store.perform(StoreRequest::Swap { key: key.clone(), expected, record });
        assert_eq!(answer, Stored::Swapped, "{generation}");
    }
}

fn refresh(folder: &Path, until: u64) {
    let store = FileStore::open(folder).unwrap();
    let caller = |number: u64| {
        let holder = Holder(u64::from(std::process::id()) * 1_000 + number);
        while generation(&store) < until {
            refresh_once(&store, folder, holder);
            thread::sleep(Duration::from_millis(1));
        }
    };
    thread::scope(|scope| {
        for number in 0..50 {
            let caller = &caller;
            scope.spawn(move || caller(number));
        }
    });
}

fn generation(store: &FileStore) -> u64 {
    match store.perform(StoreRequest::Load { key: key() }) {
        Stored::Loaded(Some(record)) => record.generation,
        other => panic!("{other:?}"),
    }
}

/// The steps of a session's refresh, except that a line in a file stands for the request.
fn refresh_once(store: &FileStore, folder: &Path, holder: Holder) {
    match store.perform(StoreRequest::Lease { key: key(), holder }) {
        Stored::Leased => {}
        Stored::Busy => return,
        other => panic!("{other:?}"),
    }
    let generation = generation(store);
    let spend = Spend::Refresh { generation, attempt: 0 };
    match store.perform(StoreRequest::Intend { key: key(), spend, holder }) {
        Stored::Intended => {
            let mut spent = OpenOptions::new().append(true).open(spent(folder)).unwrap();
            spent.write_all(format!("{generation}\n").as_bytes()).unwrap();
            let answer = store.perform(swap(Some(generation), (generation + 1, "rotated")));
            assert_eq!(answer, Stored::Swapped);
        }
        other => panic!("the holder of the lease is alone, and was answered {other:?}"),
    }
    let back = StoreRequest::Release { key: key(), holder, withdraw: None };
    assert_eq!(store.perform(back), Stored::Released);
}

/// Where each request of a refresh leaves a line.
pub(crate) fn spent(folder: &Path) -> PathBuf {
    folder.with_extension("spent")
}

/// How often each generation was spent.
pub(crate) fn times_spent(folder: &Path) -> BTreeMap<u64, usize> {
    let mut times = BTreeMap::new();
    for line in std::fs::read_to_string(spent(folder)).unwrap().lines() {
        *times.entry(line.parse().unwrap()).or_default() += 1;
    }
    times
}

fn hold(folder: &Path) {
    let store = FileStore::open(folder).unwrap();
    let lease = StoreRequest::Lease { key: key(), holder: ME };
    assert_eq!(store.perform(lease), Stored::Leased);
    let mut sleeper = Command::new("sleep").arg("60").stdout(Stdio::null()).spawn().unwrap();
    say(&sleeper.id().to_string());
    sleeper.wait().unwrap();
}
