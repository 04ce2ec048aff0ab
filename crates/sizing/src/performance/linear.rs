//! Small dense linear algebra: the Cholesky factor of a positive definite matrix, and what is solved with it.

/// A square matrix of `N` rows.
pub(super) type Matrix<const N: usize> = [[f64; N]; N];

/// The lower triangular factor `L` of `L Lᵀ = a` (Cholesky), or `None` where `a` is not positive definite.
pub(super) fn factor<const N: usize>(a: &Matrix<N>) -> Option<Matrix<N>> {
    let mut lower = [[0.0; N]; N];
    for row in 0..N {
        for column in 0..=row {
            let done: f64 = (0..column).map(|k| lower[row][k] * lower[column][k]).sum();
            let left = a[row][column] - done;
            lower[row][column] = if row == column {
                if left <= 0.0 || !left.is_finite() {
                    return None;
                }
                left.sqrt()
            } else {
                left / lower[column][column]
            };
        }
    }
    Some(lower)
}

/// The `x` of `L Lᵀ x = b`.
pub(super) fn solve<const N: usize>(lower: &Matrix<N>, b: &[f64; N]) -> [f64; N] {
    let mut x = *b;
    for row in 0..N {
        let done: f64 = (0..row).map(|k| lower[row][k] * x[k]).sum();
        x[row] = (x[row] - done) / lower[row][row];
    }
    for row in (0..N).rev() {
        let done: f64 = (row + 1..N).map(|k| lower[k][row] * x[k]).sum();
        x[row] = (x[row] - done) / lower[row][row];
    }
    x
}

/// The inverse of `L Lᵀ`.
pub(super) fn inverse<const N: usize>(lower: &Matrix<N>) -> Matrix<N> {
    let mut inverse = [[0.0; N]; N];
    for (k, row) in inverse.iter_mut().enumerate() {
        let mut unit = [0.0; N];
        unit[k] = 1.0;
        // Symmetric, so a column is a row.
        *row = solve(lower, &unit);
    }
    inverse
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The inverse of [[4, 2, 0], [2, 5, 3], [0, 3, 6]] by the adjugate: determinant 60.
    #[test]
    fn a_known_system_is_solved() {
        let a = [[4.0, 2.0, 0.0], [2.0, 5.0, 3.0], [0.0, 3.0, 6.0]];
        let lower = factor(&a).unwrap();
        let x = solve(&lower, &[60.0, 0.0, 0.0]);
        for (x, expected) in x.iter().zip([21.0, -12.0, 6.0]) {
            assert!((x - expected).abs() < 1e-12, "{x} {expected}");
        }
        assert!((inverse(&lower)[1][1] - 24.0 / 60.0).abs() < 1e-12);
        assert!(factor(&[[1.0, 2.0], [2.0, 1.0]]).is_none());
    }
}
