//! The events that schedules have led to: a measure of how much they try.

use core::fmt;
use core::ops::AddAssign;

macro_rules! counters {
    ($($name:ident $text:literal;)*) => {
        /// The events that a schedule has led to, counted.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Reached {
            $(#[doc = concat!("Counts ", $text, ".")] pub $name: usize,)*
        }

        impl AddAssign for Reached {
            fn add_assign(&mut self, other: Self) {
                $(self.$name += other.$name;)*
            }
        }

        impl fmt::Display for Reached {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                $(writeln!(f, "{:>10} {}", self.$name, $text)?;)*
                Ok(())
            }
        }
    };
}

counters! {
    pages "pages that were shown";
    refreshes "refreshes that were sent";
    recoveries "refresh tokens that were sent once more";
    unsaved "callers that were settled with a grant that is not saved";
    killed_amid "processes that were killed while something was being spent or saved";
    restored "sessions that were restored";
    sloppy "answers that grant tokens in an odd form or with an odd status";
    reworded "refreshes that were refused for good in other words";
    outages "refreshes that the server itself answered with 503";
    proofs "token requests of clients that have a secret";
    known "token requests of clients that were agreed upon beforehand";
    unregistered "registrations that were refused";
    unexchanged "codes that were refused as invalid_client";
    worn "requests with an access token that was used up";
    alone "grants without a refresh token";
    kept "renewals that leave the refresh token as it was";
    exhausted "failures for want of descriptors or memory";
}
