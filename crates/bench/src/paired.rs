//! Paired runs. Every program runs once in each round, so that whatever slows the machine down
//! affects all of them alike. A ratio compares two runs of the same round; the result is the median.

/// Runs each in turn, and starts with a different one in each round. Returns the runs of each.
pub(crate) fn in_turn<C, Run>(
    what: &str,
    rounds: usize,
    contestants: Vec<C>,
    mut run: impl FnMut(&C) -> anyhow::Result<Run>,
) -> anyhow::Result<Vec<(C, Vec<Run>)>> {
    let mut runs: Vec<_> = contestants.into_iter().map(|it| (it, Vec::new())).collect();
    let count = runs.len();
    for round in 0..rounds {
        eprintln!("{what}: round {} of {rounds} ...", round + 1);
        for turn in 0..count {
            let (contestant, results) = &mut runs[(round + turn) % count];
            results.push(run(contestant)?);
        }
    }
    Ok(runs)
}

/// The median, or `None` if there are no values.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() % 2 {
        1 => Some(values[middle]),
        _ => Some((values.get(middle.checked_sub(1)?)? + values[middle]) / 2.0),
    }
}

/// The median of the ratios within each round, or `None` if there was too little to measure.
pub(crate) fn ratio<Run>(of: &[Run], to: &[Run], value: impl Fn(&Run) -> f64) -> Option<f64> {
    let ratios = of.iter().zip(to).map(|(of, to)| value(of) / value(to));
    median(ratios).filter(|ratio| ratio.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median([3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median([]), None);
    }

    #[test]
    fn a_ratio_is_taken_within_a_round() {
        // The machine was ten times slower in the second round.
        assert_eq!(ratio(&[2.0, 20.0, 2.0], &[1.0, 10.0, 1.0], |run| *run), Some(2.0));
        assert_eq!(ratio(&[1.0], &[0.0], |run| *run), None);
    }

    #[test]
    fn each_has_a_turn_in_each_round() {
        let mut order = Vec::new();
        let runs = in_turn("test", 3, vec!["a", "b"], |name| {
            order.push(*name);
            Ok(order.len())
        });
        assert_eq!(runs.unwrap(), [("a", vec![1, 4, 5]), ("b", vec![2, 3, 6])]);
        assert_eq!(order, ["a", "b", "b", "a", "a", "b"]);
    }
}
