//! A power cut at any moment of a save, from the order of its system calls.
//!
//! The content of a disk afterwards is not what the processes saw. Of a file whose content was not
//! made durable, any part may be there, or nothing, or zeros. Of the names that were made, changed
//! and removed since the folder was last made durable, any may have reached the disk and any not.
//! So from the trace of a save all folders are built that can be left, and each is opened.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use mcp_authz_core::effect::{StoreRequest, Stored};
use mcp_authz_driver::ports::Store;
use mcp_authz_host::store::FileStore;

use crate::child::{NEW, OLD, Work, key, record, swap};
use crate::trace;

/// The effect of a call on the disk. Files are numbered as they were made.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// A new file has this name.
    Create { name: String, file: usize },
    /// Bytes at the end of a file.
    Write { file: usize, bytes: Vec<u8> },
    /// A file's content is durable.
    SyncFile { file: usize },
    /// A file has another name.
    Rename { from: String, to: String, file: usize },
    /// A name is gone.
    Remove { name: String },
    /// All names are durable.
    SyncFolder,
}

use Step::{Create, Remove, Rename, SyncFile, SyncFolder, Write};

impl Step {
    fn is_of_names(&self) -> bool {
        matches!(self, Create { .. } | Rename { .. } | Remove { .. })
    }
}

/// Names, and what is under them.
type Folder = BTreeMap<String, Vec<u8>>;

/// Reads the calls that change a disk.
fn steps(calls: &[String]) -> Vec<Step> {
    let mut reader = Reader::default();
    calls.iter().filter_map(|call| reader.read(call)).collect()
}

#[derive(Default)]
struct Reader {
    /// The file that each descriptor stands for: one made in this trace, or something else.
    open: BTreeMap<String, Option<usize>>,
    /// The files of names made in this trace.
    names: BTreeMap<String, usize>,
    files: usize,
}

impl Reader {
    fn read(&mut self, call: &str) -> Option<Step> {
        let (head, result) = call.rsplit_once(" = ").expect("a call has a result");
        let (name, arguments) = head.split_once('(').expect("a call has arguments");
        let mut strings = arguments.split('"').skip(1).step_by(2).map(str::to_owned);
        let first = arguments.split([',', ')']).next().unwrap_or_default();
        if result.starts_with('-') {
            return None;
        }
        match name {
            "openat" => {
                let made = arguments.contains("O_EXCL").then_some(self.files);
                self.open.insert(result.to_owned(), made);
                let file = made?;
                self.files += 1;
                let name = strings.next()?;
                self.names.insert(name.clone(), file);
                Some(Create { name, file })
            }
            "write" => {
                let file = self.open[first].expect("only new files are written");
                let shown = arguments.split_once('"').unwrap().1.rsplit_once('"').unwrap().0;
                let bytes = plain(shown);
                assert_eq!(bytes.len().to_string(), result, "{call}");
                Some(Write { file, bytes })
            }
            "fsync" => Some(self.open[first].map_or(SyncFolder, |file| SyncFile { file })),
            "rename" | "renameat" | "renameat2" => {
                let (from, to) = (strings.next()?, strings.next()?);
                let file = self.names.remove(&from).expect("only new files are renamed");
                self.names.insert(to.clone(), file);
                Some(Rename { from, to, file })
            }
            "unlinkat" => Some(Remove { name: strings.next()? }),
            "ftruncate" | "pwrite64" | "writev" | "linkat" | "fdatasync" => {
                panic!("a call that is not known here: {call}")
            }
            _ => None,
        }
    }
}

/// The bytes behind the text that `strace` shows; those of this test are text.
fn plain(shown: &str) -> Vec<u8> {
    shown.replace("\\n", "\n").replace("\\\"", "\"").into_bytes()
}

/// Every folder that a power cut after these steps can leave.
fn left_by(before: &Folder, steps: &[Step]) -> BTreeSet<Folder> {
    let durable = steps.iter().rposition(|step| *step == SyncFolder).unwrap_or(0);
    let lost_or_kept: Vec<usize> =
        (durable..steps.len()).filter(|place| steps[*place].is_of_names()).collect();
    let mut folders = BTreeSet::new();
    for kept in 0..1_u32 << lost_or_kept.len() {
        let is_lost = |place: &usize| {
            let bit = lost_or_kept.iter().position(|other| other == place);
            bit.is_some_and(|bit| kept & (1 << bit) == 0)
        };
        let reached = (0..steps.len()).filter(|place| !is_lost(place)).map(|place| &steps[place]);
        folders.extend(with_contents(before, &files_of_names(reached), steps));
    }
    folders
}

