//! One suite over the three runtimes: the MCP transports against the model server on real sockets.
//!
//! Each case is written once, for a [`faces::Face`], and run on threads, on tokio and on async-std.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that goes wrong panics"
)]
#![forbid(unsafe_code)]

#[path = "transports/eras.rs"]
mod eras;
#[path = "transports/faces.rs"]
mod faces;
#[path = "transports/hostile.rs"]
mod hostile;
#[path = "transports/http_sse.rs"]
mod http_sse;
#[path = "transports/lost.rs"]
mod lost;
#[path = "transports/memory.rs"]
mod memory;
#[path = "transports/modern.rs"]
mod modern;
#[path = "transports/raw.rs"]
mod raw;
#[path = "transports/sessions.rs"]
mod sessions;
#[path = "transports/streams.rs"]
mod streams;
#[path = "transports/tokens.rs"]
mod tokens;
#[path = "transports/tools.rs"]
mod tools;
#[path = "transports/world.rs"]
mod world;

macro_rules! over_all_runtimes {
    ($($topic:ident { $($case:ident,)* })*) => {
        over_all_runtimes! { @runtime ureq $($topic { $($case,)* })* }
        over_all_runtimes! { @runtime tokio $($topic { $($case,)* })* }
        over_all_runtimes! { @runtime async_std $($topic { $($case,)* })* }
    };
    (@runtime $runtime:ident $($topic:ident { $($case:ident,)* })*) => {
        mod $runtime {
            $($(
                #[test]
                fn $case() {
                    super::$topic::$case(super::faces::$runtime);
                }
            )*)*
        }
    };
}

over_all_runtimes! {
    eras {
        every_revision_is_found_out_and_spoken_trans_08_trans_10_trans_27,
        an_old_server_is_reached_over_http_sse_trans_30_trans_31,
        the_era_is_remembered_trans_29,
        a_remembered_era_that_stops_working_is_found_out_anew_trans_29,
        where_nothing_is_an_error_says_so_trans_30,
        what_the_program_wants_is_not_found_out,
        a_server_that_knows_no_discovery_is_asked_to_initialize_trans_91,
        a_discovery_that_no_token_opens_names_the_setting_trans_91,
    }
    lost {
        a_lost_session_in_other_words_is_begun_anew_once_for_everybody_trans_90,
        what_is_no_lost_session_keeps_the_servers_text_trans_90,
        the_servers_text_holds_neither_the_token_nor_the_session_trans_90_trans_26,
        a_401_with_that_code_is_healed_and_the_session_goes_on_trans_90,
        what_carried_no_session_lost_none_trans_90,
        a_server_that_loses_every_session_gets_three_in_a_row_trans_90,
        a_bare_400_that_means_the_request_costs_one_session_trans_90,
        a_stream_of_a_lost_session_is_not_taken_up_trans_90,
        http_sse_streams_are_lost_in_other_words_trans_90,
    }
    sessions {
        a_forgotten_session_is_begun_anew_once_for_everybody_trans_19,
        a_server_that_forgets_for_ever_is_given_up_trans_19,
        a_closed_session_is_deleted_trans_21,
        no_person_is_asked_for_a_farewell_trans_21,
        another_user_gets_another_session_trans_26,
        whoever_goes_away_cancels_trans_24,
        errors_of_the_server_are_told_apart,
    }
    streams {
        a_stream_cut_inside_an_event_goes_on_trans_23,
        ten_thousand_events_over_cuts_and_replaced_tokens_trans_23_trans_25_host_267,
        a_stream_without_identifiers_is_lost_trans_17,
        a_server_that_closes_every_stream_is_given_up_host_265,
        the_servers_own_stream_goes_on_with_another_token_trans_22_trans_25,
        a_server_without_a_stream_of_its_own_trans_22,
    }
    modern {
        annotated_arguments_are_headers_trans_13_trans_14,
        a_tool_with_invalid_annotations_is_not_listed_trans_13,
        ten_thousand_events_in_one_answer,
        a_broken_stream_loses_its_request_trans_17,
        a_lost_list_is_asked_for_again_under_a_fresh_id_trans_17,
        no_response_is_sent_trans_03,
    }
    http_sse {
        answers_find_their_requests,
        ten_thousand_events_on_one_stream,
        a_broken_stream_is_told_and_opened_anew,
        a_forgotten_stream_is_opened_anew,
        what_nobody_hears_is_declined,
        an_endpoint_of_another_origin_gets_nothing_trans_33_host_261,
        an_announced_endpoint_is_in_the_area_for_its_stream_trans_33_host_261,
        an_endpoint_that_two_readers_read_in_two_ways_gets_nothing_host_328,
    }
    hostile {
        what_came_before_a_bad_event_counts,
        a_flood_of_requests_is_no_flood_of_tasks,
        an_opening_that_is_never_answered_ends,
        nothing_of_one_user_goes_on_as_another_trans_26,
        what_nobody_reads_is_not_heaped_up,
        what_nobody_waits_for_asks_nobody,
        a_call_that_a_close_cuts_off_may_have_been_executed,
        a_response_that_never_comes_is_not_awaited_for_ever_trans_24,
    }
    memory {
        an_answer_that_swells_costs_no_more_than_reading_it_host_322,
        a_refusal_that_swells_is_not_read_host_322,
        large_messages_that_nobody_reads_are_not_heaped_up_host_322,
    }
    tools {
        tools_of_all_pages_are_listed,
        a_list_that_never_ends_is_refused,
        a_tool_is_called_by_name,
    }
    tokens {
        a_revoked_or_expired_token_is_replaced_unnoticed_use_05_trans_35,
        a_person_is_asked_for_one_request_alone_if_that_is_wanted_step_02,
        a_programs_headers_go_to_the_mcp_server_alone_host_259,
        a_refused_request_goes_again_as_it_was_trans_35,
        a_400_is_a_refusal_only_with_a_challenge_trans_20,
        more_scope_is_asked_for_unnoticed,
        a_hundred_calls_during_a_rotation_and_one_token_request,
        where_nobody_may_be_asked_an_error_says_so,
        the_token_goes_with_every_request_use_01,
    }
}
