//! Cache points (<https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html>): blocks of their own
//! here, marks on the block before in the representation, which spells them as `cache_control`.

use crate::json::{Object, ObjectWriter, Raw};

/// The mark that a list's element comes to, when it is a cache point and nothing else.
pub(super) fn read(element: &Object<'_>) -> Option<Raw> {
    let mut elements = element.iter();
    let (Some(("cachePoint", raw)), None) = (elements.next(), elements.next()) else { return None };
    spelled(Object::from_raw(raw).ok()?, "default", "ephemeral")
}

/// The cache point that a mark comes to; none when it says anything that a cache point cannot.
pub(super) fn written(mark: &Raw) -> Option<String> {
    let point = spelled(Object::from_raw(mark.value()).ok()?, "ephemeral", "default")?;
    Some(format!("{{\"cachePoint\":{}}}", point.text()))
}

/// The same object with another word for its type. Beside it there is only a lifetime.
fn spelled(mut object: Object<'_>, from: &str, to: &str) -> Option<Raw> {
    let kind = object.string("type").ok().flatten()?;
    let lifetime = object.string("ttl").ok()?;
    if kind != from || !object.is_empty() {
        return None;
    }
    let mut text = Vec::with_capacity(40);
    let mut writer = ObjectWriter::open(&mut text);
    writer.string("type", to);
    if let Some(lifetime) = lifetime {
        writer.string("ttl", &lifetime);
    }
    writer.close();
    Raw::parse(std::str::from_utf8(&text).ok()?)
}