/// The file of each name that was touched; none if it is gone.
fn files_of_names<'a>(steps: impl Iterator<Item = &'a Step>) -> BTreeMap<&'a str, Option<usize>> {
    let mut names = BTreeMap::new();
    for step in steps {
        match step {
            Create { name, file } => {
                names.insert(name.as_str(), Some(*file));
            }
            Rename { from, to, file } => {
                names.insert(from, None);
                names.insert(to, Some(*file));
            }
            Remove { name } => {
                names.insert(name, None);
            }
            Write { .. } | SyncFile { .. } | SyncFolder => {}
        }
    }
    names
}

/// The folders of these names, with everything their files can hold.
fn with_contents(
    before: &Folder,
    names: &BTreeMap<&str, Option<usize>>,
    steps: &[Step],
) -> Vec<Folder> {
    let mut folders = vec![before.clone()];
    for (name, file) in names {
        let Some(file) = file else {
            folders.iter_mut().for_each(|folder| drop(folder.remove(*name)));
            continue;
        };
        let contents = contents(*file, steps);
        let mut with = Vec::new();
        for folder in &folders {
            for content in &contents {
                let mut folder = folder.clone();
                folder.insert((*name).to_owned(), content.clone());
                with.push(folder);
            }
        }
        folders = with;
    }
    folders
}

/// Everything that a file can hold: what was durable, and any part of what came after, or zeros.
fn contents(file: usize, steps: &[Step]) -> Vec<Vec<u8>> {
    let mut durable = Vec::new();
    let mut written = Vec::new();
    for step in steps {
        match step {
            Write { file: of, bytes } if *of == file => written.extend_from_slice(bytes),
            SyncFile { file: of } if *of == file => durable.clone_from(&written),
            _ => {}
        }
    }
    let torn = (durable.len()..=written.len()).map(|length| written[..length].to_vec());
    let mut zeros = written.clone();
    zeros[durable.len()..].fill(0);
    torn.chain([zeros]).collect()
}

/// A folder with the old record in it, or none, and what the files are.
fn place(old: bool) -> (tempfile::TempDir, Folder) {
    let folder = tempfile::tempdir().unwrap();
    let store = FileStore::open(folder.path()).unwrap();
    if old {
        assert_eq!(store.perform(swap(None, OLD)), Stored::Swapped);
    }
    let files = files(folder.path());
    (folder, files)
}

fn files(folder: &Path) -> Folder {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let read = |entry: fs::DirEntry| {
        (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())
    };
    entries.map(read).collect()
}

/// The answer to a load from a folder as it was left.
fn loaded(folder: &Folder) -> Stored {
    let place = tempfile::tempdir().unwrap();
    for (name, content) in folder {
        let file = place.path().join(name);
        fs::write(&file, content).unwrap();
    }
    let store = FileStore::open(place.path()).unwrap();
    store.perform(StoreRequest::Load { key: key() })
}

/// The answers to a load after a power cut at each moment of a save, and at its end.
fn outcomes(before: &Folder, steps: &[Step]) -> (Vec<Stored>, Vec<Stored>) {
    // A record is in one file; what else is there does not matter to it.
    let record = names_of_record(before, steps);
    let only = |folder: Folder| -> Folder {
        folder.into_iter().filter(|(name, _)| *name == record).collect()
    };
    let left = |steps: &[Step]| -> BTreeSet<Folder> {
        left_by(before, steps).into_iter().map(only).collect()
    };
    let ever: BTreeSet<Folder> = (0..=steps.len()).flat_map(|cut| left(&steps[..cut])).collect();
    let end = left(steps);
    (ever.iter().map(loaded).collect(), end.iter().map(loaded).collect())
}

fn names_of_record(before: &Folder, steps: &[Step]) -> String {
    let made = steps.iter().find_map(|step| match step {
        Rename { to, .. } => Some(to.clone()),
        _ => None,
    });
    made.or_else(|| before.keys().next().cloned()).unwrap()
}

