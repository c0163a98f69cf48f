//! Two values of one folder stand for two processes: locks belong to descriptions of open files.

use std::fs::{self, OpenOptions};
use std::process::{Command, Stdio};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, SystemTime};

use mcp_authz_core::effect::RecordKind;
use tempfile::TempDir;

use super::*;

const ME: Holder = Holder(1);
const YOU: Holder = Holder(2);

fn key() -> Key {
    Key { kind: RecordKind::Grant, name: r#"["https://as.example"]"#.to_owned() }
}

fn refresh(generation: u64) -> Spend {
    Spend::Refresh { generation, attempt: 0 }
}

fn code(login: usize) -> Spend {
    Spend::Code { login: format!("{login:032x}") }
}

fn standing(made_by_the_living: bool) -> Stored {
    Stored::Standing { made_by_the_living }
}

struct Two {
    folder: TempDir,
    here: Marks,
    there: Marks,
}

impl Two {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let open = || Marks::open(folder.path()).unwrap();
        Self { here: open(), there: open(), folder }
    }

    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    fn count(&self, part: &str) -> usize {
        self.files().iter().filter(|name| name.contains(part)).count()
    }
}

#[test]
fn a_lease_has_one_holder_until_it_is_given_back() {
    let two = Two::new();
    assert_eq!(two.here.lease(&key(), ME), Stored::Leased);
    assert_eq!(two.here.lease(&key(), ME), Stored::Leased);
    assert_eq!(two.here.lease(&key(), YOU), Stored::Busy);
    assert_eq!(two.there.lease(&key(), YOU), Stored::Busy);
    assert_eq!(two.here.release(&key(), YOU, None), Stored::Released);
    assert_eq!(two.there.lease(&key(), YOU), Stored::Busy);
    assert_eq!(two.here.release(&key(), ME, None), Stored::Released);
    assert_eq!(two.there.lease(&key(), YOU), Stored::Leased);
    let other = Key { name: "other".to_owned(), ..key() };
    assert_eq!(two.here.lease(&other, ME), Stored::Leased);
}

#[test]
fn who_leaves_keeps_no_lease_and_no_intent_looks_alive() {
    let two = Two::new();
    assert_eq!(two.here.lease(&key(), ME), Stored::Leased);
    assert_eq!(two.here.intend(&key(), &refresh(1), ME), Stored::Intended);
    assert_eq!(two.here.leave(YOU), Stored::Released);
    assert_eq!(two.there.lease(&key(), YOU), Stored::Busy);
    assert_eq!(two.there.intend(&key(), &refresh(1), YOU), standing(true));
    assert_eq!(two.here.leave(ME), Stored::Released);
    assert_eq!(two.there.lease(&key(), YOU), Stored::Leased);
    assert_eq!(two.there.intend(&key(), &refresh(1), YOU), standing(false));
}

#[test]
fn an_intent_outlives_its_maker_and_is_withdrawn_only_by_it() {
    let Two { folder, here, there } = Two::new();
    assert_eq!(here.intend(&key(), &refresh(1), ME), Stored::Intended);
    assert_eq!(here.intend(&key(), &refresh(1), ME), standing(true));
    assert_eq!(here.release(&key(), YOU, Some(&refresh(1))), Stored::Released);
    assert_eq!(there.release(&key(), ME, Some(&refresh(1))), Stored::Released);
    assert_eq!(there.intend(&key(), &refresh(1), YOU), standing(true));
    assert_eq!(here.release(&key(), ME, Some(&refresh(1))), Stored::Released);
    assert_eq!(there.intend(&key(), &refresh(1), YOU), Stored::Intended);
    drop(there);
    assert_eq!(here.intend(&key(), &refresh(1), ME), standing(false));
    drop(here);
    let later = Marks::open(folder.path()).unwrap();
    assert_eq!(later.intend(&key(), &refresh(1), ME), standing(false));
}

