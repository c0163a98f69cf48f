//! The OAuth 2.1 client of the Model Context Protocol as a pure state machine.

pub mod address;
pub mod config;
pub mod effect;
pub mod entropy;
pub mod failure;
pub mod granted;
pub mod input;
pub mod machine;
pub mod note;
pub mod scope;
pub mod secret;
pub mod session;
mod record;
mod stage;
pub mod time;
pub mod wire;

pub use config::Config;
pub use effect::{Effects, Told, Work};
pub use failure::{Failure, Kind, Misuse, Remedy};
pub use granted::Granted;
pub use input::Input;
pub use session::{Env, Session};
