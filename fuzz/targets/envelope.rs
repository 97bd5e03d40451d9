#![no_main]

use bytes::Bytes;
use wire::{Edits, Envelope};

// An edited body has the new model, asks for usage, and can be read again.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let body = Bytes::copy_from_slice(data);
    if let Ok(envelope) = Envelope::parse(&body, false) {
        let edited = envelope.edit(&body, &Edits { model: Some("other"), include_usage: true });
        let again = Envelope::parse(&edited, false).expect("an edited body is as good as it was");
        assert_eq!(again.model, "other");
        assert!(again.include_usage);
        assert_eq!(again.stream, envelope.stream);
    }
});
