//! One entry as it stands in a file: its length, a checksum, its kind, and its fields in postcard's form
//! (<https://postcard.jamesmunns.com/wire-format>), which has no names in it.
//!
//! The kind says the version of the form too: whoever changes [`Note`] or [`Record`] takes new kinds, and goes on
//! reading the old ones for one release, so that an upgrade after a crash loses nothing.

use policy::record::{Note, Posting, Record};
use serde::Serialize;

/// Length and checksum, each a `u32` with the low byte first, then the kind.
const HEADER_BYTES: usize = 9;
/// The most that one entry's fields take; a longer one is damage.
pub(super) const ENTRY_BYTES_MAX: usize = 1 << 20;

const NOTE: u8 = 10;
/// A record and its postings.
const DONE: u8 = 11;

/// What was read of a file.
#[derive(Default)]
pub(super) struct Entries<'a> {
    pub(super) notes: Vec<Note<'a>>,
    pub(super) records: Vec<Record<'a>>,
}

/// What the bytes at one place hold.
pub(super) enum Found {
    /// An entry of so many bytes.
    Entry(usize),
    /// The beginning of an entry.
    Part,
    Damage,
}

pub(super) fn push_note(buffer: &mut Vec<u8>, note: &Note<'_>) {
    push(buffer, NOTE, note);
}

pub(super) fn push_done(buffer: &mut Vec<u8>, record: &Record<'_>) {
    push(buffer, DONE, &(record, &record.postings));
}

fn push(buffer: &mut Vec<u8>, kind: u8, fields: &impl Serialize) {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; HEADER_BYTES - 1]);
    buffer.push(kind);
    let tail = postcard::to_extend(fields, Tail(buffer)).expect("plain data always serialises into memory");
    let buffer = tail.0;
    let Some((header, body)) = buffer.get_mut(start..).and_then(|entry| entry.split_at_mut_checked(8)) else {
        return;
    };
    let length = u32::try_from(body.len() - 1).unwrap_or(u32::MAX);
    let checksum = crc32fast::hash(body);
    let (length_at, checksum_at) = header.split_at_mut(4);
    length_at.copy_from_slice(&length.to_le_bytes());
    checksum_at.copy_from_slice(&checksum.to_le_bytes());
}

/// Lets postcard write behind what a buffer holds.
struct Tail<'a>(&'a mut Vec<u8>);

impl Extend<u8> for Tail<'_> {
    fn extend<T: IntoIterator<Item = u8>>(&mut self, bytes: T) {
        self.0.extend(bytes);
    }
}

/// Reads what stands at the beginning of these bytes.
pub(super) fn read<'a>(bytes: &'a [u8], entries: &mut Entries<'a>) -> Found {
    let Some((length, rest)) = bytes.split_first_chunk::<4>() else { return Found::Part };
    let Some((checksum, rest)) = rest.split_first_chunk::<4>() else { return Found::Part };
    let length = u32::from_le_bytes(*length) as usize;
    if length > ENTRY_BYTES_MAX {
        return Found::Damage;
    }
    let Some(body) = rest.get(..length + 1) else { return Found::Part };
    if crc32fast::hash(body) != u32::from_le_bytes(*checksum) {
        return Found::Damage;
    }
    let entry = match body.split_first() {
        Some((&NOTE, fields)) => postcard::from_bytes(fields).map(|note| entries.notes.push(note)),
        Some((&DONE, fields)) => {
            postcard::from_bytes(fields).map(|(record, postings): (Record<'a>, Vec<Posting>)| {
                entries.records.push(Record { postings, ..record });
            })
        }
        _ => return Found::Damage,
    };
    entry.map_or(Found::Damage, |()| Found::Entry(HEADER_BYTES + length))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use policy::principal::Stand;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn records_are_read_as_they_were_written() {
        let note = Note {
            id: Uuid::from_u128(1),
            started_us: 2,
            key_id: Uuid::nil(),
            key_name: "app".into(),
            operation: "chat".into(),
            dialect: "openai_chat".into(),
            model_asked: "m".into(),
            provider: "p".into(),
            model: "m".into(),
            stream: false,
            stand: Stand { team: Some(Uuid::from_u128(9)), ..Stand::default() },
            end_user: Some("kim".into()),
            experiment: None,
        };
        let plain = Record::from(note);
        let posting = Posting { bucket: Uuid::from_u128(3), slot_us: 60, amount: -7, until_us: 120 };
        let tags = BTreeMap::from([("tier".to_owned(), "1".to_owned())]);
        let posted = Record { postings: vec![posting], tags, ..plain.clone() };
        let mut bytes = Vec::new();
        push_done(&mut bytes, &plain);
        let first = bytes.len();
        push_done(&mut bytes, &posted);
        let (first, second) = bytes.split_at(first);
        let mut entries = Entries::default();
        assert!(matches!(read(first, &mut entries), Found::Entry(length) if length == first.len()));
        assert!(matches!(read(second, &mut entries), Found::Entry(length) if length == second.len()));
        assert_eq!(entries.records, [plain, posted]);
    }
}
