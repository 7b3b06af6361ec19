//! The plot: what a drain costs beside the floor, and how the cost grows.

use anyhow::anyhow;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// What is drawn.
#[derive(Default)]
pub struct Plot {
    pub drain: Vec<Bar>,
    pub growth: Vec<Growth>,
}

/// A reader.
pub struct Bar {
    pub name: String,
    /// To the floor, of wall time and of CPU; none where messages were lost.
    pub ratios: Option<(f64, f64)>,
}

pub struct Growth {
    /// What there is more and more of.
    pub what: &'static str,
    pub lines: Vec<Line>,
}

pub struct Line {
    pub name: String,
    /// How many, and microseconds.
    pub points: Vec<(f64, f64)>,
}

const SIZE: (u32, u32) = (960, 720);
const GROWTH_FROM: u32 = 400;
const FONT: (&str, u32) = ("sans-serif", 14);
/// Told apart also by those who see no red or no green.
const WALL: RGBColor = RGBColor(0, 114, 178);
const CPU: RGBColor = RGBColor(230, 159, 0);
const LINES: [RGBColor; 3] = [RGBColor(90, 90, 90), WALL, CPU];

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

impl Plot {
    /// An SVG with a ground of its own: a page may be white or dark.
    pub fn svg(&self) -> anyhow::Result<String> {
        let mut svg = String::new();
        // Its errors borrow from what is drawn on.
        self.draw(&mut svg).map_err(|error| anyhow!("cannot draw the plot: {error}"))?;
        Ok(svg)
    }

    fn draw(&self, svg: &mut String) -> Result<(), Box<dyn std::error::Error>> {
        let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let (top, bottom) = area.split_vertically(GROWTH_FROM);
        bars(&top, &self.drain)?;
        let halves = bottom.split_evenly((1, self.growth.len().max(1)));
        for (half, growth) in halves.iter().zip(&self.growth) {
            lines(half, growth)?;
        }
        area.present()?;
        Ok(())
    }
}

fn bars(area: &Area, bars: &[Bar]) -> Result<(), Box<dyn std::error::Error>> {
    let largest = bars
        .iter()
        .filter_map(|bar| bar.ratios)
        .map(|(wall, cpu)| wall.max(cpu))
        .fold(10.0, f64::max);
    let mut chart = ChartBuilder::on(area)
        .caption(
            "Drain of 64-byte messages: how many times the floor (ratios; less is better)",
            ("sans-serif", 18),
        )
        .margin(12)
        .x_label_area_size(28)
        // On a scale of ratios, and with room for the figure behind the longest bar.
        .build_cartesian_2d((0.8..largest * 1.6).log_scale(), 0.0..bars.len().max(1) as f64)?;
    let mut mesh = chart.configure_mesh();
    mesh.disable_y_mesh().disable_y_axis().label_style(FONT).light_line_style(WHITE);
    mesh.x_labels(4).x_label_formatter(&|ratio| format!("{ratio}×")).draw()?;

    let text = FONT.into_font().color(&BLACK);
    for (row, bar) in bars.iter().rev().enumerate() {
        let row = row as f64;
        let name = text.pos(Pos::new(HPos::Left, VPos::Center));
        let lost = if bar.ratios.is_none() { ": lost messages" } else { "" };
        let name_and_lost = format!("{}{lost}", bar.name);
        chart.draw_series([Text::new(name_and_lost, (0.82, row + 0.82), name)])?;
        let Some((wall, cpu)) = bar.ratios else { continue };
        for (what, ratio, colour, bottom) in [("wall", wall, WALL, 0.38), ("CPU", cpu, CPU, 0.08)] {
            let corners = [(0.8, row + bottom), (ratio, row + bottom + 0.26)];
            chart.draw_series([Rectangle::new(corners, colour.filled())])?;
            let figure = text.pos(Pos::new(HPos::Left, VPos::Center));
            let at = (ratio * 1.02, row + bottom + 0.13);
            chart.draw_series([Text::new(format!("{what} {ratio:.2}"), at, figure)])?;
        }
    }
    Ok(())
}

fn lines(area: &Area, growth: &Growth) -> Result<(), Box<dyn std::error::Error>> {
    let points = || growth.lines.iter().flat_map(|line| &line.points);
    let most = points().map(|point| point.0).fold(2.0, f64::max);
    let highest = points().map(|point| point.1).fold(0.1, f64::max);
    let mut chart = ChartBuilder::on(area)
        .caption(
            format!("CPU µs a line, by number of {} (1 to {most})", growth.what),
            ("sans-serif", 18),
        )
        .margin(12)
        .x_label_area_size(28)
        .y_label_area_size(40)
        .build_cartesian_2d((1.0..most).log_scale(), 0.0..highest * 1.5)?;
    let mut mesh = chart.configure_mesh();
    mesh.label_style(FONT).light_line_style(WHITE).x_labels(4).y_labels(6);
    mesh.x_label_formatter(&|count| format!("{count}")).draw()?;
    for (line, colour) in growth.lines.iter().zip(LINES.into_iter().cycle()) {
        let style = colour.stroke_width(2);
        chart
            .draw_series(LineSeries::new(line.points.iter().copied(), style))?
            .label(line.name.as_str())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], style));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .label_font(FONT)
        .draw()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_contestant_is_drawn() {
        let bar = |name: &str, ratios| Bar { name: name.to_owned(), ratios };
        let line = |name: &str| Line {
            name: name.to_owned(),
            points: vec![(1.0, 1.0), (10.0, 1.0), (50.0, 2.0)],
        };
        let growth = Growth { what: "channels", lines: vec![line("third")] };
        let plot = Plot {
            drain: vec![bar("first", Some((1.0, 2.0))), bar("second", None)],
            growth: vec![growth],
        };
        let svg = plot.svg().unwrap();
        for name in [
            "first",
            "second: lost messages",
            "third",
            "wall 1.00",
            "CPU 2.00",
            "number of channels",
        ] {
            assert!(svg.contains(name), "{name}: {svg}");
        }
    }

    #[test]
    fn nothing_measured_is_no_reason_to_fail() {
        assert!(Plot::default().svg().unwrap().contains("</svg>"));
    }
}
