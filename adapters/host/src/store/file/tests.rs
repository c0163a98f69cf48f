//! Two values of one folder stand for two processes, as far as locks go.

use std::fs::{self, OpenOptions};
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::SystemTime;

use tempfile::TempDir;

use super::*;

/// Against hanging; nothing is measured with it.
const FOR_EVER: Duration = Duration::from_secs(20);

fn key() -> Key {
    named(r#"["https://as.example"]"#)
}

fn named(name: &str) -> Key {
    Key { kind: RecordKind::Grant, name: name.to_owned() }
}

fn record(generation: u64, bytes: &str) -> Record {
    Record { generation, bytes: Bytes(bytes.as_bytes().to_vec()) }
}

struct Place {
    folder: TempDir,
    store: FileStore,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = FileStore::open(folder.path()).unwrap();
        Self { folder, store }
    }

    fn load(&self) -> Stored {
        self.store.perform(StoreRequest::Load { key: key() })
    }

    fn swap(&self, expected: Option<u64>, generation: u64, bytes: &str) -> Stored {
        swap(&self.store, &key(), expected, record(generation, bytes))
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join(names::stem(&key()))
    }

    fn beside(&self, what: &str) -> Vec<PathBuf> {
        let names = self.store.beside(&names::stem(&key()), what);
        names.map(|name| self.folder.path().join(name)).collect()
    }

    /// Nothing may be read or saved, and nothing that is there changes.
    fn refuses(&self, kind: Kind) {
        assert_eq!(self.load(), Stored::Failed(kind));
        assert_eq!(self.swap(None, 1, "new"), Stored::Failed(kind));
        assert_eq!(self.swap(Some(1), 2, "new"), Stored::Failed(kind));
        assert!(self.beside("").iter().all(|left| left.extension().unwrap() == "write"));
    }
}

fn swap(store: &FileStore, key: &Key, expected: Option<u64>, record: Record) -> Stored {
    store.perform(StoreRequest::Swap { key: key.clone(), expected, record })
}

fn loaded(generation: u64, bytes: &str) -> Stored {
    Stored::Loaded(Some(record(generation, bytes)))
}

#[test]
fn a_swap_names_the_generation_it_replaces() {
    let place = Place::new();
    assert_eq!(place.load(), Stored::Loaded(None));
    assert_eq!(place.swap(Some(1), 2, "x"), Stored::Conflict(None));
    assert_eq!(place.swap(None, 1, "a"), Stored::Swapped);
    assert_eq!(place.swap(None, 1, "b"), Stored::Conflict(Some(record(1, "a"))));
    assert_eq!(place.load(), loaded(1, "a"));
    assert_eq!(place.swap(Some(1), 5, "b"), Stored::Swapped);
    let later = FileStore::open(place.folder.path()).unwrap();
    assert_eq!(later.perform(StoreRequest::Load { key: key() }), loaded(5, "b"));
}

