#![no_main]

use wire::{Dialect, Encoding, Form, Losses, Quirks};

// What decodes, encodes to every dialect, and decodes there; prompts become chats.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((dialect, body)) = tollgate_fuzz::choose(data) else { return };
    let _ = dialect.decode_fault(500, None, body);
    let quirks = Quirks::default();
    let encoding = Encoding { model: "m", quirks: &quirks, output_tokens_max: None };
    for form in Form::ALL {
        let Ok(Some(work)) = form.read(body, "") else { continue };
        if let Some(prompt) = work.prompt() {
            prompt.encode(dialect, &encoding, &mut Losses::default());
        }
    }
    let Ok(request) = dialect.decode_request(body) else { return };
    for to in Dialect::ALL {
        let mut losses = Losses::default();
        let encoded = to.encode_request(&request, &encoding, &mut losses);
        if to == dialect {
            assert!(losses.is_empty(), "{losses:?}");
            to.decode_request(&encoded).expect("what was decoded can be decoded again");
        }
    }
});