#[test]
fn of_many_one_makes_the_intent_and_the_others_see_it_alive() {
    const MANY: usize = 8;
    for round in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        let marks: Vec<_> = (0..MANY).map(|_| Marks::open(folder.path()).unwrap()).collect();
        let start = Barrier::new(MANY);
        let intend = |marks: &Marks| {
            start.wait();
            marks.intend(&key(), &refresh(round), ME)
        };
        let answers: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = marks.iter().map(|marks| scope.spawn(|| intend(marks))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let made = answers.iter().filter(|answer| **answer == Stored::Intended).count();
        let seen = answers.iter().filter(|answer| **answer == standing(true)).count();
        assert_eq!((made, seen), (1, MANY - 1), "{answers:?}");
    }
}

#[test]
fn a_lease_file_made_again_or_dated_ahead_admits_nobody_twice_host_240() {
    let two = Two::new();
    assert_eq!(two.here.lease(&key(), ME), Stored::Leased);
    let lease = two.folder.path().join(lease_name(&key()));
    let ahead = SystemTime::now() + Duration::from_secs(4 * 60 * 60);
    OpenOptions::new().write(true).open(&lease).unwrap().set_modified(ahead).unwrap();
    assert_eq!(two.there.lease(&key(), YOU), Stored::Busy);

    fs::remove_file(&lease).unwrap();
    assert_eq!(two.there.lease(&key(), YOU), Stored::Leased);
    assert_eq!(two.here.intend(&key(), &refresh(1), ME), Stored::Intended);
    assert_eq!(two.there.intend(&key(), &refresh(1), YOU), standing(true));
}

#[test]
fn a_swap_ends_the_intents_of_older_generations_only() {
    let two = Two::new();
    for generation in [1, 2, 3, 10] {
        assert_eq!(two.here.intend(&key(), &refresh(generation), ME), Stored::Intended);
    }
    let other = Key { name: "other".to_owned(), ..key() };
    assert_eq!(two.here.intend(&other, &refresh(1), ME), Stored::Intended);
    assert_eq!(two.here.intend(&key(), &code(1), ME), Stored::Intended);
    two.there.swapped(&key(), Some(2), 3);
    assert_eq!(two.there.intend(&key(), &refresh(3), YOU), standing(true));
    assert_eq!(two.there.intend(&key(), &refresh(10), YOU), standing(true));
    assert_eq!(two.there.intend(&key(), &code(1), YOU), standing(true));
    assert_eq!(two.there.intend(&other, &refresh(1), YOU), standing(true));
    assert_eq!(two.count("refresh-1-") + two.count("refresh-2-"), 1, "{:?}", two.files());
}

#[test]
fn sixteen_code_intents_stay_and_none_of_the_living_goes() {
    let two = Two::new();
    assert_eq!(two.here.intend(&key(), &code(0), ME), Stored::Intended);
    for login in 1..40 {
        assert_eq!(two.there.intend(&key(), &code(login), YOU), Stored::Intended);
        let file = two.folder.path().join(intent_name(&key(), &code(login)));
        let made = SystemTime::UNIX_EPOCH + Duration::from_secs(login as u64);
        OpenOptions::new().write(true).open(file).unwrap().set_modified(made).unwrap();
    }
    let first = two.folder.path().join(intent_name(&key(), &code(0)));
    let first = OpenOptions::new().write(true).open(first).unwrap();
    first.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    two.here.swapped(&key(), Some(0), 1);
    assert_eq!(two.count("spend-code-"), 40);
    two.there.leave(YOU);
    two.here.swapped(&key(), Some(0), 1);
    assert_eq!(two.count("spend-code-"), CODES + 1);
    assert_eq!(two.there.intend(&key(), &code(0), YOU), standing(true));
    for login in 40 - CODES..40 {
        assert_eq!(two.here.intend(&key(), &code(login), ME), standing(false), "{login}");
    }
}

