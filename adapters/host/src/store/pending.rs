//! A login that waits for its person, shared by every process of the folder.
//!
//! One process leads: it holds a lock that its end gives back, whatever ends it, shows the page and
//! listens for the browser. Beside the lock it keeps a record of the session, so that whoever leads
//! next goes on with the same page in place of opening another. The record is protected as those of
//! [`FileStore`](super::FileStore) are: it is a plain file of ours that nobody else can read or
//! write, created exclusively, whole or not there, with a checksum; and it is believed for as long as
//! its login waits, and for its server and account alone.

use core::time::Duration;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::time::SystemTime;

use mcp_authz_core::effect::Bytes;
use mcp_authz_core::failure::Kind;
use sha2::{Digest, Sha256};

use crate::store::document::{self, line};
use crate::store::error::StoreError;
use crate::store::folder::Folder;
use crate::store::lock::Held;
use crate::store::names;

const MAGIC: &str = "mcp-authz login ";
/// The largest record that is written or read.
const MOST: u64 = 1024 * 1024;
/// No login waits longer, so that a record that says so is not believed.
const LONGEST: Duration = Duration::from_secs(3600);

/// The place of one login: that of a server and an account, in a folder.
#[derive(Debug)]
pub struct PendingLogin {
    folder: Folder,
    stem: String,
    key: String,
}

/// The one process that leads a login, until this is dropped.
#[derive(Debug)]
pub struct Leader<'a> {
    of: &'a PendingLogin,
    _lock: Held,
}

impl PendingLogin {
    /// Opens the folder, and makes it if it is not there, for its owner alone.
    ///
    /// # Errors
    /// As [`FileStore::open`](super::FileStore::open).
    pub fn open(
        folder: impl AsRef<Path>,
        mcp_url: &str,
        account: Option<&str>,
    ) -> Result<Self, StoreError> {
        let folder = Folder::open(folder.as_ref())?;
        // A length before it, so that no URL and account can be read as another pair.
        let key = format!("{}\n{mcp_url}{}", mcp_url.len(), account.unwrap_or_default());
        let stem = format!("login-{}", names::hex(&Sha256::digest(&key)));
        Ok(Self { folder, stem, key })
    }

    /// Leads the login, unless another process does (`None`).
    ///
    /// # Errors
    /// The folder has no locks, or a file in it is not ours.
    pub fn lead(&self) -> Result<Option<Leader<'_>>, StoreError> {
        let name = format!("{}.lock", self.stem);
        let file = self.folder.open_or_create(&name)?;
        let held = Held::take(file);
        let held = held.map_err(|error| StoreError::lock(&self.folder.path_of(&name), error))?;
        let Some(lock) = held else { return Ok(None) };
        // Whoever removed the file let others lock another one of the same name.
        let ours = self.folder.is_still(&name, lock.file())?;
        Ok(ours.then_some(Leader { of: self, _lock: lock }))
    }
}

impl Leader<'_> {
    /// The record that an earlier leader left. One that is over, damaged, of another server or
    /// account, or open to others, is removed and is none. With it comes the time for which the login
    /// waits still.
    pub fn left(&self, now: SystemTime) -> Option<(Bytes, Duration)> {
        let found = self.read().ok().flatten();
        let good = found.as_ref().and_then(|content| self.body(&content.0, now));
        if good.is_none() {
            self.clear();
        }
        good
    }

    /// Keeps a record for as long as the login waits.
    ///
    /// # Errors
    /// It is too large, or could not be written: nobody can go on with the login then but this
    /// process.
    pub fn keep(&self, record: &[u8], now: SystemTime, waits: Duration) -> Result<(), StoreError> {
        let (name, folder) = (self.name(), &self.of.folder);
        let until = unix(now).saturating_add(waits.min(LONGEST).as_secs());
        let head = format!("until {until}\nkey {}\n{}\n", self.of.key.len(), self.of.key);
        let content = document::seal(MAGIC, &[head.as_bytes(), record]);
        if content.0.len() as u64 > MOST {
            return Err(StoreError::new(Kind::StoreTooLarge, &folder.path_of(&name)));
        }
        let new = names::random().map_err(|kind| StoreError::new(kind, Path::new(&name)))?;
        let new = format!("{name}.new-{new}");
        let written = write(folder, &new, &content).and_then(|()| folder.replace(&new, &name));
        if written.is_err() {
            let _swept_by_the_next = folder.remove(&new);
        }
        written
    }

    /// Removes the record, and what killed leaders left of theirs.
    pub fn clear(&self) {
        let (name, folder) = (self.name(), &self.of.folder);
        let started = format!("{name}.new-");
        let left = folder.names().unwrap_or_default().into_iter();
        for name in left.filter(|other| *other == name || other.starts_with(&started)) {
            let _next_time = folder.remove(&name);
        }
    }

    fn name(&self) -> String {
        format!("{}.pending", self.of.stem)
    }

    fn read(&self) -> Result<Option<Bytes>, StoreError> {
        let (name, folder) = (self.name(), &self.of.folder);
        let Some((file, length)) = folder.open_private(&name)? else { return Ok(None) };
        if length > MOST {
            return Err(StoreError::new(Kind::StoreTooLarge, &folder.path_of(&name)));
        }
        let read = read_to_end(file, length);
        read.map(Some).map_err(|error| StoreError::io(&folder.path_of(&name), error))
    }

    fn body(&self, content: &[u8], now: SystemTime) -> Option<(Bytes, Duration)> {
        let (until, rest) = line(document::unseal(MAGIC, content).ok()?, "until ")?;
        let (length, rest) = line(rest, "key ")?;
        let (key, rest) = rest.split_at_checked(length.parse().ok()?)?;
        let (until, now): (u64, u64) = (until.parse().ok()?, unix(now));
        // An end too far ahead means that a clock was set.
        let waits = now < until && until <= now.saturating_add(LONGEST.as_secs());
        let record = rest.strip_prefix(b"\n")?;
        let rest = Duration::from_secs(until.saturating_sub(now));
        (key == self.of.key.as_bytes() && waits).then(|| (Bytes(record.to_vec()), rest))
    }
}

