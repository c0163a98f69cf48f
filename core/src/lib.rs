//! The OAuth 2.1 client of the Model Context Protocol as a pure state machine: no I/O, no clock, no
//! randomness of its own.
//!
//! # Layers
//!
//! ```text
//! wire      pure pairs: build a request, read an answer. No state.
//! stage     small machines: one exchange each, retries included. Their tables are public.
//! session   the only public machine: order of stages, callers, grants, storage.
//! driver    performs effects, in other crates. Decides nothing.
//! ```
//!
//! A step is `(state, input, env) -> (state, effects)`. Time and random bytes arrive in [`Env`];
//! everything the outside must do leaves as a value: [`Told`] is performed at once, each [`Work`]
//! carries a ticket that turns its outcome into the next [`Input`]. The same inputs give the same
//! effects, always. [`Session::snapshot`] can be taken at any moment and restored in another
//! process.
//!
//! Two lanes run side by side: one for work that needs only machines, and one for work that waits
//! for a person. A refresh therefore never waits for a person. The page `states` of the guide in
//! `mcp-authz-driver` shows the flows and the stages, drawn from their tables.
//!
//! With a persistent configuration a refresh is a transaction of the store: lease, look, intent,
//! request, swap, release. [`effect::StoreRequest`] says what each of these promises, and so what a
//! crash between two of them leaves.
//!
//! | module | holds |
//! | --- | --- |
//! | [`config`] | what a person configures, checked before anything is sent |
//! | [`input`], [`effect`], [`note`] | what happens, what is to be done, what was done and why |
//! | [`failure`] | what can go wrong, by whose fault, with stable codes and remedies |
//! | [`session`] | the machine |
//! | [`listing`] | which servers and accounts a store knows, and how it stands with each |
//! | [`granted`], [`scope`], [`secret`], [`time`], [`entropy`], [`address`] | the vocabulary |
//!
//! # The whole loop
//!
//! ```
//! use std::collections::VecDeque;
//! use std::sync::Arc;
//!
//! use mcp_authz_core::effect::{Bound, Reply, Signature, Stored, Told, Visit, Work};
//! use mcp_authz_core::failure::Kind;
//! use mcp_authz_core::input::{Acquire, WaiterId};
//! use mcp_authz_core::scope::ScopeSet;
//! use mcp_authz_core::time::Monotonic;
//! use mcp_authz_core::{Config, Env, Failure, Granted, Input, Session};
//!
//! /// The outside world: a clock with randomness, a way to send, a person, and a wait.
//! trait World {
//!     fn env(&mut self) -> Env;
//!     fn send(&mut self, request: http::Request<Vec<u8>>) -> Reply;
//!     fn bind(&mut self, port: Option<u16>) -> Bound;
//!     fn show(&mut self, visit: Visit);
//!     /// The next callback, or `Input::Wake` when this moment has come.
//!     fn wait(&mut self, until: Monotonic) -> Input;
//! }
//!
//! fn acquire(config: Arc<Config>, world: &mut dyn World) -> Result<Arc<Granted>, Arc<Failure>> {
//!     let mut session = Session::new(config);
//!     let me = WaiterId(1);
//!     let ask = Acquire { waiter: me, scopes: ScopeSet::empty(), may_ask: true };
//!     let mut inbox = VecDeque::from([Input::Acquire(ask)]);
//!     loop {
//!         let input = match (inbox.pop_front(), session.deadline()) {
//!             (Some(input), _) => input,
//!             (None, Some(deadline)) => world.wait(deadline.at),
//!             (None, None) => unreachable!("a caller that waits always has a deadline"),
//!         };
//!         let effects = session.handle(input, world.env()).expect("no input is misused");
//!         for told in effects.told {
//!             match told {
//!                 Told::Settle(settlement) if settlement.waiter == me => return settlement.outcome,
//!                 Told::Open(visit) => world.show(visit),
//!                 _ => {} // notes, pages for the listener, ports to close
//!             }
//!         }
//!         for work in effects.work {
//!             inbox.push_back(match work {
//!                 Work::Call(call) => {
//!                     let (request, _limits, ticket) = call.split();
//!                     ticket.answer(world.send(request))
//!                 }
//!                 Work::Listen(listen) => {
//!                     let (on, ticket) = listen.split();
//!                     ticket.answer(world.bind(on.port))
//!                 }
//!                 Work::Store(op) => op.split().1.answer(Stored::Failed(Kind::StoreUnavailable)),
//!                 Work::Sign(sign) => sign.split().1.answer(Signature::Unavailable),
//!             });
//!         }
//!     }
//! }
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod address;
mod alphabet;
mod bounded;
pub mod config;
pub mod effect;
pub mod entropy;
pub mod failure;
mod flow;
pub mod granted;
pub mod input;
#[doc(hidden)]
pub mod internals;
mod kind;
pub mod listing;
mod machine;
mod mend;
mod names;
pub mod note;
mod outcome;
mod purpose;
mod rare;
mod record;
pub mod scope;
pub mod secret;
pub mod session;
mod stage;
mod store;
mod table;
pub mod time;
mod visit;
mod wire;

pub use config::Config;
pub use effect::{Effects, Told, Work};
pub use failure::{Failure, Kind, Misuse, Remedy};
pub use granted::Granted;
pub use input::Input;
pub use session::{Env, Session};
