//! What there is of resources that providers keep: files, batches, stored responses. Only what is listed here is asked
//! for, since what stands below one of their paths may be anything else that a provider sells.

use super::form::{Form, Kind};
use crate::{Fault, Kind as FaultKind, Origin};

/// A method, and what follows the resource's own path; `{id}` stands for one segment.
pub(super) type Shape = (&'static str, &'static str);

/// <https://platform.openai.com/docs/api-reference/files>, and Mistral's address of a file's content
/// (<https://docs.mistral.ai/api/endpoint/files>).
pub(super) static FILES: [Shape; 6] = [
    ("GET", ""),
    ("POST", ""),
    ("GET", "/{id}"),
    ("DELETE", "/{id}"),
    ("GET", "/{id}/content"),
    ("GET", "/{id}/url"),
];

/// <https://platform.openai.com/docs/api-reference/batch>
pub(super) static BATCHES: [Shape; 4] =
    [("GET", ""), ("POST", ""), ("GET", "/{id}"), ("POST", "/{id}/cancel")];

/// <https://platform.openai.com/docs/api-reference/responses>; counting the tokens of one costs nothing either.
pub(super) static STORED_RESPONSES: [Shape; 5] = [
    ("GET", "/{id}"),
    ("DELETE", "/{id}"),
    ("POST", "/{id}/cancel"),
    ("GET", "/{id}/input_items"),
    ("POST", "/input_tokens"),
];

/// The longest id of a resource.
const ID_BYTES_MAX: usize = 256;

impl Form {
    /// Refuses what a resource does not have: `rest` is what follows its own path. Other forms have one path each.
    pub fn check_resource(self, method: &str, rest: &str) -> Result<(), Fault> {
        let Kind::Resource(shapes) = self.formed().kind else { return Ok(()) };
        let mut found = shapes.iter().filter(|(_, shape)| fits(shape, rest)).peekable();
        let kind = if found.peek().is_some() { FaultKind::MethodNotAllowed } else { FaultKind::NotFound };
        if found.any(|(known, _)| *known == method) {
            return Ok(());
        }
        let own = self.formed().routes.first().map_or("", |(path, _)| *path);
        let known: Vec<String> =
            shapes.iter().map(|(known, shape)| format!("{known} {own}{shape}")).collect();
        let shown: String = rest.chars().take(100).collect();
        let message = format!("there is no {method} {own}{shown}; there are {}", known.join(", "));
        let code = if kind == FaultKind::NotFound { "path_not_found" } else { "method_not_allowed" };
        Err(Fault::new(Origin::Client, kind, message).code(code))
    }
}

fn fits(shape: &str, rest: &str) -> bool {
    let mut segments = rest.split('/');
    let fits = |known: &str, segment: &str| if known == "{id}" { is_id(segment) } else { known == segment };
    shape.split('/').all(|known| segments.next().is_some_and(|segment| fits(known, segment)))
        && segments.next().is_none()
}

/// Whether a segment is an id as providers make them, which every server reads alike.
fn is_id(segment: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~:@=+".contains(&byte);
    (1..=ID_BYTES_MAX).contains(&segment.len()) && !segment.starts_with('.') && segment.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_listed_is_there() {
        let check = |form: Form, method: &str, rest: &str, expected: Result<(), FaultKind>| {
            let found = form.check_resource(method, rest).map_err(|fault| fault.kind);
            assert_eq!(found, expected, "{method} {rest}");
        };
        let (files, stored) = (Form::OpenaiFiles, Form::OpenaiStoredResponses);
        check(files, "GET", "", Ok(()));
        check(files, "GET", "/file-1_a.b:c/content", Ok(()));
        check(files, "DELETE", "/f", Ok(()));
        check(Form::OpenaiBatches, "POST", "/batch_1/cancel", Ok(()));
        check(stored, "GET", "/resp_1/input_items", Ok(()));
        check(stored, "POST", "/input_tokens", Ok(()));
        check(Form::OpenaiEmbeddings, "POST", "", Ok(()));
        check(files, "PUT", "/f", Err(FaultKind::MethodNotAllowed));
        check(stored, "POST", "/compact", Err(FaultKind::MethodNotAllowed));
        let aside = [
            "/../chat/completions",
            "/%2e%2e/chat/completions",
            "/..%2fchat/completions",
            "/..;/chat/completions",
        ];
        for rest in aside.into_iter().chain([
            "/",
            "//",
            "/.",
            "/..",
            "/f/",
            "/f//content",
            "/f/content/x",
            "/%66",
            "/f\\x",
        ]) {
            for form in [files, Form::OpenaiBatches, stored] {
                for method in ["GET", "POST", "DELETE"] {
                    check(form, method, rest, Err(FaultKind::NotFound));
                }
            }
        }
        let told = files.check_resource("POST", "/f/fork").unwrap_err().message;
        assert!(
            told.contains("POST /v1/files/f/fork") && told.contains("GET /v1/files/{id}/content"),
            "{told}"
        );
    }
}
