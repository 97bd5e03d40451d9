//! YAML as a tree whose every node knows where it was written.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use serde_json::{Map, Number, Value as Json};

/// The largest file.
const FILE_BYTES_MAX: usize = 4 << 20;
/// The most nodes that one file comes to, aliases resolved.
const NODES_MAX: usize = 200_000;
/// How deep lists and maps may stand in each other.
const DEPTH_MAX: usize = 64;

/// Where something was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// The file's number in the order in which files were read.
    pub(super) file: usize,
    pub(super) line: usize,
    pub(super) column: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Boolean(bool),
    /// As it was typed.
    Number(String),
    Text(String),
    List(Vec<Node>),
    /// In the order of the file; the place is that of the name.
    Map(Vec<(String, Place, Node)>),
}

/// Something that is wrong with the YAML itself.
pub(super) type Fault = (Place, String);

impl Node {
    /// Reads the one document of a file. Duplicate names are collected; anything else ends the reading.
    pub(super) fn parse(text: &str, file: usize, faults: &mut Vec<Fault>) -> Option<Node> {
        if text.len() > FILE_BYTES_MAX {
            faults.push((
                Place { file, line: 1, column: 1 },
                format!("the file is over {FILE_BYTES_MAX} bytes"),
            ));
            return None;
        }
        let mut reader =
            Reader { parser: Parser::new_from_str(text), file, anchors: HashMap::new(), nodes: 0, faults };
        match reader.document() {
            Ok(node) => Some(node),
            Err(fault) => {
                faults.push(fault);
                None
            }
        }
    }

    /// The node at a path such as `models.smart.targets[1]`, or the last one on the way to it.
    pub(super) fn nearest(&self, path: &str) -> &Node {
        let mut node = self;
        let mut rest = path;
        while !rest.is_empty() {
            let Some((next, left)) = node.step(rest) else { return node };
            node = next;
            rest = left;
        }
        node
    }

    /// One step along a path. Names may hold dots, so the longest name that fits is taken.
    fn step<'p>(&self, path: &'p str) -> Option<(&Node, &'p str)> {
        match &self.value {
            Value::List(items) => {
                let (number, left) = path.strip_prefix('[')?.split_once(']')?;
                let node = items.get(number.parse::<usize>().ok()?)?;
                Some((node, left.strip_prefix('.').unwrap_or(left)))
            }
            Value::Map(members) => {
                let fits = |name: &str| {
                    let left = path.strip_prefix(name)?;
                    (left.is_empty() || left.starts_with(['.', '[']))
                        .then(|| left.strip_prefix('.').unwrap_or(left))
                };
                let fitting =
                    members.iter().filter_map(|(name, _, node)| Some((name.len(), node, fits(name)?)));
                fitting.max_by_key(|(length, ..)| *length).map(|(_, node, left)| (node, left))
            }
            Value::Null | Value::Boolean(_) | Value::Number(_) | Value::Text(_) => None,
        }
    }

    /// The same tree for JSON, which has no places.
    pub(super) fn from_json(json: &Json) -> Node {
        let value = match json {
            Json::Null => Value::Null,
            Json::Bool(value) => Value::Boolean(*value),
            Json::Number(number) => Value::Number(number.to_string()),
            Json::String(text) => Value::Text(text.clone()),
            Json::Array(items) => Value::List(items.iter().map(Node::from_json).collect()),
            Json::Object(members) => {
                let node = |(name, value): (&String, &Json)| {
                    (name.clone(), Place::default(), Node::from_json(value))
                };
                Value::Map(members.iter().map(node).collect())
            }
        };
        Node { place: Place::default(), value }
    }

    pub(super) fn to_json(&self) -> Json {
        match &self.value {
            Value::Null => Json::Null,
            Value::Boolean(value) => Json::Bool(*value),
            Value::Number(text) => number(text).map_or_else(|| Json::String(text.clone()), Json::Number),
            Value::Text(text) => Json::String(text.clone()),
            Value::List(items) => Json::Array(items.iter().map(Node::to_json).collect()),
            Value::Map(members) => {
                let members = members.iter().map(|(name, _, node)| (name.clone(), node.to_json()));
                Json::Object(members.collect::<Map<_, _>>())
            }
        }
    }
}

