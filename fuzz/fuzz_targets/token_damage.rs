#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mcp_authz_tests::fuzz_bodies::token_damage(data));
