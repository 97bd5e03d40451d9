//! Reads a configuration: files, includes, variables, schema, meaning.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{
    Sources,
    check::check,
    compile::{compile, stores},
    draft::Draft,
    encryption::Offline,
    node::{Node, Place, Value},
    problem::{Problem, Problems},
    reference::schema,
    secrets::wanted,
};
use crate::{
    Snapshot,
    secret_store::{SecretStore, StoredName},
};

/// How deep files may include each other.
const INCLUDE_DEPTH_MAX: usize = 8;

/// A configuration that holds, and what is odd about it.
pub struct Loaded {
    pub snapshot: Snapshot,
    pub warnings: Vec<Problem>,
}

/// A configuration whose stores of secrets have not been asked yet.
pub struct Unresolved {
    folder: PathBuf,
    files: Vec<PathBuf>,
    tree: Node,
    draft: Draft,
    stores: BTreeMap<String, SecretStore>,
    offline: Option<Offline>,
}

/// Loads a file and everything that it includes, where no store of secrets is to be asked.
pub fn load(path: &Path, sources: &dyn Sources) -> Result<Loaded, Problems> {
    read(path, sources)?.resolve(sources)
}

/// Reads a file and everything that it includes, up to what stores of secrets have to say.
pub fn read(path: &Path, sources: &dyn Sources) -> Result<Unresolved, Problems> {
    let mut loader = Loader { sources, files: Vec::new(), problems: Vec::new() };
    let tree = loader.file(path, 0);
    let Some(mut tree) = tree.filter(|_| loader.problems.is_empty()) else {
        return Err(loader.into_problems());
    };
    loader.substitute(&mut tree);
    for (place, path, message) in check(&schema(), &tree) {
        loader.report(place, path, message);
    }
    if !loader.problems.is_empty() {
        return Err(loader.into_problems());
    }
    let mut draft: Draft = match serde_json::from_value(tree.to_json()) {
        Ok(draft) => draft,
        Err(error) => {
            loader.report(tree.place, String::new(), error.to_string());
            return Err(loader.into_problems());
        }
    };
    let folder = path.parent().map(Path::to_owned).unwrap_or_default();
    match stores(&mut draft, &folder, sources) {
        Ok((stores, offline)) => Ok(Unresolved { folder, files: loader.files, tree, draft, stores, offline }),
        Err(faults) => {
            let located =
                faults.into_iter().map(|(path, message)| locate(&loader.files, &tree, path, message));
            loader.problems.extend(located);
            Err(loader.into_problems())
        }
    }
}

impl Unresolved {
    pub fn stores(&self) -> &BTreeMap<String, SecretStore> {
        &self.stores
    }

    /// What values of its stores are kept by; nothing where none are.
    pub fn offline(&self) -> Option<&Offline> {
        self.offline.as_ref()
    }

    /// What of its stores may be asked for; a text that only looks like a reference may be among it.
    pub fn wanted(&self) -> Vec<StoredName> {
        wanted(&self.tree, &self.stores)
    }

    /// What is wrong with the setting at this path, told with its place.
    pub fn problem(&self, path: &str, message: String) -> Problem {
        locate(&self.files, &self.tree, path.to_owned(), message)
    }

    /// Gives everything its meaning.
    pub fn resolve(self, sources: &dyn Sources) -> Result<Loaded, Problems> {
        let (compiled, warnings) =
            compile(self.draft, &self.folder, sources, &self.stores, self.files.clone());
        let locate = |(path, message)| locate(&self.files, &self.tree, path, message);
        let warnings = warnings.into_iter().map(locate).collect();
        match compiled {
            Ok(snapshot) => Ok(Loaded { snapshot, warnings }),
            Err(faults) => Err(sorted(faults.into_iter().map(locate).collect())),
        }
    }
}

struct Loader<'s> {
    sources: &'s dyn Sources,
    files: Vec<PathBuf>,
    problems: Vec<Problem>,
}