impl Value {
    pub(super) fn describe(&self) -> &'static str {
        match self {
            Value::Null => "nothing",
            Value::Boolean(_) => "true or false",
            Value::Number(_) => "a number",
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }
}

fn number(text: &str) -> Option<Number> {
    if let Ok(whole) = text.parse::<i64>() {
        return Some(whole.into());
    }
    Number::from_f64(text.parse().ok()?)
}

struct Reader<'t, 'f> {
    parser: Parser<'t, saphyr_parser::StrInput<'t>>,
    file: usize,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    faults: &'f mut Vec<Fault>,
}

impl<'t> Reader<'t, '_> {
    fn document(&mut self) -> Result<Node, Fault> {
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamStart | Event::DocumentStart(_) | Event::Nothing => {}
                Event::StreamEnd | Event::DocumentEnd => {
                    return Ok(Node { place: self.place(&span), value: Value::Map(Vec::new()) });
                }
                event => return self.node(event, &span, 0),
            }
        }
    }

    fn node(&mut self, event: Event<'t>, span: &Span, depth: usize) -> Result<Node, Fault> {
        let place = self.place(span);
        self.nodes += 1;
        if depth > DEPTH_MAX || self.nodes > NODES_MAX {
            return Err((place, "the file is nested too deeply or has too many values".to_owned()));
        }
        let (anchor, value) = match event {
            Event::Scalar(text, style, anchor, _) => (anchor, scalar(&text, style)),
            Event::SequenceStart(anchor, _) => (anchor, self.list(depth)?),
            Event::MappingStart(anchor, _) => (anchor, self.map(depth)?),
            Event::Alias(anchor) => {
                let known = self.anchors.get(&anchor).cloned();
                let node = known.ok_or_else(|| (place, "an alias has no anchor before it".to_owned()))?;
                self.nodes += size(&node);
                return Ok(Node { place, value: node.value });
            }
            _ => return Err((place, "something that is no value".to_owned())),
        };
        let node = Node { place, value };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Value, Fault> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Value::List(items)),
                (event, span) => items.push(self.node(event, &span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, Fault> {
        let mut members: Vec<(String, Place, Node)> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                return Ok(Value::Map(members));
            }
            let place = self.place(&span);
            let Event::Scalar(name, ..) = event else {
                return Err((place, "a name must be a text".to_owned()));
            };
            let (event, span) = self.next()?;
            let node = self.node(event, &span, depth + 1)?;
            if members.iter().any(|(known, ..)| *known == name) {
                self.faults.push((place, format!("\"{name}\" stands twice here; keep one of them")));
            } else {
                members.push((name.into_owned(), place, node));
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'t>, Span), Fault> {
        match self.parser.next_event() {
            Some(Ok(found)) => Ok(found),
            Some(Err(error)) => {
                let place =
                    Place { file: self.file, line: error.marker().line(), column: error.marker().col() + 1 };
                Err((place, format!("is no valid YAML: {}", error.info())))
            }
            None => {
                Err((Place { file: self.file, line: 1, column: 1 }, "the file ends too early".to_owned()))
            }
        }
    }

    fn place(&self, span: &Span) -> Place {
        Place { file: self.file, line: span.start.line(), column: span.start.col() + 1 }
    }
}

fn size(node: &Node) -> usize {
    match &node.value {
        Value::List(items) => 1 + items.iter().map(size).sum::<usize>(),
        Value::Map(members) => 1 + members.iter().map(|(.., node)| size(node)).sum::<usize>(),
        Value::Null | Value::Boolean(_) | Value::Number(_) | Value::Text(_) => 1,
    }
}

/// YAML 1.2's core schema.
fn scalar(text: &str, style: ScalarStyle) -> Value {
    if !matches!(style, ScalarStyle::Plain) {
        return Value::Text(text.to_owned());
    }
    match text {
        "" | "~" | "null" => Value::Null,
        "true" => Value::Boolean(true),
        "false" => Value::Boolean(false),
        _ if text.starts_with(|first: char| first.is_ascii_digit() || first == '-')
            && number(text).is_some() =>
        {
            Value::Number(text.to_owned())
        }
        _ => Value::Text(text.to_owned()),
    }
}
