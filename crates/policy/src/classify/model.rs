//! The weights of the measures and of the words, and how they are read from a file.

use super::features::{BUCKETS, Features, MEASURES};

/// How many scores divide those of the prompts for training into equal parts.
pub(super) const QUANTILES: usize = 101;
/// How far from the mean a measure counts, in standard deviations.
pub(super) const DEVIATIONS_MAX: f32 = 3.0;

/// A linear model. Its file holds, as little-endian numbers: mean, deviation and weight of each measure, the step
/// of the words' weights, the quantiles (all `f32`), and a weight of each bucket (`i8`).
pub(super) struct Model<'m> {
    pub(super) measures: Vec<Measure>,
    /// What one step of a word's weight is worth.
    pub(super) step: f32,
    /// Scores in ascending order.
    pub(super) quantiles: Vec<f32>,
    pub(super) words: &'m [u8],
}

pub(super) struct Measure {
    pub(super) mean: f32,
    pub(super) deviation: f32,
    pub(super) weight: f32,
}

impl Measure {
    /// Where a value stands among those of the prompts for training.
    pub(super) fn standard(&self, value: f32) -> f32 {
        ((value - self.mean) / self.deviation).clamp(-DEVIATIONS_MAX, DEVIATIONS_MAX)
    }
}

impl<'m> Model<'m> {
    /// `None` where the file has not the size it must have.
    pub(super) fn read(file: &'m [u8]) -> Option<Model<'m>> {
        let (numbers, words) = file.split_at_checked(4 * (3 * MEASURES + 1 + QUANTILES))?;
        let (numbers, _) = numbers.as_chunks::<4>();
        let numbers: Vec<f32> = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        let (measures, rest) = numbers.split_at_checked(3 * MEASURES)?;
        let (step, quantiles) = rest.split_first()?;
        let (measures, _) = measures.as_chunks::<3>();
        let measures = measures.iter().map(|[mean, deviation, weight]| Measure {
            mean: *mean,
            deviation: *deviation,
            weight: *weight,
        });
        let quantiles = quantiles.to_vec();
        (words.len() == BUCKETS).then(|| Model {
            measures: measures.collect(),
            step: *step,
            quantiles,
            words,
        })
    }

    /// How hard a text is, on a scale of its own: only the order of scores means something.
    pub(super) fn score(&self, features: &Features) -> f32 {
        let measures = self.measures.iter().zip(features.measures);
        let measured: f32 = measures.map(|(measure, value)| measure.weight * measure.standard(value)).sum();
        let words = features.words.iter();
        let worded: f32 = words
            .map(|(bucket, weight)| {
                let stored = self.words.get(usize::from(*bucket)).copied().unwrap_or_default();
                weight * f32::from(stored.cast_signed())
            })
            .sum();
        measured + self.step * worded
    }

    /// The share of the prompts for training, 0 to 1, whose score is lower.
    pub(super) fn rank(&self, score: f32) -> f32 {
        let above = self.quantiles.partition_point(|quantile| *quantile <= score);
        let Some(low) = above.checked_sub(1).and_then(|below| self.quantiles.get(below)) else { return 0.0 };
        let Some(high) = self.quantiles.get(above) else { return 1.0 };
        ((above - 1) as f32 + (score - low) / (high - low)) / (QUANTILES - 1) as f32
    }
}
