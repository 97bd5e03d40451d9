//! A text in the configuration's language that is no configuration: what stands in it, and where.

use std::path::PathBuf;

use serde_json::Value as Json;

use super::{
    node::Node,
    problem::{Problem, Problems},
};

/// YAML, or the JSON that YAML takes in, with the place of everything in it.
#[derive(Clone, Debug)]
pub struct Document {
    /// As problems call it.
    file: PathBuf,
    tree: Node,
}

impl Document {
    pub fn read(file: PathBuf, text: &str) -> Result<Document, Problems> {
        let mut faults = Vec::new();
        let tree = Node::parse(text, 0, &mut faults);
        match tree {
            Some(tree) if faults.is_empty() => Ok(Document { file, tree }),
            Some(_) | None => {
                let problem = |(place, message): (super::node::Place, String)| Problem {
                    file: file.display().to_string(),
                    line: place.line.max(1),
                    column: place.column.max(1),
                    path: String::new(),
                    message,
                };
                Err(Problems(faults.into_iter().map(problem).collect()))
            }
        }
    }

    pub fn json(&self) -> Json {
        self.tree.to_json()
    }

    /// A problem at a path such as `teams.search.limits[0]`, where that is written.
    pub fn problem(&self, path: &str, message: &str) -> Problem {
        let place = self.tree.nearest(path).place;
        Problem {
            file: self.file.display().to_string(),
            line: place.line.max(1),
            column: place.column.max(1),
            path: path.to_owned(),
            message: message.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn problems_stand_where_their_path_leads() {
        let text = "teams:\n  a.b:\n    limits:\n      - { requests: many }\n";
        let document = Document::read("r.yaml".into(), text).unwrap();
        assert_eq!(document.json(), json!({"teams": {"a.b": {"limits": [{"requests": "many"}]}}}));
        let check = |path: &str, line: usize| assert_eq!(document.problem(path, "no").line, line, "{path}");
        check("teams.a.b.limits[0].requests", 4);
        check("teams.a.b.limits[9]", 4);
        check("keys", 1);
        let problems = Document::read("r.yaml".into(), "a: 1\na: 2\n").unwrap_err();
        assert_eq!(problems.0.len(), 1);
        assert_eq!((problems.0[0].line, problems.0[0].file.as_str()), (2, "r.yaml"));
        assert!(Document::read("r.json".into(), "{\"a\": [1, \"\\u00e9\"]}").is_ok());
        assert!(Document::read("r.yaml".into(), "a: [").is_err());
    }
}
