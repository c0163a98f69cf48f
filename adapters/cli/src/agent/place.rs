//! Where a socket is, and whose the folder is.
//!
//! Whoever can write to the folder of a socket can put another in its place. So the folder is opened
//! once, without following a link, its owner and mode are those of the open folder, and everything
//! after that is done through it. A client still checks who is at the other end.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use mcp_authz_core::failure::Remedy;
use rustix::fs::{AtFlags, CWD, FileType, FlockOperation, Mode, OFlags, Stat};
use rustix::io::{Errno, retry_on_intr};

use crate::fault::Fault;

/// The name of the owner's socket in its folder.
const NAME: &str = "agent.sock";
/// Longest path that a socket can be reached at.
const LONGEST_PATH: usize = 107;
/// How often, and how many times, it is tried to be the only one at work in a folder.
const BEAT: Duration = Duration::from_millis(50);
const BEATS: u32 = 40;

/// The use of a socket, which decides what its folder may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Its folder is open to nobody else.
    Owner,
    /// Nobody else can change its folder.
    Restricted,
}

/// A bound socket. Its file is removed with it, unless another has taken its place.
pub(crate) struct Bound {
    listener: UnixListener,
    place: Place,
    file: (u64, u64),
}

/// A name in an open folder.
struct Place {
    folder: OwnedFd,
    name: OsString,
    path: PathBuf,
}

/// The path of the owner's socket, if nobody names another.
pub(crate) fn default_path() -> Result<PathBuf, Fault> {
    let folder = |name: &str| env::var_os(name).map(PathBuf::from).filter(|it| it.is_absolute());
    let above = folder("XDG_RUNTIME_DIR")
        .or_else(|| folder("XDG_STATE_HOME"))
        .or_else(|| Some(folder("HOME")?.join(".local/state")))
        .ok_or_else(|| {
            let text = "there is neither a runtime folder nor a home for the socket";
            Fault::new("socket_place", text, Remedy::Configure)
                .advised(["set XDG_RUNTIME_DIR, or name a place with --socket PATH"])
        })?;
    Ok(above.join("mcp-authz").join(NAME))
}

/// Binds a socket that must not be in use.
pub(crate) fn bind(path: &Path, whose: Use) -> Result<Bound, Fault> {
    let path = std::path::absolute(path).map_err(|error| unusable(path, &error))?;
    if path.as_os_str().len() > LONGEST_PATH {
        let text = format!("a socket can be reached at no path over {LONGEST_PATH} bytes");
        return Err(unusable(&path, &text));
    }
    let (Some(above), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(unusable(&path, &"it names no file"));
    };
    if whose == Use::Owner {
        make(above).map_err(|error| unusable(above, &io::Error::from(error)))?;
    }
    let folder = open(above, whose)?;
    let place = Place { folder, name: name.to_owned(), path: path.clone() };
    place.alone()?;
    place.clear()?;
    let (listener, file) = place.listen().map_err(|error| unusable(&path, &error))?;
    // The lock was for this: whoever comes now finds a socket that answers.
    let _closing_would_do_it_too = rustix::fs::flock(&place.folder, FlockOperation::Unlock);
    Ok(Bound { listener, place, file })
}

impl Bound {
    /// The path at which it is reached.
    pub(crate) fn path(&self) -> &Path {
        &self.place.path
    }

    /// The listener for a runtime.
    pub(crate) fn listener(&self) -> io::Result<tokio::net::UnixListener> {
        let listener = self.listener.try_clone()?;
        listener.set_nonblocking(true)?;
        tokio::net::UnixListener::from_std(listener)
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        if self.place.look().is_ok_and(|found| id(&found) == self.file) {
            let _it_stays_and_is_replaced = self.place.remove();
        }
    }
}

impl Place {
    /// Waits until no other process makes a socket in this folder: two that find a dead one would
    /// both put theirs in its place.
    fn alone(&self) -> Result<(), Fault> {
        for _ in 0..BEATS {
            match rustix::fs::flock(&self.folder, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(()),
                Err(Errno::WOULDBLOCK | Errno::INTR) => thread::sleep(BEAT),
                Err(errno) => return Err(unusable(&self.path, &io::Error::from(errno))),
            }
        }
        Err(unusable(&self.path, &"another process is at work in its folder"))
    }