fn write(folder: &Folder, name: &str, content: &Bytes) -> Result<(), StoreError> {
    let mut file = folder.create(name)?;
    let written = file.write_all(&content.0).and_then(|()| file.sync_all());
    written.map_err(|error| StoreError::io(&folder.path_of(name), error))
}

fn read_to_end(file: File, length: u64) -> std::io::Result<Bytes> {
    let room = usize::try_from(length.min(MOST)).unwrap_or_default().saturating_add(1);
    // In one piece from the start: a vector that grows leaves copies of secrets behind.
    let mut content = Bytes(Vec::with_capacity(room));
    file.take(MOST).read_to_end(&mut content.0)?;
    Ok(content)
}

fn unix(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://mcp.example/mcp";
    const FIVE_MINUTES: Duration = Duration::from_secs(300);

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds)
    }

    fn place(folder: &Path, url: &str, account: Option<&str>) -> PendingLogin {
        PendingLogin::open(folder.join("store"), url, account).unwrap()
    }

    #[test]
    fn one_leads_until_it_ends_and_the_next_goes_on_with_its_record() {
        let folder = tempfile::tempdir().unwrap();
        let [first, second] = [(); 2].map(|()| place(folder.path(), URL, None));
        let leader = first.lead().unwrap().unwrap();
        assert!(second.lead().unwrap().is_none());
        assert!(leader.left(at(0)).is_none());
        leader.keep(b"older", at(0), FIVE_MINUTES).unwrap();
        leader.keep(b"newer", at(0), FIVE_MINUTES).unwrap();
        drop(leader);
        let next = second.lead().unwrap().unwrap();
        let (record, rest) = next.left(at(299)).unwrap();
        assert_eq!((record.0.as_slice(), rest), (&b"newer"[..], Duration::from_secs(1)));
        next.clear();
        assert!(next.left(at(0)).is_none());
        assert_eq!(next.of.folder.names().unwrap().iter().filter(|it| it.len() > 2).count(), 1);
    }

    #[test]
    fn logins_of_other_servers_and_accounts_have_nothing_in_common() {
        let folder = tempfile::tempdir().unwrap();
        let places = [
            place(folder.path(), URL, None),
            place(folder.path(), URL, Some("work")),
            place(folder.path(), "https://mcp.example/mc", Some("pwork")),
            place(folder.path(), "https://other.example/mcp", None),
        ];
        let leaders: Vec<_> = places.iter().map(|place| place.lead().unwrap().unwrap()).collect();
        leaders[0].keep(b"x", at(0), FIVE_MINUTES).unwrap();
        for other in &leaders[1..] {
            assert!(other.left(at(0)).is_none());
        }
        // Under another's name it is refused all the same, and removed.
        let store = folder.path().join("store");
        std::fs::copy(store.join(leaders[0].name()), store.join(leaders[1].name())).unwrap();
        assert!(leaders[1].left(at(0)).is_none());
        assert!(!store.join(leaders[1].name()).exists());
        assert!(leaders[0].left(at(0)).is_some());
    }

    #[test]
    fn a_record_that_is_over_damaged_or_of_a_clock_that_was_set_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(folder.path(), URL, None);
        let leader = place.lead().unwrap().unwrap();
        let path = folder.path().join("store").join(leader.name());
        for (now, waits) in [(at(300), FIVE_MINUTES), (at(0) - LONGEST * 2, FIVE_MINUTES)] {
            leader.keep(b"x", at(0), waits).unwrap();
            assert!(leader.left(now).is_none() && !path.exists());
        }
        leader.keep(b"x", at(0), FIVE_MINUTES).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert!(leader.left(at(0)).is_none() && !path.exists(), "{length}");
        }
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, &flipped).unwrap();
            assert!(leader.left(at(0)).is_none(), "{bit}");
        }
        std::fs::write(&path, &whole).unwrap();
        assert_eq!(leader.left(at(0)).unwrap().0.0, b"x");
        let large = vec![0; usize::try_from(MOST).unwrap()];
        assert_eq!(
            leader.keep(&large, at(0), FIVE_MINUTES).unwrap_err().kind().code(),
            "store_too_large"
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_record_is_its_owners_alone_and_what_others_could_write_is_not_believed() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let folder = tempfile::tempdir().unwrap();
        let place = place(folder.path(), URL, None);
        let leader = place.lead().unwrap().unwrap();
        leader.keep(b"x", at(0), FIVE_MINUTES).unwrap();
        let path = folder.path().join("store").join(leader.name());
        let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(), 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o622)).unwrap();
        assert!(leader.left(at(0)).is_none() && !path.exists());
        leader.keep(b"x", at(0), FIVE_MINUTES).unwrap();
        let elsewhere = folder.path().join("elsewhere");
        std::fs::rename(&path, &elsewhere).unwrap();
        symlink(&elsewhere, &path).unwrap();
        assert!(leader.left(at(0)).is_none());
        assert!(elsewhere.exists() && !path.exists());
    }
}
