//! One suite over the three adapters: whole sessions against the model server on real sockets.
//!
//! Each case is written once, for a [`faces::Face`], and run on threads, on tokio and on async-std.
#![cfg(feature = "testing")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "these are tests"
)]

#[path = "sessions/faces.rs"]
mod faces;
#[path = "sessions/headers.rs"]
mod headers;
#[path = "sessions/login.rs"]
mod login;
#[path = "sessions/observing.rs"]
mod observing;
#[path = "sessions/recording.rs"]
mod recording;
#[path = "sessions/refresh.rs"]
mod refresh;
#[path = "sessions/stopping.rs"]
mod stopping;
#[path = "sessions/vault.rs"]
mod vault;
#[path = "sessions/world.rs"]
mod world;

macro_rules! over_all_adapters {
    ($($topic:ident { $($case:ident,)* })*) => {
        over_all_adapters! { @adapter ureq $($topic { $($case,)* })* }
        over_all_adapters! { @adapter tokio $($topic { $($case,)* })* }
        over_all_adapters! { @adapter async_std $($topic { $($case,)* })* }
    };
    (@adapter $adapter:ident $($topic:ident { $($case:ident,)* })*) => {
        mod $adapter {
            $($(
                #[test]
                fn $case() {
                    super::$topic::$case(super::faces::$adapter);
                }
            )*)*
        }
    };
}

over_all_adapters! {
    login {
        a_login_by_the_listener_serves_requests,
        a_login_by_hand_is_answered_with_its_page,
        a_hundred_callers_one_login_host_172,
        what_belongs_to_no_login_is_refused_host_175,
        a_login_is_left_alone_by_wrong_callbacks_host_189,
        a_step_up_is_made_for_the_request_that_needs_it,
        a_refused_login_settles_everybody,
        requests_of_another_origin_carry_nothing_host_257,
        a_redirect_out_of_the_token_area_is_refused_host_055_host_056,
    }
    refresh {
        a_refused_token_is_refreshed_once_for_everybody,
        an_expired_token_is_refreshed_before_it_is_sent,
        an_ageing_token_is_used_while_one_refresh_runs,
        a_refresh_waits_for_no_person,
        a_network_failure_opens_no_page,
        a_lost_answer_is_reported_and_not_sent_again_host_254,
        a_refresh_goes_on_without_its_callers,
    }
    headers {
        the_headers_of_a_live_token_use_01,
        a_request_without_a_token_is_sent_to_learn_what_is_wanted,
        headers_are_for_the_token_area_only_use_06_use_07_host_257_host_258_host_328,
        a_refused_token_is_replaced_once_for_everybody_host_222,
        a_late_refusal_of_an_old_token_gets_the_current_one_host_222,
        a_repetition_that_is_refused_is_the_end_step_12,
        a_request_is_repeated_so_often_and_no_more_step_16,
        a_refusal_is_counted_for_its_operation_step_10,
        an_answer_that_leads_out_of_the_area_is_not_followed_host_055_host_056_host_328,
        a_live_token_needs_no_random_bytes,
    }
    stopping {
        cancelling_settles_and_closes_the_port_host_195,
        the_last_handle_closes_the_port,
        forgetting_is_done_on_return,
        everybody_who_logs_out_hears_how_it_ended_host_242,
        a_session_dropped_in_mid_refresh_leaves_no_lease,
        a_session_goes_on_from_its_snapshot,
        without_random_bytes_nothing_is_sent_host_164,
        a_program_that_may_ask_nobody_is_told_so,
        nobody_listens_where_the_port_is_taken_host_197,
        a_storm_leaves_nobody_waiting,
    }
    vault {
        two_servers_and_two_accounts_are_listed_and_one_is_logged_out_host_296,
    }
    observing {
        an_observer_that_panics_harms_nobody,
        a_wait_inside_an_observer_is_refused,
        quiet_waits_for_work_and_for_no_person,
    }
    recording {
        every_step_is_recorded_and_replays,
    }
}
