//! One piece of work on one thread: what [`blocking`](crate::blocking) and
//! [`threaded`](crate::threaded) have in common.

use mcp_authz_core::effect::{Bound, TicketId, Work};
use mcp_authz_core::input::Input;

use crate::arrivals::{Arrivals, Listening};
use crate::ports::{Common, Http, Listener};

/// Does it, and turns its outcome into the next input. `keep` takes a port that was bound.
pub(crate) fn perform(
    work: Work,
    http: &impl Http,
    listener: &impl Listener,
    common: &Common,
    arrivals: Arrivals,
    keep: impl FnOnce(TicketId, Listening),
) -> Input {
    match work {
        Work::Call(call) => {
            let (request, limits, ticket) = call.split();
            ticket.answer(http.send(request, &limits))
        }
        Work::Listen(listen) => {
            let (on, ticket) = listen.split();
            let bound = listener.bind(&on, arrivals).map_or(Bound::Failed, |listening| {
                let port = listening.port();
                keep(ticket.id(), listening);
                Bound::Port(port)
            });
            ticket.answer(bound)
        }
        Work::Store(op) => {
            let (request, ticket) = op.split();
            ticket.answer(common.store.perform(request))
        }
        Work::Sign(sign) => {
            let (request, ticket) = sign.split();
            ticket.answer(common.signer.sign(request))
        }
    }
}
