//! Paired runs: in each round everybody has one run, so that what disturbs the machine disturbs
//! all of them, and a ratio is taken within a round. Of all rounds, the median.

/// Runs each in turn, and in each round begins with another one. Returns the runs of each.
pub fn in_turn<C, Run>(
    what: &str,
    rounds: usize,
    contestants: &[C],
    mut run: impl FnMut(&C) -> anyhow::Result<Run>,
) -> anyhow::Result<Vec<Vec<Run>>> {
    let mut runs: Vec<Vec<Run>> = contestants.iter().map(|_| Vec::new()).collect();
    for round in 0..rounds {
        eprintln!("{what}: round {} of {rounds} ...", round + 1);
        for turn in 0..contestants.len() {
            let who = (round + turn) % contestants.len();
            runs[who].push(run(&contestants[who])?);
        }
    }
    Ok(runs)
}

/// The median, of which there is none of nothing.
pub fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() % 2 {
        1 => Some(values[middle]),
        _ => Some((values.get(middle.checked_sub(1)?)? + values[middle]) / 2.0),
    }
}

/// The median of the ratios of runs in the same round; none where there was nothing to measure.
pub fn ratio<Run>(of: &[Run], to: &[Run], value: impl Fn(&Run) -> f64) -> Option<f64> {
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
    fn everybody_has_a_turn_in_each_round() {
        let mut order = Vec::new();
        let runs = in_turn("test", 3, &["a", "b"], |who| {
            order.push(*who);
            Ok(order.len())
        });
        assert_eq!(runs.unwrap(), [[1, 4, 5], [2, 3, 6]]);
        assert_eq!(order, ["a", "b", "b", "a", "a", "b"]);
    }
}
