//! Which cases an adapter runs: a test each, in the adapter's own test file.

/// The tests of the HTTP port. The argument is a [`Make`](crate::testing::Make).
#[macro_export]
macro_rules! http_contract {
    ($make:expr) => {
        $crate::http_contract! { @cases $make;
            bodies {
                plain_requests_arrive_whole_and_unadorned,
                a_body_over_its_announced_limit_is_not_read_host_064,
                an_endless_body_is_cut_off_and_its_connection_closed_host_065,
                an_encoded_body_is_refused_host_066_host_067,
                a_body_that_trickles_times_out_host_068,
                a_body_cut_short_is_no_answer_host_062,
                a_second_answer_is_dropped_with_its_connection_host_071,
                an_open_event_stream_can_be_left,
                a_stream_is_read_as_it_comes,
                a_stream_that_ends_is_told_from_one_that_is_cut,
                bodiless_answers_are_answers_host_057,
            }
            framing {
                connections_are_kept_for_the_next_request,
                a_kept_connection_that_has_died_is_replaced_host_254,
                heads_over_the_limit_host_069,
                status_lines_that_are_none_host_058,
                lengths_that_are_none_host_063,
                redirects_are_never_followed_host_047_to_host_053,
                cookies_are_neither_kept_nor_sent_host_072,
                interim_answers_are_skipped_host_268,
                nothing_ever_sent_times_out_host_070,
                a_connection_closed_after_the_request_host_254,
            }
            dialling {
                a_dead_port_is_certainly_unsent,
                an_unknown_name_is_certainly_unsent,
                literals_are_judged_before_they_are_dialled_host_033,
                a_name_that_leads_inside_is_not_dialled_host_037,
                localhost_is_no_public_host_host_036,
                only_the_permitted_address_is_dialled_host_038,
                each_connection_is_judged_anew_host_039,
                one_rule_never_widens_another_host_040,
                a_call_has_a_connection_of_its_own_host_065,
            }
            handshake {
                a_trusted_server_is_answered,
                certificates_that_prove_nothing_host_075_prm_19_sec_12,
                protocols_that_are_too_old_or_none_host_075_sec_12,
                a_port_that_speaks_plain_http_is_no_dead_one_host_332,
                a_record_that_trickles_times_out_host_068,
            }
        }
    };
    (@cases $make:expr; $($topic:ident { $($case:ident,)* })*) => {
        $($(
            #[test]
            fn $case() {
                $crate::testing::$topic::$case($make);
            }
        )*)*
    };
}

/// The cases about proxies and the root certificates of a company. The arguments are a
/// [`Make`](crate::testing::proxies::Make) and an [`Ask`](crate::testing::company::Ask).
#[macro_export]
macro_rules! proxy_contract {
    ($make:expr, $ask:expr) => {
        $crate::http_contract! { @cases $make;
            proxies {
                https_goes_through_a_tunnel,
                a_proxy_within_tls_is_trusted_by_a_companys_root,
                a_companys_root_stands_beside_the_others,
                a_proxy_that_refuses_is_named,
                a_proxy_that_is_none_or_not_there_is_named,
                literals_and_special_names_are_judged_before_a_proxy_is_asked_host_033_host_036,
                a_proxy_that_is_forbidden_is_not_asked,
                hosts_that_are_left_out_are_dialled,
                loopback_is_behind_no_proxy,
                as_the_environment_says,
            }
        }
        $crate::http_contract! { @cases $ask;
            company {
                failures_name_the_proxy_and_no_password,
                a_proxy_is_noted_once,
                strict_goes_through_a_proxy_by_a_switch_only,
            }
        }

        #[test]
        fn the_environment_names_the_proxy() {
            $crate::testing::proxies::the_environment_names_the_proxy(::core::module_path!());
        }
    };
}
