//! Token counts against texts whose counts are known, where there are some beside the recorded traffic.

use std::{env, fs::File, io::Read as _, path::Path};

use flate2::read::GzDecoder;
use serde_json::Value;
use tollgate_wire::count::{Tokenizer, estimate_tokens};

/// Shorter texts say little of a factor.
const TOKENS_MIN: u64 = 20;

#[test]
fn counts_are_exact_or_as_near_as_is_said() {
    let Some(rows) = rows() else {
        println!("skipped: there are no texts with known counts beside the recorded traffic");
        return;
    };
    let exact = [(Tokenizer::O200k, "o200k_base"), (Tokenizer::Cl100k, "cl100k_base")];
    for (tokenizer, name) in exact {
        for (text, known) in known(&rows, name) {
            assert_eq!(tokenizer.count(text, 100), known, "{name}: {text:?}");
        }
    }
    let other = |percent: u64| move |text: &str| Tokenizer::Other.count(text, percent);
    within(&rows, "claude-2", "times 1.10", other(110), [0.15, 0.45]);
    within(&rows, "llama-3", "times 1.06", other(106), [0.08, 0.30]);
    within(&rows, "llama-2", "times 1.30", other(130), [0.20, 0.40]);
    within(&rows, "o200k_base", "by bytes", estimate_tokens, [0.12, 0.30]);
}

/// The error that half, and nine tenths, of the texts stay below.
fn within(rows: &[Value], name: &str, how: &str, count: impl Fn(&str) -> u64, bounds: [f64; 2]) {
    let long = known(rows, name).filter(|(_, known)| *known >= TOKENS_MIN);
    let mut errors: Vec<f64> =
        long.map(|(text, known)| (count(text) as f64 / known as f64 - 1.0).abs()).collect();
    errors.sort_by(f64::total_cmp);
    let [half, most] =
        [errors.len() / 2, errors.len() * 9 / 10].map(|at| errors.get(at).copied().unwrap_or(1.0));
    println!("{name} {how}: {} texts, half within {half:.3}, nine tenths within {most:.3}", errors.len());
    assert!(half <= bounds[0] && most <= bounds[1], "{name}: {half:.3} and {most:.3}, not {bounds:?}");
}

fn known<'r>(rows: &'r [Value], name: &'r str) -> impl Iterator<Item = (&'r str, u64)> {
    rows.iter().filter_map(move |row| Some((row["text"].as_str()?, row["counts"][name].as_u64()?)))
}

fn rows() -> Option<Vec<Value>> {
    let corpus = env::var_os("TOLLGATE_CORPUS")?;
    let file = Path::new(&corpus).join("../eval/tokens/token_counts.jsonl.gz");
    let mut text = String::new();
    GzDecoder::new(File::open(file).ok()?).read_to_string(&mut text).expect("the texts are UTF-8");
    Some(text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect())
}
