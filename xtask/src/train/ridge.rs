//! Linear regression with a penalty on great weights, over sparse rows.

/// Columns and values of one row.
pub(super) type Row = Vec<(u32, f64)>;

/// Each row counts as much as its weight.
pub(super) struct Observation<'o> {
    pub(super) row: &'o Row,
    pub(super) target: f64,
    pub(super) weight: f64,
}

/// The steps after which the solution no longer changes in the figures that are stored.
const STEPS: usize = 200;

/// The weights w that make Σ weight·(row·w − target)² + penalty·|w|² least: the normal equations by conjugate
/// gradients.
pub(super) fn ridge(observations: &[Observation<'_>], columns: usize, penalty: f64) -> Vec<f64> {
    let mut solution = vec![0.0; columns];
    let mut rest = vec![0.0; columns];
    for one in observations {
        add(&mut rest, one.row, one.weight * one.target);
    }
    let mut direction = rest.clone();
    let mut error = dot(&rest, &rest);
    for _ in 0..STEPS {
        if error < 1e-18 {
            break;
        }
        let image = image(observations, &direction, penalty);
        let pace = error / dot(&direction, &image);
        for (value, step) in solution.iter_mut().zip(&direction) {
            *value += pace * step;
        }
        for (value, step) in rest.iter_mut().zip(&image) {
            *value -= pace * step;
        }
        let next = dot(&rest, &rest);
        for (value, rest) in direction.iter_mut().zip(&rest) {
            *value = rest + next / error * *value;
        }
        error = next;
    }
    solution
}

fn image(observations: &[Observation<'_>], vector: &[f64], penalty: f64) -> Vec<f64> {
    let mut image: Vec<f64> = vector.iter().map(|value| penalty * value).collect();
    for one in observations {
        add(&mut image, one.row, one.weight * product(one.row, vector));
    }
    image
}

pub(super) fn product(row: &Row, vector: &[f64]) -> f64 {
    row.iter().map(|(column, value)| value * vector[*column as usize]).sum()
}

fn add(vector: &mut [f64], row: &Row, factor: f64) {
    for (column, value) in row {
        vector[*column as usize] += factor * value;
    }
}

fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn solves_what_can_be_solved_by_hand() {
        let rows: Vec<Row> = vec![vec![(0, 1.0)], vec![(1, 2.0)], vec![(0, 1.0), (1, 1.0)]];
        let targets = [1.0, 4.0, 3.0];
        let observations: Vec<Observation<'_>> =
            rows.iter().zip(targets).map(|(row, target)| Observation { row, target, weight: 1.0 }).collect();
        let found = ridge(&observations, 2, 0.0);
        assert!((found[0] - 1.0).abs() < 1e-6 && (found[1] - 2.0).abs() < 1e-6, "{found:?}");
        // One row and one column: weight·value·target / (weight·value² + penalty).
        let one = [Observation { row: &rows[1], target: 4.0, weight: 0.5 }];
        assert!((ridge(&one, 2, 2.0)[1] - 1.0).abs() < 1e-9);
    }
}
