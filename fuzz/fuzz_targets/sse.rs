#![no_main]

#[path = "../../tests/glue/event_stream.rs"]
mod event_stream;

libfuzzer_sys::fuzz_target!(|data: &[u8]| event_stream::sse(data));
