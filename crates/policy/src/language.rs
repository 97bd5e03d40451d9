//! The natural language of a text.

use std::sync::LazyLock;

use whatlang::{Detector, Lang};

/// How much of a text is read, in bytes: more makes the answer no surer.
const BYTES_MAX: usize = 1_000;

/// From 0 to 1: below this the detector's first choice is wrong about as often as it is right.
const CONFIDENCE_MIN: f64 = 0.15;

/// The languages that are told apart, and their codes in ISO 639-1. Languages that people rarely write to a model in are
/// left out, since short texts in a common language are too often taken for one of them.
const LANGUAGES: [(Lang, &str); 53] = [
    (Lang::Amh, "am"),
    (Lang::Ara, "ar"),
    (Lang::Ben, "bn"),
    (Lang::Bul, "bg"),
    (Lang::Ces, "cs"),
    (Lang::Cmn, "zh"),
    (Lang::Dan, "da"),
    (Lang::Deu, "de"),
    (Lang::Ell, "el"),
    (Lang::Eng, "en"),
    (Lang::Est, "et"),
    (Lang::Fin, "fi"),
    (Lang::Fra, "fr"),
    (Lang::Guj, "gu"),
    (Lang::Heb, "he"),
    (Lang::Hin, "hi"),
    (Lang::Hrv, "hr"),
    (Lang::Hun, "hu"),
    (Lang::Hye, "hy"),
    (Lang::Ind, "id"),
    (Lang::Ita, "it"),
    (Lang::Jpn, "ja"),
    (Lang::Kan, "kn"),
    (Lang::Kat, "ka"),
    (Lang::Khm, "km"),
    (Lang::Kor, "ko"),
    (Lang::Lav, "lv"),
    (Lang::Lit, "lt"),
    (Lang::Mal, "ml"),
    (Lang::Mar, "mr"),
    (Lang::Mya, "my"),
    (Lang::Nep, "ne"),
    (Lang::Nld, "nl"),
    (Lang::Nob, "nb"),
    (Lang::Ori, "or"),
    (Lang::Pan, "pa"),
    (Lang::Pes, "fa"),
    (Lang::Pol, "pl"),
    (Lang::Por, "pt"),
    (Lang::Ron, "ro"),
    (Lang::Rus, "ru"),
    (Lang::Sin, "si"),
    (Lang::Slk, "sk"),
    (Lang::Spa, "es"),
    (Lang::Srp, "sr"),
    (Lang::Swe, "sv"),
    (Lang::Tam, "ta"),
    (Lang::Tel, "te"),
    (Lang::Tha, "th"),
    (Lang::Tur, "tr"),
    (Lang::Ukr, "uk"),
    (Lang::Urd, "ur"),
    (Lang::Vie, "vi"),
];

/// The code of a text's language in ISO 639-1, or nothing where the text does not show it.
pub(crate) fn language(text: &str) -> &'static str {
    static DETECTOR: LazyLock<Detector> =
        LazyLock::new(|| Detector::with_allowlist(LANGUAGES.map(|(language, _)| language).to_vec()));
    let start = text.get(..text.floor_char_boundary(BYTES_MAX)).unwrap_or(text);
    let found = DETECTOR.detect(start).filter(|found| found.confidence() >= CONFIDENCE_MIN);
    let code = found.and_then(|found| LANGUAGES.iter().find(|(language, _)| *language == found.lang()));
    code.map_or("", |(_, code)| code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_told_apart_or_not_told() {
        let check = |text: &str, code: &str| assert_eq!(language(text), code, "{text}");
        check("Summarize the following text in three bullet points.", "en");
        check("Schreibe mir eine kurze E-Mail an meinen Vermieter.", "de");
        check("¿Cuál es la capital de Francia?", "es");
        check("Cześć, jak się masz?", "pl");
        check("Яка столиця Франції?", "uk");
        check("法国的首都是哪里？", "zh");
        check("フランスの首都はどこですか？", "ja");
        check("เมืองหลวงของฝรั่งเศสคืออะไร", "th");
        check("", "");
        check("12345 + 67890 = ?", "");
        check("ok", "");
    }

    #[test]
    fn every_language_has_a_code_of_its_own() {
        let mut codes = LANGUAGES.map(|(_, code)| code);
        codes.sort_unstable();
        assert!(codes.windows(2).all(|pair| pair[0] < pair[1]), "{codes:?}");
        assert!(codes.iter().all(|code| code.len() == 2));
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let text = format!("{}{}", "x ".repeat(499), "я ".repeat(2_000));
        assert!(text.len() > BYTES_MAX && !text.is_char_boundary(BYTES_MAX - 1));
        assert!(language(&text).len() <= 2);
    }
}
