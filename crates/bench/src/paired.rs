//! Paired runs. Every program runs once in each round, so that whatever slows the machine down
//! affects all of them alike. A ratio compares two runs of the same round; the result is the median.

use anyhow::Context;

use crate::programs::Program;

/// Runs each program in turn, and starts with a different one in each round. Returns the runs of
/// each: none, if this machine cannot run it.
pub(crate) fn in_turn<Run>(
    what: &str,
    rounds: usize,
    programs: Vec<Program>,
    mut run: impl FnMut(&Program) -> anyhow::Result<Run>,
) -> anyhow::Result<Vec<(Program, Vec<Run>)>> {
    let mut runs: Vec<_> = programs.into_iter().map(|program| (program, Vec::new())).collect();
    let count = runs.len();
    for round in 0..rounds {
        eprintln!("{what}: round {} of {rounds} ...", round + 1);
        for turn in 0..count {
            let (program, results) = &mut runs[(round + turn) % count];
            if program.template.is_ok() {
                results.push(run(program).context(program.name.clone())?);
            }
        }
    }
    Ok(runs)
}

/// The median, or `None` if there are no values.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    // Of an odd number of values, both are the same.
    let [low, high] = [values.len().checked_sub(1)? / 2, values.len() / 2];
    Some((values[low] + values[high]) / 2.0)
}

/// The median of the ratios within each round, or `None` if there was too little to measure.
pub(crate) fn ratio<Run>(of: &[Run], to: &[Run], value: impl Fn(&Run) -> f64) -> Option<f64> {
    let ratios = of.iter().zip(to).map(|(of, to)| value(of) / value(to));
    median(ratios).filter(|ratio| ratio.is_finite())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use anyhow::anyhow;

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
        let program = |name: &str| Program::new(name, 1, Ok(Command::new(name)), &[]);
        let missing = Program::new("missing", 1, Err(anyhow!("why")), &[]);
        let mut order = Vec::new();
        let runs = in_turn("test", 3, vec![program("a"), missing, program("b")], |program| {
            order.push(program.name.clone());
            Ok(order.len())
        });
        let runs: Vec<_> = runs.unwrap().into_iter().map(|(_, runs)| runs).collect();
        assert_eq!(runs, [vec![1, 4, 6], vec![], vec![2, 3, 5]]);
        assert_eq!(order, ["a", "b", "b", "a", "b", "a"]);
    }
}