#[test]
fn of_two_that_swap_the_same_generation_one_succeeds() {
    let place = Place::new();
    let won: usize = thread::scope(|scope| {
        let swaps = (0..8).map(|_| {
            scope.spawn(|| {
                let store = FileStore::open(place.folder.path()).unwrap();
                usize::from(swap(&store, &key(), None, record(1, "x")) == Stored::Swapped)
            })
        });
        let threads: Vec<_> = swaps.collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(won, 1);
}

#[test]
fn two_that_save_different_keys_lose_nothing_host_285() {
    let place = Place::new();
    thread::scope(|scope| {
        for name in ["one", "two", "three"] {
            let store = FileStore::open(place.folder.path()).unwrap();
            scope.spawn(move || {
                let key = named(name);
                for generation in 1..=100_u64 {
                    let expected = generation.checked_sub(1).filter(|before| *before > 0);
                    let new = record(generation, name);
                    assert_eq!(swap(&store, &key, expected, new), Stored::Swapped);
                }
            });
        }
    });
    let mut all = place.store.list(RecordKind::Grant).unwrap();
    all.sort_by(|one, other| one.0.cmp(&other.0));
    let expected = ["one", "three", "two"].map(|name| (named(name), record(100, name)));
    assert_eq!(all, expected);
}

/// One at a time and all at once, whatever lies under a record's name hides no other record.
#[cfg(unix)]
#[test]
fn an_odd_file_under_a_record_s_name_hides_no_other_host_329() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    type Lay = fn(&Path);
    let odd: [(&str, Kind, Lay); 7] = [
        ("folder", Kind::StoreKind, |at| fs::create_dir(at).unwrap()),
        ("link", Kind::StoreSymlink, |at| symlink("elsewhere", at).unwrap()),
        ("fifo", Kind::StoreKind, |at| {
            let made = std::process::Command::new("mkfifo").arg(at).status().unwrap();
            assert!(made.success());
        }),
        ("socket", Kind::StoreKind, |at| {
            drop(std::os::unix::net::UnixListener::bind(at).unwrap());
        }),
        ("mode", Kind::StorePermissions, |at| {
            fs::write(at, "open to all").unwrap();
            fs::set_permissions(at, PermissionsExt::from_mode(0o666)).unwrap();
        }),
        ("large", Kind::StoreTooLarge, |at| {
            fs::File::create(at).unwrap().set_len(8 << 20).unwrap();
            fs::set_permissions(at, PermissionsExt::from_mode(0o600)).unwrap();
        }),
        ("damaged", Kind::StoreCorrupt, |at| {
            fs::write(at, "damaged").unwrap();
            fs::set_permissions(at, PermissionsExt::from_mode(0o600)).unwrap();
        }),
    ];
    let all = Place::new();
    for (name, kind, lay) in odd {
        for place in [&Place::new(), &all] {
            let good = [named("a"), named("b")];
            for key in &good {
                let _there_already = swap(&place.store, key, None, record(1, "x"));
            }
            // A socket's path has room for no more than 108 bytes.
            std::env::set_current_dir(place.folder.path()).unwrap();
            let file = names::stem(&named(name));
            lay(Path::new(&file));
            let mut listed = place.store.list(RecordKind::Grant).unwrap();
            listed.sort_by(|one, other| one.0.cmp(&other.0));
            assert_eq!(listed, good.map(|key| (key, record(1, "x"))), "{name}");
            let told = place.store.unreadable(RecordKind::Grant).unwrap();
            let this = told.iter().find(|error| error.path().ends_with(&file)).expect(name);
            assert_eq!(this.kind(), kind, "{name}");
        }
    }
    assert_eq!(all.store.unreadable(RecordKind::Grant).unwrap().len(), odd.len());
    assert!(all.store.unreadable(RecordKind::Client).unwrap().is_empty());
}

#[test]
fn every_record_of_a_kind_is_listed_and_unreadable_ones_are_left_out() {
    let place = Place::new();
    let client = Key { kind: RecordKind::Client, ..named("c") };
    for key in [&named("a"), &named("b"), &client] {
        assert_eq!(swap(&place.store, key, None, record(1, &key.name)), Stored::Swapped);
    }
    assert_eq!(place.store.list(RecordKind::Client), Ok(vec![(client, record(1, "c"))]));
    assert_eq!(place.store.list(RecordKind::Binding), Ok(Vec::new()));
    fs::write(place.folder.path().join(names::stem(&named("a"))), "damaged").unwrap();
    let copied = names::stem(&named("b"));
    let copy = place.folder.path().join(names::stem(&named("z")));
    fs::copy(place.folder.path().join(copied), copy).unwrap();
    assert_eq!(place.store.list(RecordKind::Grant), Ok(vec![(named("b"), record(1, "b"))]));
}

#[test]
fn a_damaged_file_is_kept_aside_and_reported_once_host_269() {
    for content in ["", "not ours", "{}", r#"{"version":1}"#, "mcp-authz record 1"] {
        let place = Place::new();
        fs::write(place.file(), content).unwrap();
        assert_eq!(place.load(), Stored::Failed(Kind::StoreCorrupt));
        assert_eq!(place.load(), Stored::Loaded(None));
        assert_eq!(place.swap(None, 1, "new"), Stored::Swapped);
        let aside = place.beside("damaged-");
        assert_eq!(aside.len(), 1);
        assert_eq!(fs::read_to_string(&aside[0]).unwrap(), content);
        assert_eq!(place.load(), loaded(1, "new"));
    }
}

#[test]
fn a_save_does_not_take_a_damaged_file_for_none_host_269() {
    let place = Place::new();
    fs::write(place.file(), "damaged").unwrap();
    assert_eq!(place.swap(None, 1, "new"), Stored::Failed(Kind::StoreCorrupt));
    assert_eq!(fs::read_to_string(&place.beside("damaged-")[0]).unwrap(), "damaged");
    assert_eq!(place.swap(None, 1, "new"), Stored::Swapped);
}

#[test]
fn a_few_damaged_files_are_kept_host_269() {
    let place = Place::new();
    for round in 0..DAMAGED + 3 {
        fs::write(place.file(), round.to_string()).unwrap();
        let written = SystemTime::UNIX_EPOCH + Duration::from_secs(round as u64);
        let file = OpenOptions::new().write(true).open(place.file()).unwrap();
        file.set_modified(written).unwrap();
        assert_eq!(place.load(), Stored::Failed(Kind::StoreCorrupt));
    }
    let aside = place.beside("damaged-");
    let mut kept: Vec<_> = aside.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    kept.sort();
    assert_eq!(kept, ["3", "4", "5", "6"]);
}

#[test]
fn a_file_of_a_newer_version_is_not_touched_host_272() {
    let place = Place::new();
    let newer = document::with_version("999", b"whatever it is");
    fs::write(place.file(), &newer).unwrap();
    let written = fs::metadata(place.file()).unwrap().modified().unwrap();
    place.refuses(Kind::StoreVersion);
    assert_eq!(fs::read(place.file()).unwrap(), newer);
    assert_eq!(fs::metadata(place.file()).unwrap().modified().unwrap(), written);
}

#[test]
fn a_file_of_another_record_is_damage_of_this_one_only_host_287() {
    let place = Place::new();
    let other = named("other");
    assert_eq!(swap(&place.store, &other, None, record(1, "other")), Stored::Swapped);
    fs::copy(place.folder.path().join(names::stem(&other)), place.file()).unwrap();
    assert_eq!(place.load(), Stored::Failed(Kind::StoreCorrupt));
    let load = StoreRequest::Load { key: other };
    assert_eq!(place.store.perform(load), loaded(1, "other"));
}

#[test]
fn a_large_file_is_not_read_and_a_large_record_not_written_host_279() {
    let place = Place::new();
    assert_eq!(place.swap(None, 1, "old"), Stored::Swapped);
    let large = Bytes(vec![b'x'; 4 * 1024 * 1024]);
    let large = Record { generation: 2, bytes: large };
    let answer = swap(&place.store, &key(), Some(1), large);
    assert_eq!(answer, Stored::Failed(Kind::StoreTooLarge));
    assert_eq!(place.load(), loaded(1, "old"));

    let file = OpenOptions::new().write(true).open(place.file()).unwrap();
    file.set_len(1 << 40).unwrap();
    // It would take hours, and more memory than there is.
    place.refuses(Kind::StoreTooLarge);
}

#[test]
fn the_largest_record_comes_back() {
    let place = Place::new();
    let room = MOST - document::write(&key(), &record(1, "")).0.len() as u64;
    let new = Record { generation: 1, bytes: Bytes(vec![0xff; room as usize]) };
    assert_eq!(swap(&place.store, &key(), None, new.clone()), Stored::Swapped);
    assert_eq!(place.load(), Stored::Loaded(Some(new)));
}

#[test]
fn distinct_keys_are_distinct_records_of_the_one_folder_host_286() {
    let outer = tempfile::tempdir().unwrap();
    let store = FileStore::open(outer.path().join("inner")).unwrap();
    let long = "k".repeat(10 * 1024);
    let names = ["a", "A", "a/b", "../a", "..", "a\0", "\u{e9}", "e\u{301}", "", "/etc/x", &long];
    for name in names {
        assert_eq!(swap(&store, &named(name), None, record(1, name)), Stored::Swapped);
    }
    for name in names {
        let load = StoreRequest::Load { key: named(name) };
        assert_eq!(store.perform(load), loaded(1, name), "{name:?}");
    }
    let mut listed: Vec<_> = store.list(RecordKind::Grant).unwrap();
    listed.sort_by(|one, other| one.0.cmp(&other.0));
    let mut expected = names.map(|name| (named(name), record(1, name)));
    expected.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(listed, expected);
    assert_eq!(fs::read_dir(outer.path()).unwrap().count(), 1);
    let inner = fs::read_dir(outer.path().join("inner")).unwrap();
    assert!(inner.into_iter().all(|entry| entry.unwrap().file_type().unwrap().is_file()));
}

#[test]
fn an_older_copy_put_back_is_a_conflict_host_291() {
    let place = Place::new();
    assert_eq!(place.swap(None, 1, "one"), Stored::Swapped);
    let copy = fs::read(place.file()).unwrap();
    assert_eq!(place.swap(Some(1), 2, "two"), Stored::Swapped);
    fs::write(place.file(), copy).unwrap();
    assert_eq!(place.swap(Some(2), 3, "three"), Stored::Conflict(Some(record(1, "one"))));
    assert_eq!(place.swap(Some(1), 3, "three"), Stored::Swapped);
}

#[test]
fn a_swap_behind_a_stopped_one_gives_up_and_steals_nothing_host_238() {
    let mut place = Place::new();
    assert_eq!(place.swap(None, 1, "old"), Stored::Swapped);
    let other = FileStore::open(place.folder.path()).unwrap();
    let stopped = other.alone(&names::stem(&key())).unwrap();
    place.store.patience = Duration::from_millis(50);
    assert_eq!(place.swap(Some(1), 2, "new"), Stored::Failed(Kind::StoreLocked));
    assert_eq!(place.load(), loaded(1, "old"));
    drop(stopped);
    assert_eq!(place.swap(Some(1), 2, "new"), Stored::Swapped);
}

#[test]
fn a_swap_whose_lock_file_was_put_in_another_place_is_given_up_host_240() {
    let place = Place::new();
    let name = names::stem(&key());
    assert_eq!(place.swap(None, 1, "old"), Stored::Swapped);
    let alone = place.store.alone(&name).unwrap();
    fs::remove_file(place.folder.path().join(&alone.name)).unwrap();
    let other = FileStore::open(place.folder.path()).unwrap();
    assert_eq!(swap(&other, &key(), Some(1), record(2, "other")), Stored::Swapped);
    let content = document::write(&key(), &record(2, "mine"));
    let error = place.store.replace(&name, &content, &alone).unwrap_err();
    assert_eq!(error.kind(), Kind::StoreLocked);
    assert_eq!(place.load(), loaded(2, "other"));
    assert_eq!(place.beside("new-"), Vec::<PathBuf>::new());
}

#[test]
fn who_comes_after_the_generation_without_a_lease_spends_nothing_host_240() {
    let place = Place::new();
    let other = FileStore::open(place.folder.path()).unwrap();
    let (me, you) = (Holder(1), Holder(2));
    let intend = |store: &FileStore, holder, generation| {
        let spend = Spend::Refresh { generation, attempt: 0 };
        store.perform(StoreRequest::Intend { key: key(), spend, holder })
    };
    assert_eq!(place.swap(None, 1, "one"), Stored::Swapped);
    assert_eq!(intend(&place.store, me, 1), Stored::Intended);
    assert_eq!(place.swap(Some(1), 2, "two"), Stored::Swapped);
    for _ in 0..2 {
        let stands = Stored::Standing { made_by_the_living: true };
        assert_eq!(intend(&other, you, 1), stands);
    }
    assert_eq!(intend(&other, you, 2), Stored::Intended);
}

#[test]
fn a_save_does_not_ask_for_the_lease_host_241() {
    let place = Place::new();
    assert_eq!(place.swap(None, 1, "one"), Stored::Swapped);
    let lease = |holder| place.store.perform(StoreRequest::Lease { key: key(), holder });
    assert_eq!(lease(Holder(1)), Stored::Leased);
    let lost = place.folder.path().join(format!("{}.lease", names::stem(&key())));
    fs::remove_file(lost).unwrap();
    let other = FileStore::open(place.folder.path()).unwrap();
    let stolen = StoreRequest::Lease { key: key(), holder: Holder(2) };
    assert_eq!(other.perform(stolen), Stored::Leased);
    assert_eq!(place.swap(Some(1), 2, "two"), Stored::Swapped);
}

#[test]
fn what_a_killed_save_left_is_swept_by_the_next_host_281() {
    let place = Place::new();
    let left = place.folder.path().join(format!("{}.new-0123", names::stem(&key())));
    fs::write(left, "half a rec").unwrap();
    let of_another = place.folder.path().join(format!("{}.new-0", names::stem(&named("o"))));
    fs::write(&of_another, "").unwrap();
    assert_eq!(place.swap(None, 1, "new"), Stored::Swapped);
    assert_eq!(place.beside("new-"), Vec::<PathBuf>::new());
    assert!(of_another.exists());
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{PermissionsExt, chown, symlink};
    use std::os::unix::net::UnixListener;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn files_are_for_their_owner_alone_host_274_ref_12() {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("a/b");
        let store = FileStore::open(&folder).unwrap();
        assert_eq!(swap(&store, &key(), None, record(1, "x")), Stored::Swapped);
        assert_eq!((mode(&folder), mode(&outer.path().join("a"))), (0o700, 0o700));
        for entry in fs::read_dir(&folder).unwrap() {
            assert_eq!(mode(&entry.unwrap().path()), 0o600);
        }
    }

    #[test]
    fn what_others_can_read_is_taken_from_them_host_274() {
        let place = Place::new();
        assert_eq!(place.swap(None, 1, "x"), Stored::Swapped);
        for open in [0o644, 0o640, 0o604, 0o755] {
            set_mode(&place.file(), open);
            assert_eq!(place.load(), loaded(1, "x"));
            assert_eq!(mode(&place.file()), 0o600, "{open:o}");
        }
    }

    #[test]
    fn what_others_can_write_is_not_believed_host_274() {
        let place = Place::new();
        assert_eq!(place.swap(None, 1, "x"), Stored::Swapped);
        for open in [0o666, 0o620, 0o602] {
            set_mode(&place.file(), open);
            place.refuses(Kind::StorePermissions);
            assert_eq!(mode(&place.file()), open);
        }
        set_mode(&place.file(), 0o600);
        assert_eq!(place.load(), loaded(1, "x"));
        set_mode(place.folder.path(), 0o777);
        let error = FileStore::open(place.folder.path()).unwrap_err();
        assert_eq!(error.kind(), Kind::StorePermissions);
    }

    #[test]
    fn what_another_owns_is_not_believed_host_274() {
        let place = Place::new();
        assert_eq!(place.swap(None, 1, "x"), Stored::Swapped);
        if rustix::process::geteuid().is_root() {
            chown(place.file(), Some(65534), None).unwrap();
            place.refuses(Kind::StorePermissions);
            chown(place.folder.path(), Some(65534), None).unwrap();
            let error = FileStore::open(place.folder.path()).unwrap_err();
            assert_eq!(error.kind(), Kind::StorePermissions);
        } else {
            let error = FileStore::open("/").unwrap_err();
            assert_eq!(error.kind(), Kind::StorePermissions);
        }
    }

    #[test]
    fn a_link_is_not_followed_host_275() {
        let place = Place::new();
        assert_eq!(place.swap(None, 1, "mine"), Stored::Swapped);
        let target = place.folder.path().join("target");
        fs::rename(place.file(), &target).unwrap();
        let before = fs::read(&target).unwrap();
        symlink(&target, place.file()).unwrap();
        place.refuses(Kind::StoreSymlink);
        assert!(place.file().is_symlink());
        assert_eq!(fs::read(&target).unwrap(), before);
        // A target that can be neither read nor written.
        fs::remove_file(place.file()).unwrap();
        symlink("/nowhere/at/all", place.file()).unwrap();
        place.refuses(Kind::StoreSymlink);
    }

    #[test]
    fn a_link_of_a_new_files_name_is_not_followed_host_276() {
        let place = Place::new();
        let target = place.folder.path().join("target");
        fs::write(&target, "precious").unwrap();
        let name = new_name(&names::stem(&key())).unwrap();
        assert_ne!(name, new_name(&names::stem(&key())).unwrap());
        symlink(&target, place.folder.path().join(&name)).unwrap();
        let content = document::write(&key(), &record(1, "x"));
        assert!(place.store.write(&name, &content).is_err());
        assert_eq!(place.swap(None, 1, "x"), Stored::Swapped);
        assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
        assert_eq!(place.beside("new-"), Vec::<PathBuf>::new());
    }

    #[test]
    fn a_folder_replaced_by_a_link_changes_nothing_host_277() {
        let outer = tempfile::tempdir().unwrap();
        let [folder, moved, elsewhere] =
            ["folder", "moved", "elsewhere"].map(|name| outer.path().join(name));
        fs::create_dir(&elsewhere).unwrap();
        let store = FileStore::open(&folder).unwrap();
        assert_eq!(swap(&store, &key(), None, record(1, "one")), Stored::Swapped);
        // The save has its lock and is about to write.
        let name = names::stem(&key());
        let alone = store.alone(&name).unwrap();
        fs::rename(&folder, &moved).unwrap();
        symlink(&elsewhere, &folder).unwrap();
        let two = document::write(&key(), &record(2, "two"));
        store.replace(&name, &two, &alone).unwrap();
        drop(alone);
        assert_eq!(swap(&store, &key(), Some(2), record(3, "three")), Stored::Swapped);
        assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
        let moved = FileStore::open(&moved).unwrap();
        assert_eq!(moved.perform(StoreRequest::Load { key: key() }), loaded(3, "three"));
        assert_eq!(FileStore::open(&folder).unwrap_err().kind(), Kind::StoreSymlink);
    }

    #[test]
    fn what_is_no_plain_file_is_not_waited_for_host_278() {
        let place = Place::new();
        let file = place.file();
        let fifo = |kind, device| {
            let made = mknodat(CWD, &file, kind, Mode::RUSR | Mode::WUSR, device);
            made.unwrap();
        };
        let (done, over) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(|| {
                fs::create_dir(&file).unwrap();
                place.refuses(Kind::StoreKind);
                fs::remove_dir(&file).unwrap();

                fifo(FileType::Fifo, 0);
                place.refuses(Kind::StoreKind);
                fs::remove_file(&file).unwrap();

                // A name of 108 bytes at most; the record's own may be longer.
                let socket = UnixListener::bind(place.folder.path().join("s")).unwrap();
                fs::rename(place.folder.path().join("s"), &file).unwrap();
                place.refuses(Kind::StoreKind);
                drop(socket);
                fs::remove_file(&file).unwrap();

                if rustix::process::geteuid().is_root() {
                    // The terminal of whoever runs this, and the null device.
                    for device in [(5, 0), (1, 3)] {
                        fifo(FileType::CharacterDevice, rustix::fs::makedev(device.0, device.1));
                        let answer = place.load();
                        assert!(
                            matches!(
                                answer,
                                Stored::Failed(Kind::StoreKind | Kind::StoreUnavailable)
                            ),
                            "{answer:?}"
                        );
                        fs::remove_file(&file).unwrap();
                    }
                }
                done.send(()).unwrap();
            });
            over.recv_timeout(FOR_EVER).unwrap();
        });
    }
}
