//! What a model's quirks make of its answers.

use serde_json::{Value, json};
use tollgate_wire::{
    Dialect, Frame, Kind, Mode, Quirks, ThinkingPlace,
    ir::{Fold, Part, PartKind, StopReason},
};

/// What a stream of chunks with these pieces of text is told as: what was thought and what was said.
fn told(quirks: &Quirks, pieces: &[&str]) -> (String, String) {
    let mut fold = Fold::default();
    let mut reader = Dialect::OpenaiChat.reader_of(Mode::Stream, quirks);
    let mut chunk = |delta: Value, reason: Value| {
        let choices = json!([{"index": 0, "delta": delta, "finish_reason": reason}]);
        let data = json!({"id": "c", "model": "m", "choices": choices}).to_string();
        let frame = Frame { event: None, data: data.as_bytes().into() };
        reader.frame(&frame, &mut |event| fold.event(&event));
    };
    pieces.iter().for_each(|piece| chunk(json!({"content": piece}), Value::Null));
    chunk(json!({}), json!("stop"));
    spoken(fold)
}

/// The same of a whole answer.
fn told_whole(quirks: &Quirks, text: &str) -> (String, String) {
    let mut fold = Fold::default();
    let message = json!({"role": "assistant", "content": text});
    let body = json!({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}).to_string();
    let frame = Frame { event: None, data: body.as_bytes().into() };
    Dialect::OpenaiChat.reader_of(Mode::Whole, quirks).frame(&frame, &mut |event| fold.event(&event));
    spoken(fold)
}

fn spoken(fold: Fold) -> (String, String) {
    let (response, fault) = fold.finish();
    assert_eq!(fault, None);
    let (mut thought, mut said) = (String::new(), String::new());
    for part in response.choices.iter().flat_map(|choice| &choice.parts) {
        match &part.kind {
            PartKind::Reasoning { text, .. } => thought.push_str(text),
            PartKind::Text { text, .. } => said.push_str(text),
            other => assert_eq!(format!("{other:?}"), "thinking or text"),
        }
    }
    (thought, said)
}

#[test]
fn thinking_in_the_text_is_told_as_thinking_wherever_it_is_cut() {
    let check = |thinking, text: &str, thought: &str, said: &str| {
        let quirks = Quirks { thinking, ..Quirks::default() };
        let expected = (thought.to_owned(), said.to_owned());
        assert_eq!(told_whole(&quirks, text), expected, "{text}");
        assert_eq!(told(&quirks, &[text]), expected, "{text}");
        let letters: Vec<String> = text.chars().map(String::from).collect();
        let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
        assert_eq!(told(&quirks, &letters), expected, "{text} letter by letter");
        for (at, _) in text.char_indices() {
            let (first, second) = text.split_at(at);
            assert_eq!(told(&quirks, &[first, second]), expected, "{text} cut at {at}");
        }
    };
    let (tags, open) = (ThinkingPlace::Tags, ThinkingPlace::TagsOpen);
    check(ThinkingPlace::Member, "<think>a</think>b", "", "<think>a</think>b");
    check(tags, "<think>\nOkay, <3 é.\n</think>\n\nYes.", "Okay, <3 é.", "Yes.");
    check(tags, " \n<think>a</think>b", "a", "b");
    check(tags, "<think>\n\n</think>\n\nYes.", "", "Yes.");
    check(tags, "<think>a </ b <</think>c </think> d", "a </ b <", "c </think> d");
    check(
        tags,
        "<thinking is hard> said one <think>a</think>",
        "",
        "<thinking is hard> said one <think>a</think>",
    );
    check(tags, "<think>cut of", "cut of", "");
    check(tags, " <th", "", " <th");
    check(open, "a\n\n b\n</think>\n\nc", "a\n\n b", "c");
    check(open, "<think>a</think>c", "a", "c");
    check(open, "<a>b</think>c", "<a>b", "c");
}

