//! How hard a prompt is for a small model.

use std::sync::LazyLock;

use super::{features::features, model::Model};

/// How hard a prompt is, from 0 to 1: the greater, the likelier a small and cheap model answers it worse than a
/// strong one.
///
/// The number is a rank: at 0.7 a prompt is rated harder than seven in ten of the prompts the model was trained
/// on. It is not a probability; how often a small model did worse at which rank stands in
/// `docs/content-routing.md`.
///
/// Of a long text the first 8 KiB and the last 2 KiB are read.
pub fn difficulty(text: &str) -> f32 {
    MODEL.rank(MODEL.score(&features(text)))
}

/// Made by `cargo xtask train-difficulty`.
static MODEL: LazyLock<Model<'static>> = LazyLock::new(|| {
    Model::read(include_bytes!("difficulty.bin")).expect("the file has the size that the trainer gives it")
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_a_share_whatever_the_text() {
        let long = "∑ {x} \n".repeat(100_000);
        for text in ["", " ", "\0", "hello", "你好", "\u{feff}\u{200d}", "$$$$\\\\", "1 2 3", &long] {
            let found = difficulty(text);
            assert!((0.0..=1.0).contains(&found), "{found}");
        }
    }

    #[test]
    fn only_the_beginning_and_the_end_of_a_long_text_are_read() {
        let text = |middle: &str| format!("{}{middle}{}", "word ".repeat(2_000), "end. ".repeat(2_000));
        let [plain, hard] = [text("a "), text("prove the theorem ")].map(|text| difficulty(&text));
        assert!((plain - hard).abs() < f32::EPSILON, "{plain} {hard}");
    }

    #[test]
    fn small_talk_is_easier_than_a_hard_task() {
        let easy = ["hi", "thank you!", "what is the capital of France?", "say hello to my sister"];
        let hard = [
            "Find the degree for the given field extension Q(sqrt(2), sqrt(3), sqrt(18)) over Q.\nA. 0\nB. 4\nC. 2\nD. 6",
            "A train leaves at 9:40 with 120 passengers. At each of 7 stops, 12 percent get off and twice as many as at the stop before get on. How many passengers are in the train after the last stop, if 15 got on at the first?",
        ];
        for (easy, hard) in easy.iter().flat_map(|easy| hard.iter().map(move |hard| (easy, hard))) {
            assert!(
                difficulty(easy) < difficulty(hard),
                "{easy}: {}, {hard}: {}",
                difficulty(easy),
                difficulty(hard)
            );
        }
    }
}
