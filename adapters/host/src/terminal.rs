//! Lines of standard input, read only while somebody wants them: what is typed after a login is the
//! program's again.

use std::sync::{Mutex, PoisonError};
use std::thread;

/// Longest line that is taken.
const LONGEST: usize = 64 * 1024;

/// One login reads at a time: what is pasted for one must not reach the other.
static TURN: Mutex<()> = Mutex::new(());

/// Reads lines on a thread of its own for as long as they are wanted, which is asked several times a
/// second; `take` is given each without the white space around it, and no empty ones. Says whether that
/// could be begun.
pub fn read_lines(
    wanted: impl Fn() -> bool + Send + 'static,
    take: impl FnMut(&str) + Send + 'static,
) -> bool {
    let read = move || {
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        source::read(wanted, Lines { held: Vec::new(), take });
    };
    thread::Builder::new().name("mcp-authz-paste".to_owned()).spawn(read).is_ok()
}

/// Bytes that come in pieces, cut into lines.
struct Lines<F> {
    held: Vec<u8>,
    take: F,
}

impl<F: FnMut(&str)> Lines<F> {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match byte {
                b'\n' | b'\r' => {
                    let line = core::mem::take(&mut self.held);
                    let line = String::from_utf8_lossy(&line);
                    if !line.trim().is_empty() {
                        (self.take)(line.trim());
                    }
                }
                byte if self.held.len() < LONGEST => self.held.push(*byte),
                _ => {}
            }
        }
    }
}

#[cfg(unix)]
mod source {
    use core::time::Duration;
    use std::os::fd::{AsFd, BorrowedFd};
    use std::thread;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::process::getpgrp;
    use rustix::termios::tcgetpgrp;

    use super::Lines;

    /// How often it is asked whether lines are still wanted.
    const BEAT: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

    /// The same, where there is something that is not for this process.
    const PAUSE: Duration = Duration::from_millis(200);

    pub(super) fn read(wanted: impl Fn() -> bool, lines: Lines<impl FnMut(&str)>) {
        let stdin = std::io::stdin();
        read_from(stdin.as_fd(), wanted, lines);
    }

    /// Returns true if the text that is typed is for this process. A read in the background
    /// (`program &`) would stop all of it, with the login that waits for the browser (SIGTTIN).
    fn is_ours(from: BorrowedFd<'_>) -> bool {
        tcgetpgrp(from).map_or(true, |front| front == getpgrp())
    }

    /// Past the standard library's buffer, which would keep what the program reads later.
    pub(super) fn read_from(
        from: BorrowedFd<'_>,
        wanted: impl Fn() -> bool,
        mut lines: Lines<impl FnMut(&str)>,
    ) {
        let mut piece = [0; 4096];
        while wanted() {
            let mut ready = [PollFd::new(&from, PollFlags::IN)];
            match poll(&mut ready, Some(&BEAT)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => continue,
                Ok(_) if !is_ours(from) => {
                    thread::sleep(PAUSE);
                    continue;
                }
                Ok(_) => {}
                Err(_) => return,
            }
            match rustix::io::read(from, &mut piece) {
                Ok(0) | Err(_) => return,
                Ok(length) => lines.add(piece.get(..length).unwrap_or_default()),
            }
        }
    }
}

#[cfg(not(unix))]
mod source {
    use core::time::Duration;
    use std::io;
    use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
    use std::sync::{Mutex, OnceLock, PoisonError};
    use std::thread;

    use super::Lines;

    /// How often it is asked whether lines are still wanted.
    const BEAT: Duration = Duration::from_millis(200);

    /// A read cannot be given up here, so there is one reader for all logins of the process.
    static TYPED: OnceLock<Mutex<Receiver<String>>> = OnceLock::new();

    pub(super) fn read(wanted: impl Fn() -> bool, mut lines: Lines<impl FnMut(&str)>) {
        let typed = TYPED.get_or_init(|| {
            let (sender, receiver) = channel();
            let read = move || {
                io::stdin().lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
            };
            let _without_a_reader_nothing_comes = thread::Builder::new().spawn(read);
            Mutex::new(receiver)
        });
        let typed = typed.lock().unwrap_or_else(PoisonError::into_inner);
        while wanted() {
            match typed.recv_timeout(BEAT) {
                Ok(line) => lines.add(format!("{line}\n").as_bytes()),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::io::Write as _;
    use std::os::fd::AsFd as _;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, mpsc};

    use super::*;

    #[test]
    fn lines_are_taken_while_they_are_wanted_and_left_afterwards() {
        let (mut reader, mut writer) = std::io::pipe().unwrap();
        let (sender, taken) = mpsc::channel();
        let wanted = Arc::new(AtomicBool::new(true));
        let (wants, source) = (Arc::clone(&wanted), reader.try_clone().unwrap());
        let thread = thread::spawn(move || {
            let take = move |line: &str| sender.send(line.to_owned()).unwrap();
            let lines = Lines { held: Vec::new(), take };
            source::read_from(source.as_fd(), || wants.load(Ordering::SeqCst), lines);
        });
        writer.write_all(b"  http://127.0.0.1:1/callback?co").unwrap();
        thread::sleep(core::time::Duration::from_millis(50));
        writer.write_all(b"de=x \r\n\n  \nsecond\n").unwrap();
        assert_eq!(taken.recv().unwrap(), "http://127.0.0.1:1/callback?code=x");
        assert_eq!(taken.recv().unwrap(), "second");
        wanted.store(false, Ordering::SeqCst);
        thread.join().unwrap();
        writer.write_all(b"for the program").unwrap();
        drop(writer);
        let mut left = String::new();
        std::io::Read::read_to_string(&mut reader, &mut left).unwrap();
        assert_eq!(left, "for the program");
    }

    #[test]
    fn a_line_without_an_end_is_bounded() {
        let mut lines = Lines { held: Vec::new(), take: |_: &str| {} };
        lines.add(&vec![b'x'; 4 * LONGEST]);
        assert_eq!(lines.held.len(), LONGEST);
    }
}
