//! Scripts of the session: the core against the model, or against answers given by hand, with time
//! in the margin. Each runs plain, with a restart after each step, and both ways before a recorder.
#![forbid(unsafe_code)]
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "these are tests"
)]

#[path = "session/suite.rs"]
#[macro_use]
mod suite;

#[path = "session/given.rs"]
mod given;

#[path = "session/authorization.rs"]
mod authorization;
#[path = "session/binding.rs"]
mod binding;
#[path = "session/by_hand.rs"]
mod by_hand;
#[path = "session/callback.rs"]
mod callback;
#[path = "session/canary.rs"]
mod canary;
#[path = "session/challenge_scope.rs"]
mod challenge_scope;
#[path = "session/claims.rs"]
mod claims;
#[path = "session/client_auth.rs"]
mod client_auth;
#[path = "session/client_documents.rs"]
mod client_documents;
#[path = "session/configuration.rs"]
mod configuration;
#[path = "session/courses.rs"]
mod courses;
#[path = "session/damage.rs"]
mod damage;
#[path = "session/discovery.rs"]
mod discovery;
#[path = "session/doubts.rs"]
mod doubts;
#[path = "session/endpoints.rs"]
mod endpoints;
#[path = "session/enrolment.rs"]
mod enrolment;
#[path = "session/expiry.rs"]
mod expiry;
#[path = "session/first_request.rs"]
mod first_request;
#[path = "session/hostile_urls.rs"]
mod hostile_urls;
#[path = "session/issuer.rs"]
mod issuer;
#[path = "session/issuer_choice.rs"]
mod issuer_choice;
#[path = "session/lanes.rs"]
mod lanes;
#[path = "session/legacy.rs"]
mod legacy;
#[path = "session/limits.rs"]
mod limits;
#[path = "session/log_out.rs"]
mod log_out;
#[path = "session/login.rs"]
mod login;
#[path = "session/oddities.rs"]
mod oddities;
#[path = "session/outages.rs"]
mod outages;
#[path = "session/planted.rs"]
mod planted;
#[path = "session/races.rs"]
mod races;
#[path = "session/recorded.rs"]
mod recorded;
#[path = "session/refresh.rs"]
mod refresh;
#[path = "session/refusals.rs"]
mod refusals;
#[path = "session/refused_refreshes.rs"]
mod refused_refreshes;
#[path = "session/registering.rs"]
mod registering;
#[path = "session/registration.rs"]
mod registration;
#[path = "session/restart.rs"]
mod restart;
#[path = "session/scopes.rs"]
mod scopes;
#[path = "session/server_metadata.rs"]
mod server_metadata;
#[path = "session/sloppy.rs"]
mod sloppy;
#[path = "session/stepup.rs"]
mod stepup;
#[path = "session/switches.rs"]
mod switches;
#[path = "session/table.rs"]
mod table;
#[path = "session/tenants.rs"]
mod tenants;
#[path = "session/tokens.rs"]
mod tokens;
#[path = "session/vault.rs"]
mod vault;
