//! Systems of linear equations with one symmetric positive definite matrix and many right sides: Gaussian elimination once, then two
//! triangular substitutions for each. Memory: 8 bytes · size².

/// An eliminated matrix, row-major: above and on the diagonal what is left of it, below the factors of each step.
#[derive(Clone, Debug)]
pub(crate) struct Eliminated {
    cells: Vec<f64>,
    size: usize,
}

impl Eliminated {
    /// Of `size` × `size` cells. O(size³).
    pub(crate) fn new(mut cells: Vec<f64>, size: usize) -> Self {
        for pivot in 0..size {
            let (above, below) = cells.split_at_mut((pivot + 1) * size);
            let own = above.get(pivot * size..).unwrap_or_default();
            let diagonal = own.get(pivot).copied().filter(|value| value.abs() > f64::MIN_POSITIVE);
            for row in below.chunks_mut(size) {
                let Some(first) = row.get_mut(pivot) else { continue };
                let factor = diagonal.map_or(0.0, |diagonal| *first / diagonal);
                *first = factor;
                row.iter_mut().zip(own).skip(pivot + 1).for_each(|(cell, other)| *cell -= factor * other);
            }
        }
        Self { cells, size }
    }

    /// The solution for a right side. O(size²).
    pub(crate) fn solve(&self, mut right: Vec<f64>) -> Vec<f64> {
        let rows = || self.cells.chunks(self.size.max(1)).enumerate();
        for (place, row) in rows() {
            let known = row.iter().zip(&right).take(place);
            let lower = known.fold(right.get(place).copied().unwrap_or(0.0), |value, (factor, solved)| {
                value - factor * solved
            });
            right.get_mut(place).into_iter().for_each(|value| *value = lower);
        }
        for (place, row) in rows().collect::<Vec<_>>().into_iter().rev() {
            let known: f64 = row.iter().zip(&right).skip(place + 1).map(|(cell, value)| cell * value).sum();
            let diagonal = row.get(place).copied().unwrap_or(1.0);
            if let Some(value) = right.get_mut(place) {
                *value = (*value - known) / diagonal;
            }
        }
        right
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_right_sides_are_solved_by_one_elimination() {
        // (4 2 0; 2 5 1; 0 1 3)
        let matrix = vec![4.0, 2.0, 0.0, 2.0, 5.0, 1.0, 0.0, 1.0, 3.0];
        let eliminated = Eliminated::new(matrix.clone(), 3);
        for x in [[1.0, 0.0, 0.0], [1.0, -2.0, 3.0], [0.5, 0.25, 8.0]] {
            let right =
                matrix.chunks(3).map(|row| row.iter().zip(x).map(|(cell, x)| cell * x).sum()).collect();
            let solved = eliminated.solve(right);
            assert!(solved.iter().zip(x).all(|(a, b)| (a - b).abs() < 1e-12), "{solved:?} {x:?}");
        }
        assert!(Eliminated::new(Vec::new(), 0).solve(Vec::new()).is_empty());
    }
}