/// No swap follows a login whose code is refused. Makers that go without a word leave sixteen and
/// the newest at most, and makers that say how it ended leave none.
#[test]
fn codes_that_lead_to_no_record_leave_no_heap_of_files_host_331() {
    let two = Two::new();
    for login in 0..100 {
        assert_eq!(two.here.intend(&key(), &code(login), ME), Stored::Intended);
        two.here.leave(ME);
    }
    assert!(two.count("spend-code-") <= CODES + 1, "{:?}", two.files());
    let before = two.count("spend-code-");
    for login in 100..200 {
        assert_eq!(two.here.intend(&key(), &code(login), ME), Stored::Intended);
        assert_eq!(two.here.release(&key(), ME, Some(&code(login))), Stored::Released);
    }
    assert!(two.count("spend-code-") <= before, "{:?}", two.files());
    assert!(two.here.kept().intents.is_empty());
}

#[test]
fn what_a_crash_left_without_a_name_is_swept() {
    let two = Two::new();
    let left = two.folder.path().join(unpublished_name(&key(), "0123"));
    fs::write(&left, "").unwrap();
    let making = two.here.take_new(&unpublished_name(&key(), "4567")).unwrap().unwrap();
    two.there.swapped(&key(), Some(1), 2);
    assert_eq!(two.count("unpublished-"), 1);
    drop(making);
    two.there.swapped(&key(), Some(1), 2);
    assert_eq!(two.count("unpublished-"), 0);
}

#[cfg(unix)]
#[test]
fn a_child_that_runs_on_does_not_keep_a_lease_host_289() {
    let two = Two::new();
    assert_eq!(two.here.lease(&key(), ME), Stored::Leased);
    assert_eq!(two.here.intend(&key(), &refresh(1), ME), Stored::Intended);
    let mut command = Command::new("sleep");
    let mut child = command.arg("60").stdout(Stdio::null()).spawn().unwrap();
    drop(two.here);
    let leased = two.there.lease(&key(), YOU);
    let stands = two.there.intend(&key(), &refresh(1), YOU);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!((leased, stands), (Stored::Leased, standing(false)));
}

#[cfg(unix)]
#[test]
fn a_link_in_the_place_of_a_mark_is_not_followed_host_275() {
    let two = Two::new();
    let target = two.folder.path().join("target");
    for name in [lease_name(&key()), intent_name(&key(), &refresh(1))] {
        std::os::unix::fs::symlink(&target, two.folder.path().join(name)).unwrap();
    }
    assert_eq!(two.here.lease(&key(), ME), Stored::Failed(Kind::StoreSymlink));
    let intended = two.here.intend(&key(), &refresh(1), ME);
    assert_eq!(intended, Stored::Failed(Kind::StoreSymlink));
    assert!(!target.exists());
}

#[cfg(unix)]
#[test]
fn a_folder_open_to_others_or_no_folder_is_refused_host_274() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("a/b");
    Marks::open(&folder).unwrap();
    for made in [&folder, &outer.path().join("a")] {
        assert_eq!(fs::metadata(made).unwrap().permissions().mode() & 0o7777, 0o700);
    }
    for mode in [0o777, 0o770, 0o702] {
        fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(Marks::open(&folder).unwrap_err().kind(), Kind::StorePermissions, "{mode:o}");
    }
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    let link = outer.path().join("link");
    symlink(&folder, &link).unwrap();
    for path in [link.clone(), link.join("."), link.join("")] {
        assert_eq!(Marks::open(&path).unwrap_err().kind(), Kind::StoreSymlink, "{path:?}");
    }
    let file = outer.path().join("file");
    fs::write(&file, "").unwrap();
    assert_eq!(Marks::open(&file).unwrap_err().kind(), Kind::StoreKind);
    assert_eq!(Marks::open(Path::new("")).unwrap_err().kind(), Kind::ConfigInvalid);
    assert_eq!(Marks::open(&file.join("below")).unwrap_err().kind(), Kind::StoreKind);
}
