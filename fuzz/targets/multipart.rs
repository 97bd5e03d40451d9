#![no_main]

use wire::{Field, Multipart};

const NAME: &str = "model";

// A field is found in the same place whatever the pieces, and is not told from bytes that have not come.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((pieces, body)) = tollgate_fuzz::pieces(data) else { return };
    let whole = Multipart::new("multipart/form-data; boundary=b").expect("a content type").find(body, NAME);
    let mut form = Multipart::new("multipart/form-data; boundary=b").expect("a content type");
    for end in pieces {
        match form.find(&body[..end], NAME) {
            Ok(Field::NotYet) => {}
            Ok(Field::At(range)) => {
                assert!(range.end <= end);
                return assert_eq!(whole, Ok(Field::At(range)), "in pieces");
            }
            Ok(Field::Absent) => return assert_eq!(whole, Ok(Field::Absent), "in pieces"),
            // A head that is too long may be long enough only later, or end in time.
            Err(_) => return,
        }
    }
    assert!(matches!(whole, Ok(Field::NotYet)), "{whole:?} whole, and not in pieces");
});