/// Parts are counted anew where one text becomes two, or a thought without a text.
#[test]
fn calls_behind_tagged_thinking_keep_their_arguments() {
    let check = |content: &[&str], expected: &[&str]| {
        let quirks = Quirks { thinking: ThinkingPlace::Tags, ..Quirks::default() };
        let mut fold = Fold::default();
        let mut reader = Dialect::OpenaiChat.reader_of(Mode::Stream, &quirks);
        let mut chunk = |delta: Value| {
            let data = json!({"choices": [{"index": 0, "delta": delta}]}).to_string();
            let frame = Frame { event: None, data: data.as_bytes().into() };
            reader.frame(&frame, &mut |event| fold.event(&event));
        };
        content.iter().for_each(|text| chunk(json!({"content": text})));
        let call =
            |at: u64, id: &str| json!({"index": at, "id": id, "function": {"name": "f", "arguments": ""}});
        let more = |at: u64, text: &str| json!({"index": at, "function": {"arguments": text}});
        for call in [call(0, "a"), more(0, "{\"x\""), call(1, "b"), more(1, "{}"), more(0, ":1}")] {
            chunk(json!({"tool_calls": [call]}));
        }
        let (response, _) = fold.finish();
        let told = |part: &Part| match &part.kind {
            PartKind::Reasoning { text, .. } => format!("thought {text}"),
            PartKind::Text { text, .. } => format!("said {text}"),
            PartKind::ToolCall { id, arguments, .. } => format!("{id} {arguments}"),
            other => format!("{other:?}"),
        };
        let parts: Vec<String> = response.choices[0].parts.iter().map(told).collect();
        assert_eq!(parts, expected);
    };
    let calls = ["a {\"x\":1}", "b {}"];
    let with = |first: &[&'static str]| [first, calls.as_slice()].concat();
    check(&[], &with(&[]));
    check(&["so"], &with(&["said so"]));
    check(&["<think>hm</think>", "\n\nso"], &with(&["thought hm", "said so"]));
    check(&["<think>hm</think>\n"], &with(&["thought hm"]));
    check(&["<think>hm"], &with(&["thought hm"]));
}

#[test]
fn other_tags_are_data() {
    let thinking_tags = Some(["[THINK]".to_owned(), "[/THINK]".to_owned()]);
    let quirks = Quirks { thinking: ThinkingPlace::Tags, thinking_tags, ..Quirks::default() };
    let expected = ("a [/b]".to_owned(), "c".to_owned());
    assert_eq!(told(&quirks, &["[TH", "INK]a [/b][/", "THINK] c"]), expected);
}

/// A server that tells thinking apart leaves none in the text, whatever its quirks say.
#[test]
fn thinking_in_its_own_member_is_not_looked_for_in_the_text() {
    let quirks = Quirks { thinking: ThinkingPlace::TagsOpen, ..Quirks::default() };
    let message = json!({"role": "assistant", "reasoning_content": "a", "content": "b"});
    let body = json!({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}).to_string();
    let mut fold = Fold::default();
    let frame = Frame { event: None, data: body.as_bytes().into() };
    Dialect::OpenaiChat.reader_of(Mode::Whole, &quirks).frame(&frame, &mut |event| fold.event(&event));
    assert_eq!(spoken(fold), ("a".to_owned(), "b".to_owned()));
}

#[test]
fn words_of_other_engines_mean_what_they_say() {
    let check = |word: &str, expected: Result<StopReason, Kind>| {
        let chunk =
            json!({"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": word}]}).to_string();
        let message = json!({"role": "assistant", "content": "a"});
        let whole = json!({"choices": [{"index": 0, "message": message, "finish_reason": word}], "usage": {"prompt_tokens": 3}}).to_string();
        for (mode, frames) in
            [(Mode::Stream, vec![chunk.as_str(), "[DONE]"]), (Mode::Whole, vec![whole.as_str()])]
        {
            let mut fold = Fold::default();
            let mut reader = Dialect::OpenaiChat.reader(mode);
            for data in frames {
                let frame = Frame { event: None, data: data.as_bytes().into() };
                reader.frame(&frame, &mut |event| fold.event(&event));
            }
            let (response, fault) = fold.finish();
            let stop = response.choices[0].stop.as_ref().map(|stop| stop.reason);
            assert_eq!(
                (stop, fault.map(|fault| fault.kind)),
                (expected.ok(), expected.err()),
                "{word} {mode:?}"
            );
        }
    };
    check("stop", Ok(StopReason::End));
    check("eos", Ok(StopReason::End));
    check("COMPLETE", Ok(StopReason::End));
    check("stop_sequence", Ok(StopReason::StopText));
    check("model_length", Ok(StopReason::Length));
    check("model_context_window_exceeded", Ok(StopReason::Length));
    check("tool_use", Ok(StopReason::ToolCalls));
    check("sensitive", Ok(StopReason::ContentFilter));
    check("something_new", Ok(StopReason::Other));
    check("network_error", Err(Kind::Cut));
    check("insufficient_system_resource", Err(Kind::Overloaded));
}
