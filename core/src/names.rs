//! The names of stages and flows, of their states, and of what can happen to them.

use core::fmt;

macro_rules! names {
    ($(#[$doc:meta])* $type:ident { $($(#[$each:meta])* $name:ident),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $type { $($(#[$each])* $name,)* }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$name => stringify!($name),)* })
            }
        }
    };
}

names! {
    /// The names of the stages, then of the flows.
    MachineName {
        /// Reads the records of an MCP URL and account.
        Recall,
        /// Finds the authorization server.
        Discovery,
        /// Becomes a client of that server, with a redirect URI.
        Registration,
        /// Sends the person to the server and waits for the callback.
        Authorization,
        /// Gets the lease of a grant's record.
        Claim,
        /// Records that a one-time credential is about to be sent.
        Intent,
        /// Exchanges a code or a refresh token.
        Token,
        /// Writes records.
        Save,
        /// Gives the lease back.
        Release,
        /// Gives tokens back to the server.
        Revocation,
        /// The flow that gets a grant from a person.
        Login,
        /// The flow that renews a grant.
        Refresh,
        /// The flow that learns what the store knows.
        ReadAll,
        /// The flow that sees whether the issuer is still listed.
        Relist,
        /// The flow that writes records outside a login or refresh.
        SaveAgain,
        /// The flow that gives a lease or an intent back.
        GiveBack,
        /// The flow that gives the tokens of a log-out back.
        Revoke,
        /// The flow that empties the record of a log-out.
        Forget,
    }
}

names! {
    /// The states of all stages and flows. The state of a stage is a noun for what it awaits. The
    /// state of a flow says what the flow is doing.
    StateName {
        /// Nothing has happened yet.
        Start,
        /// The binding's record.
        Binding,
        /// The client's record.
        Client,
        /// The grant's record.
        Grant,
        /// The answer to the first request of an MCP session.
        FirstRequest,
        /// Protected resource metadata.
        Resource,
        /// Authorization server metadata.
        Server,
        /// A port for the redirect URI.
        Redirect,
        /// The answer of the registration endpoint.
        Registered,
        /// The person, then the callback.
        Callback,
        /// The answer of the token endpoint.
        Tokens,
        /// The store's word that the lease is ours.
        Lease,
        /// The end of a pause in which nothing is out.
        Pause,
        /// The store's word that an intent is recorded.
        Recorded,
        /// The end of a pause before the next attempt.
        Backoff,
        /// The store's word that a record is durable.
        Durable,
        /// The store's word that the lease is given back.
        Released,
        /// The answer of the revocation endpoint.
        Revoked,
        /// A flow reads records.
        Reading,
        /// A flow sees whether the issuer is still listed.
        Listing,
        /// A flow searches for the authorization server.
        Finding,
        /// A flow becomes a client of that server.
        Enrolling,
        /// A flow saves a registration before the person is sent away with it.
        SavingClient,
        /// A flow asks the person.
        Asking,
        /// A flow gets the lease of the grant's record.
        Claiming,
        /// A flow records that a credential is about to be spent.
        Noting,
        /// A flow spends the refresh token.
        Sending,
        /// A flow spends the code.
        Exchanging,
        /// A flow looks into the store once more.
        Looking,
        /// A flow marks a registration in the store.
        Marking,
        /// A flow marks a grant as dead in the store.
        Rejecting,
        /// A flow saves what has come.
        Saving,
        /// A flow empties a record.
        Emptying,
        /// A flow gives a lease or an intent back.
        Releasing,
        /// A flow gives tokens back to the server.
        Revoking,
        /// The stage is over.
        Done,
        /// The stage, and its flow, failed.
        Failed,
    }
}

names! {
    /// The signals to a stage, and those that a stage can bring to its flow.
    SignalName {
        /// The stage or flow starts.
        Begin,
        /// An HTTP request ended.
        Reply,
        /// A listener is bound, or could not be.
        Bound,
        /// A callback arrived.
        Callback,
        /// The page could be shown to nobody.
        Unshown,
        /// The store answered.
        Stored,
        /// A signature was made, or could not be.
        Signed,
        /// The deadline came first.
        Expired,
        /// The session was restored.
        Resumed,
        /// Records were read.
        Recalled,
        /// Discovery has ended.
        Looked,
        /// The session is a client.
        Enrolled,
        /// The person has approved.
        Approved,
        /// The lease is taken, and the grant is read from the store.
        Claimed,
        /// The store has answered what it knows of the credential.
        Intended,
        /// The token endpoint has answered.
        Minted,
        /// Records were written, or could not be.
        Saved,
        /// A lease was given back.
        Released,
        /// Tokens were given back.
        Given,
        /// The stage failed.
        Failed,
        /// The session no longer holds the grant that the flow is about.
        Overtaken,
    }
}
