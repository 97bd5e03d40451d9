//! Forms with files, read whole.

use std::collections::BTreeMap;

/// One field of a form.
pub(crate) struct Field {
    pub(crate) file_name: Option<String>,
    pub(crate) bytes: Vec<u8>,
}

/// The fields by name; `None` where the body is no such form.
pub(super) fn fields(kind: &str, body: &[u8]) -> Option<BTreeMap<String, Field>> {
    let (_, boundary) = kind.strip_prefix("multipart/form-data")?.split_once("boundary=")?;
    let delimiter = format!("--{}", boundary.trim_matches('"'));
    // Bytes as characters of the same number: files survive the way there and back.
    let text: String = body.iter().map(|&byte| char::from(byte)).collect();
    let mut fields = BTreeMap::new();
    for part in text.split(&delimiter).skip(1) {
        let Some((head, value)) = part.split_once("\r\n\r\n") else { continue };
        let named = |name: &str| {
            let (_, rest) = head.split_once(&format!("{name}=\""))?;
            rest.split_once('"').map(|(value, _)| value.to_owned())
        };
        let value = value.strip_suffix("\r\n").unwrap_or(value);
        let bytes = value.chars().filter_map(|letter| u8::try_from(u32::from(letter)).ok()).collect();
        // `filename="…"` holds `name="…"` as well, and stands behind it.
        fields.insert(named(" name")?, Field { file_name: named("filename"), bytes });
    }
    Some(fields)
}
