//! A page, read as sections of text and console blocks.

/// A section, from its heading to the next one of any level.
#[derive(Clone)]
pub struct Section(pub Vec<Piece>);

#[derive(Clone, PartialEq)]
pub enum Piece {
    Text(String),
    Block(Block),
}

#[derive(Clone, PartialEq)]
pub struct Block {
    /// `terminal-1`: where the commands are typed.
    pub terminal: String,
    pub lines: Vec<String>,
}

pub fn sections(page: &str) -> Vec<Section> {
    let mut sections = vec![Section(Vec::new())];
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if line.starts_with('#') {
            sections.push(Section(Vec::new()));
        }
        let section = &mut sections.last_mut().unwrap().0;
        section.push(Piece::Text(line.to_owned()));
        if let Some(terminal) = line.strip_prefix("```console ") {
            section.pop();
            section.push(Piece::Block(Block {
                terminal: terminal.to_owned(),
                lines: lines.by_ref().take_while(|&l| l != "```").map(str::to_owned).collect(),
            }));
        } else if line.starts_with("```") {
            assert_ne!(line, "```console", "a console block without a terminal");
            // A block of another kind: a # in it is no heading.
            for line in lines.by_ref() {
                section.push(Piece::Text(line.to_owned()));
                if line == "```" {
                    break;
                }
            }
        }
    }
    sections
}

impl Section {
    pub fn title(&self) -> &str {
        match self.0.first() {
            Some(Piece::Text(line)) => line.trim_start_matches(['#', ' ']),
            _ => "",
        }
    }

    pub fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Block(block) => Some(block),
            Piece::Text(_) => None,
        })
    }

    /// The same text around empty blocks.
    pub fn without_lines(&self) -> Section {
        let mut section = self.clone();
        for piece in &mut section.0 {
            if let Piece::Block(block) = piece {
                block.lines.clear();
            }
        }
        section
    }

    pub fn is_executed(&self) -> bool {
        self.blocks().next().is_some()
    }

    pub fn needs_real_redis(&self) -> bool {
        self.0.iter().any(
            |piece| matches!(piece, Piece::Text(line) if line.starts_with("Needs: a real Redis")),
        )
    }

    /// As it stands in the file.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(line) => text += &format!("{line}\n"),
                Piece::Block(Block { terminal, lines }) => {
                    text += &format!("```console {terminal}\n{}\n```\n", lines.join("\n"));
                }
            }
        }
        text
    }
}
