//! Places in the representation of a request, as losses name them, and their telling in a dialect's own words.
//!
//! Encoders name a field by its place in the representation: `messages[2].content[0]` is a part, counted as in
//! [`crate::ir::Message`]; `reasoning.effort`, `output.name`, `stop` and the like are members of
//! [`crate::ir::Request`]; `cache` and `annotations` are members of a part. The dialect that the request came from
//! tells them as they stood in its body.

/// A place in a list of messages.
pub(crate) struct Place<'p> {
    pub(crate) message: usize,
    pub(crate) part: Option<usize>,
    /// What follows, as `.cache`.
    pub(crate) rest: &'p str,
}

impl Place<'_> {
    /// Reads `messages[i]` or `messages[i].content[j]`, and what follows.
    pub(crate) fn of(path: &str) -> Option<Place<'_>> {
        let (message, rest) = numbered(path, "messages[")?;
        Some(match numbered(rest, ".content[") {
            Some((part, rest)) => Place { message, part: Some(part), rest },
            None => Place { message, part: None, rest },
        })
    }
}

/// The path with its first or last member in other words: `(from, to)`, the first that fits. `[]` stands for any
/// number in a list.
pub(crate) fn renamed(path: &str, first: &[(&str, &str)], last: &[(&str, &str)]) -> String {
    let fits = |rest: &str| rest.is_empty() || rest.starts_with(['.', '[']);
    let start = first.iter().find_map(|(from, to)| {
        let Some((list, member)) = from.split_once("[]") else {
            let rest = path.strip_prefix(from).filter(|rest| fits(rest))?;
            return Some(format!("{to}{rest}"));
        };
        let (number, rest) = numbered(path, &format!("{list}["))?;
        let rest = rest.strip_prefix(member).filter(|rest| fits(rest))?;
        Some(format!("{}{rest}", to.replacen("[]", &format!("[{number}]"), 1)))
    });
    let path = start.unwrap_or_else(|| path.to_owned());
    let end = last.iter().find_map(|(from, to)| {
        let start = path.strip_suffix(from)?.strip_suffix('.')?;
        Some(format!("{start}.{to}"))
    });
    end.unwrap_or(path)
}

/// The number behind a prefix, and what follows its bracket.
fn numbered<'p>(path: &'p str, prefix: &str) -> Option<(usize, &'p str)> {
    let (number, rest) = path.strip_prefix(prefix)?.split_once(']')?;
    Some((number.parse().ok()?, rest))
}
