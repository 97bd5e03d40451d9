//! What became of each field of another gateway's configuration.

use serde_json::{Value, json};

/// How near what was made of a field comes to what it meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Grade {
    /// It means the same.
    Exact,
    /// It means nearly the same; the sentence says what differs.
    Approximate,
    /// A person has to do something, and the sentence says what.
    Manual,
    /// Nothing of it was taken over.
    Unsupported,
}

/// One field, or one column of many rows.
struct Finding {
    /// As `router_settings.num_retries`.
    path: String,
    grade: Grade,
    says: String,
    /// How often it was found.
    count: usize,
}

/// Everything that was found, in the order in which it was read. No value of a field is in it, since any may be a secret.
#[derive(Default)]
pub(super) struct Report {
    findings: Vec<Finding>,
    /// Environment variables that the configuration refers to.
    pub(super) variables: Vec<String>,
    /// What was written, and where.
    pub(super) written: Vec<String>,
}

impl Grade {
    const ALL: [Grade; 4] = [Grade::Exact, Grade::Approximate, Grade::Manual, Grade::Unsupported];

    pub(super) fn name(self) -> &'static str {
        match self {
            Grade::Exact => "exact",
            Grade::Approximate => "approximate",
            Grade::Manual => "manual",
            Grade::Unsupported => "unsupported",
        }
    }
}

impl Report {
    pub(super) fn note(&mut self, path: &str, grade: Grade, says: impl Into<String>) {
        let says = says.into();
        let known = self
            .findings
            .iter_mut()
            .find(|known| known.path == path && known.grade == grade && known.says == says);
        match known {
            Some(known) => known.count += 1,
            None => self.findings.push(Finding { path: path.to_owned(), grade, says, count: 1 }),
        }
    }

    pub(super) fn exact(&mut self, path: &str, says: impl Into<String>) {
        self.note(path, Grade::Exact, says);
    }

    pub(super) fn approximate(&mut self, path: &str, says: impl Into<String>) {
        self.note(path, Grade::Approximate, says);
    }

    pub(super) fn manual(&mut self, path: &str, says: impl Into<String>) {
        self.note(path, Grade::Manual, says);
    }

    pub(super) fn unsupported(&mut self, path: &str, says: impl Into<String>) {
        self.note(path, Grade::Unsupported, says);
    }

    /// As `12 exact, 3 approximate, 1 manual, 0 unsupported`.
    pub(super) fn summary(&self) -> String {
        let counted = Grade::ALL.map(|grade| format!("{} {}", self.count(grade), grade.name()));
        counted.join(", ")
    }

    fn count(&self, grade: Grade) -> usize {
        self.findings.iter().filter(|finding| finding.grade == grade).count()
    }

    /// What a person has to look at comes first.
    pub(super) fn markdown(&self, source: &str) -> String {
        let mut text = format!("# Import from {source}\n\n{}.\n", self.summary());
        let mut list = |title: &str, lines: &[String]| {
            if !lines.is_empty() {
                text.push_str(&format!("\n## {title}\n\n"));
                for line in lines {
                    text.push_str(&format!("- {line}\n"));
                }
            }
        };
        list("What was written", &self.written);
        let variables: Vec<String> = self.variables.iter().map(|name| format!("`{name}`")).collect();
        list("Environment variables that Tollgate needs", &variables);
        text.push_str("\n## Fields\n\n| grade | field | what became of it |\n| --- | --- | --- |\n");
        for grade in Grade::ALL.into_iter().rev() {
            for finding in self.findings.iter().filter(|finding| finding.grade == grade) {
                let often =
                    if finding.count > 1 { format!(" ({} times)", finding.count) } else { String::new() };
                let says = finding.says.replace('|', "\\|");
                let path = finding.path.replace('|', "\\|");
                text.push_str(&format!("| {} | `{path}`{often} | {says} |\n", grade.name()));
            }
        }
        text
    }

    pub(super) fn json(&self, source: &str) -> Value {
        let fields: Vec<Value> = self
            .findings
            .iter()
            .map(|finding| {
                json!({
                    "field": finding.path, "grade": finding.grade.name(), "says": finding.says,
                    "count": finding.count,
                })
            })
            .collect();
        let counts: serde_json::Map<String, Value> =
            Grade::ALL.into_iter().map(|grade| (grade.name().to_owned(), self.count(grade).into())).collect();
        json!({
            "source": source, "counts": counts, "written": self.written, "variables": self.variables,
            "fields": fields,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_same_is_told_once() {
        let mut report = Report::default();
        report.exact("a.b", "it is | so");
        report.exact("a.b", "it is | so");
        report.unsupported("c", "nothing like it");
        assert_eq!(report.summary(), "1 exact, 0 approximate, 0 manual, 1 unsupported");
        let text = report.markdown("x");
        let at = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part} is not in {text}"));
        assert!(at("| unsupported | `c` |") < at("| exact | `a.b` (2 times) | it is \\| so |"));
        assert_eq!(report.json("x")["fields"][0]["count"], 2);
    }
}