impl Loader<'_> {
    fn file(&mut self, path: &Path, depth: usize) -> Option<Node> {
        let number = self.files.len();
        let start = Place { file: number, line: 1, column: 1 };
        self.files.push(path.to_owned());
        let text = match self.sources.read_file(path) {
            Ok(text) => text,
            Err(error) => {
                self.report(start, String::new(), format!("cannot be read: {error}"));
                return None;
            }
        };
        let mut faults = Vec::new();
        let tree = Node::parse(&text, number, &mut faults);
        for (place, message) in faults {
            self.report(place, String::new(), message);
        }
        let mut tree = tree?;
        if tree.value == Value::Null {
            tree.value = Value::Map(Vec::new());
        }
        for (place, name) in take_includes(&mut tree) {
            let included = path.parent().unwrap_or(Path::new("")).join(&name);
            if depth >= INCLUDE_DEPTH_MAX || self.files.contains(&included) {
                let message = format!("\"{name}\" is included already, or too deeply");
                self.report(place, "include".to_owned(), message);
            } else if let Some(other) = self.file(&included, depth + 1) {
                self.merge(&mut tree, other, "");
            }
        }
        Some(tree)
    }

    fn merge(&mut self, into: &mut Node, from: Node, path: &str) {
        match (&mut into.value, from.value) {
            (Value::Map(members), Value::Map(others)) => {
                for (name, place, node) in others {
                    let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    match members.iter_mut().find(|(known, ..)| *known == name) {
                        Some((.., known)) => self.merge(known, node, &path),
                        None => members.push((name, place, node)),
                    }
                }
            }
            (Value::List(items), Value::List(others)) => items.extend(others),
            (_, _) => {
                let first = file_name(&self.files, into.place.file);
                let message = format!("stands in {first}:{} as well; keep one of them", into.place.line);
                self.report(from.place, path.to_owned(), message);
            }
        }
    }

    /// Puts the environment's values in place of `${NAME}` and `${NAME:-default}`; `$${` is a plain `${`.
    fn substitute(&mut self, node: &mut Node) {
        let place = node.place;
        match &mut node.value {
            Value::List(items) => items.iter_mut().for_each(|item| self.substitute(item)),
            Value::Map(members) => members.iter_mut().for_each(|(.., node)| self.substitute(node)),
            Value::Text(text) if text.contains("${") => match expand(text, self.sources) {
                Ok(expanded) => *text = expanded,
                Err(message) => self.report(place, String::new(), message),
            },
            Value::Text(_) | Value::Null | Value::Boolean(_) | Value::Number(_) => {}
        }
    }

    fn report(&mut self, place: Place, path: String, message: String) {
        let (line, column) = (place.line.max(1), place.column.max(1));
        let file = file_name(&self.files, place.file);
        self.problems.push(Problem { file, line, column, path, message });
    }

    fn into_problems(self) -> Problems {
        sorted(self.problems)
    }
}

fn locate(files: &[PathBuf], tree: &Node, path: String, message: String) -> Problem {
    let place = tree.nearest(&path).place;
    Problem { file: file_name(files, place.file), line: place.line, column: place.column, path, message }
}

fn file_name(files: &[PathBuf], number: usize) -> String {
    files.get(number).map_or_else(String::new, |path| path.display().to_string())
}

fn sorted(mut problems: Vec<Problem>) -> Problems {
    problems.sort_by_key(|problem| (problem.file.clone(), problem.line, problem.column));
    Problems(problems)
}

/// Takes `include` out of a file's tree: what it names is part of the tree afterwards.
fn take_includes(tree: &mut Node) -> Vec<(Place, String)> {
    let Value::Map(members) = &mut tree.value else { return Vec::new() };
    let Some(at) = members.iter().position(|(name, ..)| name == "include") else { return Vec::new() };
    let (.., node) = members.remove(at);
    match node.value {
        Value::Text(name) => vec![(node.place, name)],
        Value::List(items) => {
            let texts = items.into_iter().filter_map(|item| match item.value {
                Value::Text(name) => Some((item.place, name)),
                _ => None,
            });
            texts.collect()
        }
        _ => Vec::new(),
    }
}

fn expand(text: &str, sources: &dyn Sources) -> Result<String, String> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, inside) = (rest.get(..at).unwrap_or_default(), rest.get(at + 2..).unwrap_or_default());
        if let Some(escaped) = before.strip_suffix('$') {
            expanded.push_str(escaped);
            expanded.push_str("${");
            rest = inside;
            continue;
        }
        expanded.push_str(before);
        let Some((name, behind)) = inside.split_once('}') else {
            return Err("\"${\" has no closing \"}\"; write $${ for a plain ${".to_owned());
        };
        let (name, default) = match name.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (name, None),
        };
        match (sources.variable(name), default) {
            (Some(value), _) => expanded.push_str(&value),
            (None, Some(default)) => expanded.push_str(default),
            (None, None) => {
                return Err(format!(
                    "the environment variable {name} is not set; set it, or write ${{{name}:-default}}"
                ));
            }
        }
        rest = behind;
    }
    expanded.push_str(rest);
    Ok(expanded)
}
