//! Weights of measures and words, fitted to prompts.

use super::{
    features::{BUCKETS, Features, MEASURES, features},
    model::{Measure, Model, QUANTILES},
    ridge::{Observation, Row, ridge},
    sets::{Prompt, SETS},
};

/// What one deviation of a measure is worth beside all words of a text: so much that the penalty hardly touches the
/// few weights of measures. Measures hold on prompts of another kind, words often do not.
const MEASURE_SCALE: f64 = 10.0;
/// The penalty on great weights, where a prompt weighs one on average.
const PENALTY: f64 = 40.0;
/// Into how many parts prompts are divided to score each by weights that were not trained on it.
const FOLDS: usize = 5;

/// A prompt and what is measured of it.
pub(super) struct Example {
    /// The place of its set in the list of all.
    pub(super) set: usize,
    pub(super) prompt: Prompt,
    pub(super) features: Features,
}

impl Example {
    pub(super) fn new(set: usize, prompt: Prompt) -> Example {
        let features = features(&prompt.text);
        Example { set, prompt, features }
    }
}

/// The file of weights that are trained on these prompts.
pub(super) fn file(training: &[&Example]) -> Vec<u8> {
    let weigh = Weigh::of(training);
    let mut scores = Vec::new();
    for fold in 0..FOLDS {
        let (inside, outside): (Vec<_>, Vec<_>) =
            training.iter().enumerate().partition(|(at, _)| at % FOLDS == fold);
        let outside: Vec<&Example> = outside.into_iter().map(|(_, example)| *example).collect();
        let file = Weights::fit(&outside).file(&[0.0; QUANTILES]);
        let model = Model::read(&file).expect("a file is read as it is written");
        let inside = inside.into_iter().map(|(_, example)| *example);
        scores.extend(inside.map(|example| (model.score(&example.features), weigh.weight(example))));
    }
    Weights::fit(training).file(&quantiles(scores))
}

/// What an example counts: a set of four times the prompts counts twice as much in all.
struct Weigh([f64; SETS.len()]);

impl Weigh {
    fn of(examples: &[&Example]) -> Weigh {
        let sizes: [f64; SETS.len()] =
            std::array::from_fn(|set| examples.iter().filter(|example| example.set == set).count() as f64);
        let sum: f64 = sizes.iter().map(|size| size.sqrt()).sum();
        Weigh(sizes.map(|size| examples.len() as f64 / sum / size.max(1.0).sqrt()))
    }

    fn weight(&self, example: &Example) -> f64 {
        self.0[example.set]
    }
}

struct Weights {
    measures: Vec<Measure>,
    words: Vec<f64>,
}

impl Weights {
    /// Fitted to by how much the strong models' answers are better.
    fn fit(training: &[&Example]) -> Weights {
        let weigh = Weigh::of(training);
        let mut measures: Vec<Measure> = (0..MEASURES).map(|at| measure(training, at)).collect();
        let rows: Vec<Row> = training.iter().map(|example| row(&measures, &example.features)).collect();
        let total: f64 = training.iter().map(|example| weigh.weight(example)).sum();
        let gains = training.iter().map(|example| weigh.weight(example) * example.prompt.gain);
        let mean = gains.sum::<f64>() / total;
        let observations = rows.iter().zip(training).map(|(row, example)| Observation {
            row,
            target: example.prompt.gain - mean,
            weight: weigh.weight(example),
        });
        let observations: Vec<Observation<'_>> = observations.collect();
        let solution = ridge(&observations, MEASURES + BUCKETS, PENALTY);
        let (measured, words) = solution.split_at(MEASURES);
        for (measure, weight) in measures.iter_mut().zip(measured) {
            measure.weight = (weight * MEASURE_SCALE) as f32;
        }
        Weights { measures, words: words.to_vec() }
    }

