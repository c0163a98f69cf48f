//! One piece of work on one thread: what [`single`](crate::single) and
//! [`threads`](crate::threads) have in common.

use mcp_authz_core::effect::{TicketId, Work};
use mcp_authz_core::input::Input;

use crate::arrivals::{Arrivals, Listening};
use crate::ports::{Common, Http, Listener};

/// Does it, and turns its outcome into the next input. `keep` takes a port that was bound, or not.
pub(crate) fn perform(
    work: Work,
    http: &impl Http,
    listener: &impl Listener,
    common: &Common,
    arrivals: Arrivals,
    keep: impl FnOnce(TicketId, Option<Listening>),
) -> Input {
    match work {
        Work::Call(call) => {
            let (request, limits, ticket) = call.split();
            let proxy = http.proxy(request.uri());
            ticket.answer_by(http.send(request, &limits), proxy)
        }
        Work::Listen(listen) => {
            let (on, ticket) = listen.split();
            let listening = listener.bind(&on, arrivals);
            let bound = Listening::outcome(&listening);
            keep(ticket.id(), listening.ok());
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
