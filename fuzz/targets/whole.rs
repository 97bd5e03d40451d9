#![no_main]

use wire::Mode;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Some((dialect, bytes)) = tollgate_fuzz::choose(data) {
        tollgate_fuzz::answer(dialect, Mode::Whole, bytes);
    }
});
