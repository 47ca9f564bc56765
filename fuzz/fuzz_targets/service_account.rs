//! See `tunnel_integration::fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _taken = tunnel_integration::fuzz::service_account(bytes);
});