    /// Makes way: a socket of ours that nobody answers is removed, and anything else is left.
    fn clear(&self) -> Result<(), Fault> {
        let found = match self.look() {
            Err(Errno::NOENT) => return Ok(()),
            found => found.map_err(|errno| unusable(&self.path, &io::Error::from(errno)))?,
        };
        let is_socket = FileType::from_raw_mode(found.st_mode) == FileType::Socket;
        if !is_socket || found.st_uid != rustix::process::geteuid().as_raw() {
            return Err(unusable(&self.path, &"something else is there, and is left as it is"));
        }
        match refuses(&self.address()) {
            true => self.remove().map_err(|errno| unusable(&self.path, &io::Error::from(errno))),
            false => Err(Fault::new(
                "socket_in_use",
                &format!("somebody answers at {} already", self.path.display()),
                Remedy::Configure,
            )
            .advised([
                &format!(
                    "use the agent that is there: export {}={}",
                    crate::relay::VARIABLE,
                    self.path.display()
                ),
                "or end the process that made it; for an agent: mcp-authz agent --stop",
            ])),
        }
    }

    fn listen(&self) -> io::Result<(UnixListener, (u64, u64))> {
        // The mode of a socket is decided when it is bound.
        let before = rustix::process::umask(Mode::from_raw_mode(0o177));
        let bound = UnixListener::bind(self.address());
        rustix::process::umask(before);
        let listener = bound?;
        Ok((listener, id(&self.look()?)))
    }

    fn look(&self) -> Result<Stat, Errno> {
        let look = || rustix::fs::statat(&self.folder, &*self.name, AtFlags::SYMLINK_NOFOLLOW);
        retry_on_intr(look)
    }

    fn remove(&self) -> Result<(), Errno> {
        retry_on_intr(|| rustix::fs::unlinkat(&self.folder, &*self.name, AtFlags::empty()))
    }

    /// The name within the open folder, whatever the path leads to by now.
    fn address(&self) -> PathBuf {
        if cfg!(target_os = "linux") {
            let folder = format!("/proc/self/fd/{}", self.folder.as_raw_fd());
            return Path::new(&folder).join(&self.name);
        }
        self.path.clone()
    }
}

/// Returns true if nobody listens at a socket that is there. One whose queue is full does not answer,
/// and is not waited for.
#[cfg(target_os = "linux")]
fn refuses(address: &Path) -> bool {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None);
    let (Ok(socket), Ok(address)) = (socket, SocketAddrUnix::new(address)) else { return false };
    rustix::net::connect(&socket, &address) == Err(Errno::CONNREFUSED)
}

/// Returns true if nobody listens at a socket that is there.
#[cfg(not(target_os = "linux"))]
fn refuses(address: &Path) -> bool {
    let tried = std::os::unix::net::UnixStream::connect(address);
    tried.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

/// Opens a folder that is ours and, as far as this use needs it, ours alone.
fn open(path: &Path, whose: Use) -> Result<OwnedFd, Fault> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // A link with a slash or a dot after it would be followed.
    let path: PathBuf = path.components().collect();
    let folder = retry_on_intr(|| rustix::fs::openat(CWD, &path, flags, Mode::empty()));
    let folder = folder.map_err(|errno| match errno {
        Errno::NOTDIR | Errno::LOOP | Errno::MLINK => {
            unusable(&path, &"it is no folder, or a link")
        }
        other => unusable(&path, &io::Error::from(other)),
    })?;
    let found = rustix::fs::fstat(&folder);
    let found = found.map_err(|errno| unusable(&path, &io::Error::from(errno)))?;
    if found.st_uid != rustix::process::geteuid().as_raw() {
        return Err(unusable(&path, &"the folder belongs to another user"));
    }
    let (others, words) = match whose {
        Use::Owner => (0o077, "the folder is open to other users: chmod 700 it"),
        Use::Restricted => (0o022, "other users can change the folder: choose one of your own"),
    };
    match Mode::from_raw_mode(found.st_mode).bits() & others {
        0 => Ok(folder),
        _ => Err(unusable(&path, &words)),
    }
}

/// Makes a folder and those above it, ours alone.
fn make(path: &Path) -> Result<(), Errno> {
    let mkdir = || retry_on_intr(|| rustix::fs::mkdirat(CWD, path, Mode::RWXU));
    let made = match (mkdir(), path.parent()) {
        (Err(Errno::NOENT), Some(above)) => {
            make(above)?;
            mkdir()
        }
        (made, _) => made,
    };
    match made {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        other => other,
    }
}

#[allow(clippy::useless_conversion, reason = "the types differ between systems")]
fn id(found: &Stat) -> (u64, u64) {
    (u64::try_from(found.st_dev).unwrap_or_default(), u64::from(found.st_ino))
}

fn unusable(path: &Path, why: &dyn std::fmt::Display) -> Fault {
    let path = String::from_utf8_lossy(OsStr::as_bytes(path.as_os_str())).into_owned();
    Fault::new("socket_place", &format!("no socket can be at {path}: {why}"), Remedy::Configure)
        .advised(["name another place with --socket PATH, in a folder of your own with mode 700"])
}