    /// In the form that [`Model::read`] takes.
    fn file(&self, quantiles: &[f32; QUANTILES]) -> Vec<u8> {
        let greatest = self.words.iter().fold(0.0_f64, |greatest, weight| greatest.max(weight.abs()));
        let step = greatest / f64::from(i8::MAX);
        let measures = self.measures.iter().flat_map(|one| [one.mean, one.deviation, one.weight]);
        let numbers = measures.chain([step as f32]).chain(quantiles.iter().copied());
        let mut file: Vec<u8> = numbers.flat_map(f32::to_le_bytes).collect();
        file.extend(self.words.iter().map(|weight| ((weight / step).round() as i8).cast_unsigned()));
        file
    }
}

/// Mean and deviation of one measure, without a weight yet.
fn measure(training: &[&Example], at: usize) -> Measure {
    let values = || training.iter().map(|example| f64::from(example.features.measures[at]));
    let size = training.len() as f64;
    let mean = values().sum::<f64>() / size;
    let variance = values().map(|value| (value - mean).powi(2)).sum::<f64>() / size;
    // A measure that never changes has no weight; any deviation will do.
    Measure { mean: mean as f32, deviation: variance.sqrt().max(1e-6) as f32, weight: 0.0 }
}

fn row(measures: &[Measure], features: &Features) -> Row {
    let measured = measures.iter().zip(features.measures).map(|(one, value)| f64::from(one.standard(value)));
    let measured = (0..).zip(measured.map(|value| value * MEASURE_SCALE));
    let words = features.words.iter();
    measured
        .chain(words.map(|(bucket, weight)| (MEASURES as u32 + u32::from(*bucket), f64::from(*weight))))
        .collect()
}

/// The scores that divide all scores, which count by their weights, into equal parts.
fn quantiles(mut scores: Vec<(f32, f64)>) -> [f32; QUANTILES] {
    scores.sort_by(|one, other| one.0.total_cmp(&other.0));
    let total: f64 = scores.iter().map(|(_, weight)| weight).sum();
    let mut scores = scores.into_iter().peekable();
    let (mut below, mut last) = (0.0, 0.0);
    std::array::from_fn(|at| {
        let wanted = total * at as f64 / (QUANTILES - 1) as f64;
        while let Some((score, weight)) = scores.next_if(|_| below <= wanted) {
            (below, last) = (below + weight, score);
        }
        last
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Prompts that are hard where they speak of proofs.
    fn examples() -> Vec<Example> {
        let texts = (0..200).map(|at| {
            let words = ["prove the theorem number", "greet the guest number"];
            (f64::from(u8::from(at % 2 == 0)), format!("{} {at}", words[at % 2]))
        });
        let prompts = texts.map(|(gain, text)| Prompt {
            text,
            small: 1.0 - gain,
            strong: 1.0,
            cost: None,
            gain,
            part: 1,
        });
        prompts.map(|prompt| Example::new(0, prompt)).collect()
    }

    #[test]
    fn learns_what_makes_prompts_hard() {
        let examples = examples();
        let file = file(&examples.iter().collect::<Vec<_>>());
        let model = Model::read(&file).expect("the file is whole");
        let rank = |text: &str| model.rank(model.score(&features(text)));
        assert!(rank("prove another theorem") > rank("greet another guest"));
        assert!(rank("prove the theorem number 9") > 0.4 && rank("greet the guest number 9") < 0.6);
        assert!(model.quantiles.is_sorted());
    }

    #[test]
    fn training_twice_gives_the_same_weights() {
        let [one, other] =
            [examples(), examples()].map(|examples| file(&examples.iter().collect::<Vec<_>>()));
        assert!(one == other);
    }

    #[test]
    fn quantiles_divide_by_weight() {
        let found = quantiles(vec![(3.0, 1.0), (1.0, 8.0), (2.0, 1.0)]);
        assert_eq!((found[0], found[50], found[85], found[100]), (1.0, 1.0, 2.0, 3.0));
    }
}
