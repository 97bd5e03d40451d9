//! Texts as vectors: the seam where a model of sentences may take the place of counted n-grams.

/// What turns texts into vectors, near each other where texts mean the same.
pub trait Vectors: Send + Sync {
    fn vector(&self, text: &str) -> Vector;

    /// The score below which a text is none of the examples', unless the configuration says otherwise: 0 to 1.
    fn threshold(&self) -> f32;
}

/// Places and their values, each place once, of the length one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Vector(Vec<(u32, f32)>);

impl Vector {
    /// Of places and values in any order; values of the same place are added.
    pub fn sparse(mut values: Vec<(u32, f32)>) -> Vector {
        values.sort_unstable_by_key(|(place, _)| *place);
        values.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            kept.1 += if same { next.1 } else { 0.0 };
            same
        });
        let length = values.iter().map(|(_, value)| value * value).sum::<f32>().sqrt();
        // A text of which nothing is known is like no other.
        if length > 0.0 && length.is_finite() {
            values.iter_mut().for_each(|(_, value)| *value /= length);
            Vector(values)
        } else {
            Vector::default()
        }
    }

    /// Of one value for each place, as models of sentences give them.
    pub fn dense(values: impl IntoIterator<Item = f32>) -> Vector {
        Vector::sparse((0..).zip(values).collect())
    }

    /// Places in ascending order, with their values.
    pub fn values(&self) -> &[(u32, f32)] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_have_the_length_one_or_nothing() {
        assert_eq!(Vector::sparse(vec![(7, 2.0), (1, 3.0), (7, 2.0)]).values(), [(1, 0.6), (7, 0.8)]);
        assert_eq!(Vector::dense([3.0, -4.0]).values(), [(0, 0.6), (1, -0.8)]);
        assert_eq!(Vector::dense([0.0, 0.0]), Vector::default());
        assert_eq!(Vector::dense([f32::NAN, 1.0]), Vector::default());
    }
}
