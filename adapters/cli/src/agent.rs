//! The agent: a broker for tokens, as `ssh-agent` is for keys.
//!
//! One process holds the way to the store and answers on Unix sockets. The owner's socket does what
//! the commands do, for programs of the same user. A restricted socket is for a sandbox: what it may
//! is decided when it is made, and whoever asks there cannot widen it. No answer on either ever holds
//! a refresh token: nothing in here can read one.
//!
//! | module | holds |
//! | --- | --- |
//! | `protocol` | the messages, their bounds and deadlines |
//! | `frame` | lines with a limit |
//! | `place` | where a socket is, and whose the folder is |
//! | `rights` | what a socket may |
//! | `door` | who is let in, and how many |
//! | `conversation` | one connection: requests one after another, and what is said meanwhile |
//! | `owner` | the requests of the owner's socket |
//! | `restricted` | those of a restricted socket |
//! | `lend` | a header for one request |
//! | `keeper` | the servers in use |
//! | `audit` | a line for each request |
//! | `client` | the other end |
//! | `start` | the process: its folder, its signals, its end |

#[cfg(unix)]
pub(crate) mod audit;
#[cfg(unix)]
pub(crate) mod client;
#[cfg(unix)]
mod conversation;
#[cfg(unix)]
mod door;
#[cfg(unix)]
mod frame;
#[cfg(unix)]
pub(crate) mod keeper;
#[cfg(unix)]
mod lend;
#[cfg(unix)]
mod owner;
#[cfg(unix)]
pub(crate) mod place;
#[cfg(unix)]
pub(crate) mod protocol;
#[cfg(unix)]
pub(crate) mod restricted;
#[cfg(unix)]
pub(crate) mod rights;
#[cfg(unix)]
pub(crate) mod start;

/// The environment variable with the path of the socket.
#[cfg(unix)]
pub(crate) const VARIABLE: &str = crate::relay::VARIABLE;