fn traced(work: Work, folder: &Path) -> Vec<Step> {
    steps(trace::run(work, folder, &[]).work())
}

#[test]
fn a_power_cut_leaves_the_old_or_the_new_record_host_284() {
    let (folder, before) = place(true);
    // The file that a killed save left is removed on the way.
    let name = before.keys().find(|name| !name.contains('.')).unwrap();
    fs::write(folder.path().join(format!("{name}.new-0")), "half").unwrap();
    let before = files(folder.path());
    let steps = traced(Work::Save, folder.path());
    let (ever, end) = outcomes(&before, &steps);
    let (old, new) = (Stored::Loaded(Some(record(OLD))), Stored::Loaded(Some(record(NEW))));
    assert!(ever.iter().all(|found| [&old, &new].contains(&found)), "{ever:?}");
    assert!(ever.contains(&old) && ever.contains(&new), "{ever:?}");
    assert_eq!(end, [new], "what was answered is durable");
}

#[test]
fn a_power_cut_in_a_first_save_leaves_the_new_record_or_none_host_284() {
    let outer = tempfile::tempdir().unwrap();
    let steps = traced(Work::SaveFirst, &outer.path().join("store"));
    let (ever, end) = outcomes(&Folder::new(), &steps);
    let (none, new) = (Stored::Loaded(None), Stored::Loaded(Some(record(NEW))));
    assert!(ever.iter().all(|found| [&none, &new].contains(&found)), "{ever:?}");
    assert!(ever.contains(&none) && ever.contains(&new), "{ever:?}");
    assert_eq!(end, [new], "what was answered is durable");
}

/// A record is not safe in a folder whose own name is lost.
#[test]
fn new_folders_are_durable_before_anything_is_in_them_host_284() {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("one/two");
    let run = trace::run(Work::SaveFirst, &folder, &[]);
    assert_eq!(run.said.as_deref(), Some("Swapped"));
    let calls = run.work();
    let place = |from: usize, is: &dyn Fn(&str) -> bool| {
        from + calls[from..].iter().position(|call| is(call)).expect("such a call")
    };
    let first_file = place(0, &|call| call.contains("O_CREAT"));
    for made in [outer.path().join("one"), folder.clone()] {
        let (above, made) = (made.parent().unwrap(), format!("\"{}\", 0700) = 0", made.display()));
        let mkdir = place(0, &|call| call.starts_with("mkdir") && call.contains(&made));
        let above = format!("\"{}\"", above.display());
        let open = place(mkdir, &|call| call.starts_with("openat") && call.contains(&above));
        let handle = calls[open].rsplit_once(" = ").unwrap().1;
        let sync = place(open, &|call| call.starts_with(&format!("fsync({handle}) ")));
        assert!(calls[sync].ends_with("= 0") && sync < first_file, "{calls:#?}");
    }
}

/// The tests above would say so.
#[test]
fn a_save_without_one_of_its_syncs_would_be_lost_host_284() {
    let (folder, before) = place(true);
    let steps = traced(Work::Save, folder.path());
    let without = |which: fn(&Step) -> bool| -> Vec<Step> {
        let kept: Vec<_> = steps.iter().filter(|step| !which(step)).cloned().collect();
        assert_eq!(kept.len() + 1, steps.len(), "{steps:?}");
        kept
    };
    let (old, new) = (Stored::Loaded(Some(record(OLD))), Stored::Loaded(Some(record(NEW))));
    let (ever, _) = outcomes(&before, &without(|step| matches!(step, SyncFile { .. })));
    assert!(ever.iter().any(|found| ![&old, &new].contains(&found)), "{ever:?}");
    let (ever, end) = outcomes(&before, &without(|step| *step == SyncFolder));
    assert!(ever.iter().all(|found| [&old, &new].contains(&found)), "{ever:?}");
    assert!(end.contains(&old), "{end:?}");
}

#[test]
fn an_answered_intent_outlives_a_power_cut_host_284() {
    let (folder, before) = place(true);
    let steps = traced(Work::Intend, folder.path());
    let folders = left_by(&before, &steps);
    assert!(!folders.is_empty());
    for folder in folders {
        let stands = folder.keys().any(|name| name.ends_with(".spend-refresh-2-0"));
        assert!(stands, "{:?}", folder.keys());
    }
}
