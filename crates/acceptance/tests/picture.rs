//! The picture of `cargo demo` at the top of the README, drawn from a real run and compared.
//!
//! `UPDATE_PAGES=1 cargo test -p acceptance --test picture` draws it anew.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use acceptance::line::RANDOM;
use acceptance::*;
use anstyle::RgbColor;
use anstyle_svg::{Term, VGA};

const PICTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/demo.svg");

/// Two messages of each publisher fit on a screen, and show both of its news channels.
const COMMAND: &str = "cargo demo --count 2";

/// Room for the longest headline, so that the width is the same for every random pick.
const WIDTH: usize = 900;

#[test]
fn is_what_the_demo_shows() {
    if std::env::var_os("UPDATE_PAGES").is_some() {
        std::fs::write(PICTURE, draw(&run(&[]))).unwrap();
        return;
    }
    let kept = shape(&std::fs::read_to_string(PICTURE).expect(PICTURE));
    // A shorter interval does not change the picture.
    let drawn = shape(&draw(&run(&["--interval", "10ms"])));
    let update = "UPDATE_PAGES=1 cargo test -p acceptance --test picture";
    for (kept, drawn) in kept.iter().zip(&drawn) {
        assert_eq!(kept, drawn, "is docs/demo.svg out of date? {update}");
    }
    assert_eq!(kept.len(), drawn.len(), "is docs/demo.svg out of date? {update}");
}

/// The command and its coloured output.
fn run(pace: &[&str]) -> String {
    let arguments: Vec<_> = COMMAND.split(' ').skip(2).chain(pace.iter().copied()).collect();
    let mut demo = demo(&arguments);
    let ended = Terminal::start_command(demo.env("CLICOLOR_FORCE", "1")).end().with(0);
    format!("$ {COMMAND}\n{}", ended.stdout.join("\n"))
}

/// Draws its own background, because a page on GitHub may be light or dark.
fn draw(output: &str) -> String {
    // The bright half of the palette: yellow and magenta of the other half are hard to read on a
    // dark background.
    let mut palette = VGA;
    palette.0.rotate_left(8);
    Term::new()
        .palette(palette)
        .fg_color(RgbColor(201, 209, 217).into())
        .bg_color(RgbColor(22, 27, 34).into())
        .min_width_px(WIDTH)
        .render_svg(output)
}

/// What must be the same in the picture and in the run: everything but which text was picked,
/// and the order of lines from processes that run at the same time.
fn shape(svg: &str) -> Vec<String> {
    // The frame: sizes, colours, the position of each line.
    let mut frame = Vec::new();
    let mut shown = Vec::new();
    for line in svg.lines() {
        // <tspan x="10px" y="28px"><tspan class="fg-cyan">subscriber         |</tspan> ...
        let (position, line) = line.split_once("px\">").unwrap_or((line, ""));
        frame.push(position.to_owned());
        if !line.is_empty() {
            let random = RANDOM.iter().find(|text| line.contains(**text));
            shown.push(random.map_or(line.to_owned(), |text| line.replace(text, "<random>")));
        }
    }
    // Sorted by the name before the line, so that the lines of one process keep their order.
    shown.sort_by_key(|line| line.split_once('|').map(|(name, _)| name.to_owned()));
    shown.extend(frame);
    shown
}
