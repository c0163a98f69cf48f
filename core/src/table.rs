//! Transition tables of stages and flows: what each state awaits or runs, and where each signal may
//! lead.

use core::fmt;

use crate::time::Awaited;

/// One stage's states and edges.
#[derive(Debug)]
pub struct Table {
    /// The name of the machine.
    pub machine: MachineName,
    /// Its purpose, in a few words.
    pub purpose: &'static str,
    /// Every state but `Start`, `Done` and `Failed`, and what it awaits.
    pub states: &'static [State],
    /// Every edge, grouped by where it starts.
    pub rows: &'static [Row],
}

/// A waiting state.
#[derive(Clone, Copy, Debug)]
pub struct State {
    /// Its name: a noun for what is awaited.
    pub name: StateName,
    /// The kind of effect it waits for.
    pub awaits: Awaited,
}

/// The edges of one state on one signal.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The state that the edges leave.
    pub from: StateName,
    /// The signal.
    pub on: SignalName,
    /// The states that the edges reach.
    pub targets: &'static [StateName],
}

impl Table {
    /// The row for a state and a signal.
    #[must_use]
    pub fn row(&self, from: StateName, on: SignalName) -> Option<&'static Row> {
        self.rows.iter().find(|row| row.from == from && row.on == on)
    }
}

/// One flow's states and edges: each state runs a stage, and goes on with the result of that stage.
#[derive(Debug)]
pub struct FlowTable {
    /// The name of the machine.
    pub flow: MachineName,
    /// Its purpose, in a few words.
    pub purpose: &'static str,
    /// Every state but `Start`, `Done` and `Failed`, and the stage it runs.
    pub states: &'static [(StateName, MachineName)],
    /// Every edge, grouped by where it starts.
    pub rows: &'static [Row],
}

impl SignalName {
    /// The signals a flow's state must expect, by the stage it runs: the stage's result, its
    /// failure, and a restart. A stage whose result says how it ended has no failure of its own to
    /// expect.
    #[must_use]
    pub const fn met_after(stage: MachineName) -> &'static [Self] {
        match stage {
            MachineName::Recall => &[Self::Recalled, Self::Failed, Self::Resumed],
            MachineName::Discovery => &[Self::Looked, Self::Failed, Self::Resumed],
            MachineName::Registration => &[Self::Enrolled, Self::Failed, Self::Resumed],
            MachineName::Authorization => &[Self::Approved, Self::Failed, Self::Resumed],
            MachineName::Claim => &[Self::Claimed, Self::Failed, Self::Resumed],
            MachineName::Intent => &[Self::Intended, Self::Resumed],
            MachineName::Token => &[Self::Minted, Self::Resumed],
            MachineName::Save => &[Self::Saved, Self::Resumed],
            MachineName::Release => &[Self::Released, Self::Resumed],
            MachineName::Revocation => &[Self::Given, Self::Resumed],
            _ => &[],
        }
    }

    /// The signals a state can meet, by what it awaits: its effect's answer, the deadline, and a
    /// restart.
    #[must_use]
    pub const fn met_while(awaited: Awaited) -> &'static [Self] {
        match awaited {
            Awaited::Call => &[Self::Reply, Self::Expired, Self::Resumed],
            Awaited::Listen => &[Self::Bound, Self::Expired, Self::Resumed],
            Awaited::Store => &[Self::Stored, Self::Expired, Self::Resumed],
            Awaited::Sign => &[Self::Signed, Self::Expired, Self::Resumed],
            Awaited::Pause => &[Self::Expired, Self::Resumed],
            // The answer to an attempt that was given up may still come during the pause.
            Awaited::Backoff => &[Self::Reply, Self::Expired, Self::Resumed],
            // After a restart the listener is bound anew while the person is still away.
            Awaited::Person => {
                &[Self::Callback, Self::Unshown, Self::Bound, Self::Expired, Self::Resumed]
            }
        }
    }
}

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
        /// Becomes a client of it, with a redirect URI.
        Registration,
        /// Sends the person there and waits for the callback.
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
    /// The states of all stages: nouns for what is awaited. Those of flows say what is being done.
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
        /// A flow searches the authorization server.
        Finding,
        /// A flow becomes its client.
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
        /// It starts.
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
        /// A signature was made, or not.
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
