#![no_main]

use wire::{Dialect, Encoding, Losses, Quirks};

// What decodes, encodes to every dialect, and decodes there.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((dialect, body)) = tollgate_fuzz::choose(data) else { return };
    let _ = dialect.decode_fault(500, None, body);
    let Ok(request) = dialect.decode_request(body) else { return };
    let quirks = Quirks::default();
    let encoding = Encoding { model: "m", quirks: &quirks, output_tokens_max: None };
    for to in Dialect::ALL {
        let mut losses = Losses::default();
        let encoded = to.encode_request(&request, &encoding, &mut losses);
        if to == dialect {
            assert!(losses.is_empty(), "{losses:?}");
            to.decode_request(&encoded).expect("what was decoded can be decoded again");
        }
    }
});
