//! Tool calls, and which result answers which: calls have ids only in newer versions, and results may name just the
//! tool (<https://docs.ollama.com/capabilities/tool-calling>).

use std::{
    borrow::Cow,
    collections::{HashMap, VecDeque},
};

use serde_json::value::RawValue;

use super::kept;
use crate::{
    Fault, Losses, crossing,
    ir::Ext,
    json::{self, Object, ObjectWriter},
};

/// The calls of one conversation.
#[derive(Default)]
pub(super) struct Calls {
    list: Vec<Known>,
    by_id: HashMap<String, usize>,
    /// Calls of the last round without a result: in order, and by the name of their tool.
    open: VecDeque<usize>,
    open_by_name: HashMap<String, VecDeque<usize>>,
}

struct Known {
    id: String,
    name: String,
    answered: bool,
}

impl Calls {
    /// Another message calls: the results that follow are its.
    pub(super) fn begin_round(&mut self) {
        self.open.clear();
        self.open_by_name.clear();
    }

    /// An id for the next call, when it has none.
    pub(super) fn next_id(&self) -> String {
        let mut id = format!("call_ollama_{}", self.list.len());
        while self.by_id.contains_key(&id) {
            id.push('_');
        }
        id
    }

    pub(super) fn add(&mut self, id: &str, name: &str) {
        let at = self.list.len();
        self.list.push(Known { id: id.to_owned(), name: name.to_owned(), answered: false });
        self.by_id.insert(id.to_owned(), at);
        self.open.push_back(at);
        self.open_by_name.entry(name.to_owned()).or_default().push_back(at);
    }

    /// The name of the tool that was called under this id.
    pub(super) fn name(&self, id: &str) -> Option<&str> {
        let at = self.by_id.get(id)?;
        self.list.get(*at).map(|known| known.name.as_str())
    }

    /// A result names its call.
    pub(super) fn answer(&mut self, id: &str) {
        if let Some(known) = self.by_id.get(id).and_then(|at| self.list.get_mut(*at)) {
            known.answered = true;
        }
    }

    /// The id of the call that a result without an id answers: the first one of its tool, or the first one.
    pub(super) fn answer_next(&mut self, name: Option<&str>) -> Option<String> {
        let named = name.and_then(|name| self.open_by_name.get_mut(name));
        let at = named.and_then(|open| first(open, &self.list)).or_else(|| first(&mut self.open, &self.list));
        let known = self.list.get_mut(at?)?;
        known.answered = true;
        Some(known.id.clone())
    }
}

fn first(open: &mut VecDeque<usize>, list: &[Known]) -> Option<usize> {
    while let Some(at) = open.pop_front() {
        if list.get(at).is_some_and(|known| !known.answered) {
            return Some(at);
        }
    }
    None
}

/// A call as it stands in a message.
pub(super) struct Call<'a> {
    pub(super) id: Option<Cow<'a, str>>,
    pub(super) name: Cow<'a, str>,
    /// JSON text; empty where there are none.
    pub(super) arguments: &'a str,
    pub(super) ext: Ext,
}

/// Reads a call, which is the one of that number.
pub(super) fn read(raw: &RawValue, number: u64) -> Result<Call<'_>, Fault> {
    let mut object = Object::from_raw(raw)?;
    let function = object.object("function")?;
    let mut function = function.ok_or_else(|| Fault::invalid("function", "is missing"))?;
    let name = function.string("name").map_err(|fault| fault.under("function"))?;
    let name = name.ok_or_else(|| Fault::invalid("function.name", "is missing"))?;
    let arguments = function.take("arguments").map(RawValue::get).unwrap_or_default();
    let mut marks = Vec::new();
    let id = match object.peek("id").map(RawValue::get) {
        None => {
            marks.push(kept::marked("id"));
            None
        }
        Some("null" | "\"\"") => None,
        Some(_) => object.string("id")?,
    };
    if object.peek("type").is_some_and(|kind| kind.get() == "\"function\"") {
        object.take("type");
        marks.push(kept::marked("type"));
    }
    let index = function.peek("index").map(RawValue::get);
    if object.peek("index").is_none() && index.and_then(|index| index.parse().ok()) == Some(number) {
        function.take("index");
        marks.push(kept::marked("index"));
    }
    let mut ext = object.rest();
    ext.0.extend(marks);
    if !function.is_empty() {
        ext.0.push(("function".to_owned(), kept::rest(function)));
    }
    Ok(Call { id, name, arguments, ext })
}

/// Writes a call. `ext` is what this dialect kept of it.
pub(super) fn write_own(call: (&str, &str, &str), ext: &Ext, number: u64) -> Vec<u8> {
    let (id, name, arguments) = call;
    let mut out = Vec::with_capacity(64 + arguments.len());
    let mut object = ObjectWriter::open(&mut out);
    if ext.get("id").is_none() {
        object.string("id", id);
    }
    if kept::is_marked(ext, "type") {
        object.string("type", "function");
    }
    let mut function = ObjectWriter::open(object.key("function"));
    if kept::is_marked(ext, "index") {
        function.value("index", &number);
    }
    function.string("name", name);
    if !arguments.is_empty() {
        function.raw("arguments", arguments);
    }
    kept::write_members(&mut function, ext.get("function"));
    function.close();
    kept::write(&mut object, ext, &["id", "type", "index"], &["function"]);
    object.close();
    out
}

/// Writes a call of another dialect; its number stands in answers.
pub(super) fn write(
    call: (&str, &str, &str),
    number: Option<u64>,
    path: &str,
    losses: &mut Losses,
) -> Vec<u8> {
    let (id, name, arguments) = call;
    let mut out = Vec::with_capacity(64 + arguments.len());
    let mut object = ObjectWriter::open(&mut out);
    if !id.is_empty() {
        object.string("id", id);
    }
    let mut function = ObjectWriter::open(object.key("function"));
    if let Some(number) = number {
        function.value("index", &number);
    }
    function.string("name", name);
    let place = || format!("{path}.arguments");
    function.raw("arguments", &crossing::arguments(arguments, false, place, losses));
    function.close();
    object.close();
    out
}

/// A list of texts.
pub(super) fn texts(raw: &RawValue) -> Result<Vec<Cow<'_, str>>, Fault> {
    let text = |(at, raw)| json::string(raw).map_err(|fault| fault.under(&format!("[{at}]")));
    json::array(raw)?.into_iter().enumerate().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_find_their_calls() {
        let mut calls = Calls::default();
        calls.begin_round();
        for (id, name) in [("a", "weather"), ("b", "clock"), ("c", "weather")] {
            calls.add(id, name);
        }
        calls.answer("a");
        assert_eq!(calls.answer_next(Some("weather")).as_deref(), Some("c"));
        assert_eq!(calls.answer_next(None).as_deref(), Some("b"));
        assert_eq!(calls.answer_next(Some("weather")), None);
        assert_eq!(calls.name("b"), Some("clock"));
        assert_eq!(calls.next_id(), "call_ollama_3");
        calls.begin_round();
        calls.add("d", "map");
        assert_eq!(calls.answer_next(Some("no such tool")).as_deref(), Some("d"), "by its place");
    }
}
