//! The field that names the model in a form with files (RFC 7578), found without keeping the files.

use std::ops::Range;

use memchr::memmem;

use crate::Fault;

/// The longest head of a part.
const HEAD_BYTES_MAX: usize = 8 << 10;
/// The longest boundary (RFC 2046, section 5.1.1).
const BOUNDARY_BYTES_MAX: usize = 70;

/// What is known after some bytes of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// Where the field's value stands.
    At(Range<usize>),
    /// It may still come.
    NotYet,
    /// The body has ended without it.
    Absent,
}

/// Looks for one field.
#[derive(Clone, Debug)]
pub struct Multipart {
    /// What stands between parts: two hyphens and the boundary.
    delimiter: Vec<u8>,
    /// Where the part begins that is looked at.
    from: usize,
    /// Up to where its end was looked for.
    searched: usize,
}

impl Multipart {
    /// Takes the content type, which names the boundary.
    pub fn new(content_type: &str) -> Result<Multipart, Fault> {
        let wrong = |message: &str| Err(Fault::invalid("", message).code("invalid_multipart"));
        let mut parts = content_type.split(';').map(str::trim);
        if !parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("multipart/form-data")) {
            return wrong("the body must be multipart/form-data");
        }
        let boundary = parts.find_map(|part| {
            let (name, value) = part.split_once('=')?;
            name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim().trim_matches('"'))
        });
        match boundary {
            Some(boundary) if (1..=BOUNDARY_BYTES_MAX).contains(&boundary.len()) => {
                Ok(Multipart { delimiter: format!("--{boundary}").into_bytes(), from: 0, searched: 0 })
            }
            Some(_) | None => wrong("the content type names no boundary of 1 to 70 characters"),
        }
    }

    /// Looks at what there is of a body, which holds what it held before and more.
    pub fn find(&mut self, body: &[u8], name: &str) -> Result<Field, Fault> {
        loop {
            let Some(start) = self.delimiter_at(body, self.from) else { return Ok(Field::NotYet) };
            let head_at = start + self.delimiter.len();
            match body.get(head_at..head_at + 2) {
                None => return Ok(Field::NotYet),
                Some(b"--") => return Ok(Field::Absent),
                Some(_) => {}
            }
            let rest = body.get(head_at..).unwrap_or_default();
            let Some(length) = memmem::find(rest, b"\r\n\r\n") else {
                if rest.len() > HEAD_BYTES_MAX {
                    return Err(Fault::invalid("", "a part's head is too long").code("invalid_multipart"));
                }
                return Ok(Field::NotYet);
            };
            let value_at = head_at + length + 4;
            let Some(end) = self.delimiter_at(body, value_at.max(self.searched)) else {
                // What comes next may begin a delimiter that has begun here.
                self.searched = body.len().saturating_sub(self.delimiter.len() + 2);
                return Ok(Field::NotYet);
            };
            if named(rest.get(..length).unwrap_or_default(), name) {
                // The line end before a delimiter belongs to it.
                return Ok(Field::At(value_at..end.saturating_sub(2).max(value_at)));
            }
            (self.from, self.searched) = (end, end);
        }
    }

    /// Where a delimiter stands, at the beginning or behind a line end.
    fn delimiter_at(&self, body: &[u8], from: usize) -> Option<usize> {
        let found = memmem::find_iter(body.get(from..)?, &self.delimiter).map(|at| from + at);
        let on_a_line =
            |at: &usize| at.checked_sub(2).is_none_or(|before| body.get(before..*at) == Some(b"\r\n"));
        found.into_iter().find(on_a_line)
    }
}

/// Whether a part's head is that of a field.
fn named(head: &[u8], name: &str) -> bool {
    let head = String::from_utf8_lossy(head);
    let disposition = head.lines().find_map(|line| {
        let (header, value) = line.split_once(':')?;
        header.trim().eq_ignore_ascii_case("content-disposition").then_some(value)
    });
    let parameters = disposition.into_iter().flat_map(|value| value.split(';').skip(1));
    let mut names = parameters.filter_map(|parameter| parameter.trim().strip_prefix("name="));
    names.next().is_some_and(|found| found.trim_matches('"') == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\nRI--bFF\r\n\
                        --b\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nwhisper\r\n--b--\r\n";

    #[test]
    fn a_field_is_found_as_the_body_comes() {
        let whole = BODY.find("whisper").unwrap();
        for length in 0..=BODY.len() {
            let mut form = Multipart::new("multipart/form-data; boundary=b").unwrap();
            let (first, _) = BODY.as_bytes().split_at(length);
            let early = form.find(first, "model").unwrap();
            assert!(matches!(early, Field::NotYet) || length > whole + 7, "after {length} bytes: {early:?}");
            let found = form.find(BODY.as_bytes(), "model").unwrap();
            assert_eq!(found, Field::At(whole..whole + 7), "after {length} bytes");
        }
    }

    #[test]
    fn what_is_not_there_is_absent() {
        let mut form = Multipart::new("multipart/form-data; boundary=\"b\"").unwrap();
        assert_eq!(form.find(BODY.as_bytes(), "prompt").unwrap(), Field::Absent);
    }

    #[test]
    fn other_bodies_are_refused() {
        for kind in ["application/json", "multipart/form-data", "multipart/form-data; boundary="] {
            assert!(Multipart::new(kind).is_err(), "{kind}");
        }
        let mut form = Multipart::new("multipart/form-data; boundary=b").unwrap();
        let long = format!("--b\r\n{}", "x".repeat(HEAD_BYTES_MAX + 10));
        assert!(form.find(long.as_bytes(), "model").is_err());
    }
}
