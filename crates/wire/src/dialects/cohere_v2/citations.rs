//! Citations stand beside a message's content and say which block they are for
//! (<https://docs.cohere.com/docs/rag-citations>); in the representation they are annotations of that text.

use serde_json::value::RawValue;

use crate::{
    Fault,
    ir::{Part, PartKind},
    json::{Object, Raw},
};

/// What a citation is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Cited {
    /// The content block of this number.
    Block(u64),
    /// A text, and no other is named: the first one.
    Text,
    /// The plan or the thoughts, which have no annotations.
    Other,
}

/// Reads what a citation is for.
pub(super) fn cited(raw: &RawValue) -> Result<Cited, Fault> {
    let mut citation = Object::from_raw(raw)?;
    let kind = citation.string("type")?;
    if kind.is_some_and(|kind| kind != "TEXT_CONTENT") {
        return Ok(Cited::Other);
    }
    Ok(citation.unsigned("content_index")?.map_or(Cited::Text, Cited::Block))
}

/// Gives each citation to the text that it is for. What is for no text, and what comes behind that, is handed back
/// as it stood: so the list can be put together again in its order.
pub(super) fn attach(parts: &mut [Part], citations: Vec<&RawValue>) -> Result<Vec<Raw>, Fault> {
    let first = parts.iter().position(|part| matches!(part.kind, PartKind::Text { .. }));
    let mut left = Vec::new();
    let mut last = 0;
    for (at, raw) in citations.into_iter().enumerate() {
        let target = match cited(raw).map_err(|fault| fault.under(&format!("citations[{at}]")))? {
            Cited::Block(number) => usize::try_from(number).ok(),
            Cited::Text => first,
            Cited::Other => None,
        };
        let target = target.filter(|target| left.is_empty() && *target >= last);
        let part = target.and_then(|target| parts.get_mut(target));
        match (part.map(|part| &mut part.kind), target) {
            (Some(PartKind::Text { annotations, .. }), Some(target)) => {
                annotations.push(Raw::new(raw));
                last = target;
            }
            _ => left.push(Raw::new(raw)),
        }
    }
    Ok(left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    #[test]
    fn a_citation_goes_to_its_text() {
        let check = |citations: &str, on_texts: [usize; 2], left: usize| {
            let thought = Part::new(PartKind::Reasoning { text: "t".to_owned(), signature: None });
            let mut parts = [thought, Part::text("one"), Part::text("two")];
            let raw = Raw::parse(citations).unwrap();
            let rest = attach(&mut parts, json::array(raw.value()).unwrap()).unwrap();
            let count = |part: &Part| match &part.kind {
                PartKind::Text { annotations, .. } => annotations.len(),
                _ => 0,
            };
            assert_eq!([count(&parts[1]), count(&parts[2])], on_texts, "{citations}");
            assert_eq!(rest.len(), left, "{citations}");
        };
        check(r#"[{"start":0,"end":1}]"#, [1, 0], 0);
        check(r#"[{"content_index":1},{"content_index":2,"type":"TEXT_CONTENT"}]"#, [1, 1], 0);
        check(r#"[{"content_index":2},{"content_index":1}]"#, [0, 1], 1);
        check(r#"[{"type":"PLAN"},{"content_index":1}]"#, [0, 0], 2);
        check(r#"[{"content_index":0},{"content_index":99}]"#, [0, 0], 2);
    }
}
