//! A page, read as sections of text, console blocks and files that the reader writes.

/// A section, from its heading to the next one of any level.
#[derive(Clone)]
pub(crate) struct Section(pub Vec<Piece>);

#[derive(Clone, PartialEq)]
pub(crate) enum Piece {
    Text(String),
    Block(Block),
    File(File),
}

#[derive(Clone, PartialEq)]
pub(crate) struct Block {
    /// `terminal-1`: where the commands are typed.
    pub terminal: String,
    pub lines: Vec<String>,
}

/// A block ```` ```rust save-as=first/src/main.rs ````: a file that the reader writes.
#[derive(Clone, PartialEq)]
pub(crate) struct File {
    pub language: String,
    pub path: String,
    pub lines: Vec<String>,
}

pub(crate) fn sections(page: &str) -> Vec<Section> {
    let mut sections = vec![Section(Vec::new())];
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if line.starts_with('#') {
            sections.push(Section(Vec::new()));
        }
        let section = &mut sections.last_mut().unwrap().0;
        let Some(info) = line.strip_prefix("```") else {
            section.push(Piece::Text(line.to_owned()));
            continue;
        };
        assert_ne!(info, "console", "a console block without a terminal");
        let lines = lines.by_ref().take_while(|&line| line != "```").map(str::to_owned);
        if let Some(terminal) = info.strip_prefix("console ") {
            let terminal = terminal.to_owned();
            section.push(Piece::Block(Block { terminal, lines: lines.collect() }));
        } else if let Some((language, path)) = info.split_once(" save-as=") {
            let (language, path) = (language.to_owned(), path.to_owned());
            section.push(Piece::File(File { language, path, lines: lines.collect() }));
        } else {
            // The lines of other blocks are text, even if they begin with #.
            section.push(Piece::Text(line.to_owned()));
            section.extend(lines.map(Piece::Text));
            section.push(Piece::Text("```".to_owned()));
        }
    }
    sections
}

impl Section {
    pub(crate) fn title(&self) -> &str {
        match self.0.first() {
            Some(Piece::Text(line)) => line.trim_start_matches(['#', ' ']),
            _ => "",
        }
    }

    pub(crate) fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Block(block) => Some(block),
            _ => None,
        })
    }

    /// The same text around empty blocks.
    pub(crate) fn without_lines(&self) -> Section {
        let mut section = self.clone();
        for piece in &mut section.0 {
            if let Piece::Block(block) = piece {
                block.lines.clear();
            }
        }
        section
    }

    pub(crate) fn is_executed(&self) -> bool {
        self.blocks().next().is_some()
    }

    /// Whether it has a line `Needs: ...` that begins with this.
    pub(crate) fn needs(&self, what: &str) -> bool {
        let needs = format!("Needs: {what}");
        self.0.iter().any(|piece| matches!(piece, Piece::Text(line) if line.starts_with(&needs)))
    }

    /// Whether a block has a command that begins with this.
    pub(crate) fn has_command(&self, start: &str) -> bool {
        let start = format!("$ {start}");
        self.blocks().flat_map(|block| &block.lines).any(|line| line.starts_with(&start))
    }

    /// Its text, as in the file.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(line) => text += &format!("{line}\n"),
                Piece::Block(Block { terminal, lines }) => {
                    text += &format!("```console {terminal}\n{}\n```\n", lines.join("\n"));
                }
                Piece::File(File { language, path, lines }) => {
                    text += &format!("```{language} save-as={path}\n{}\n```\n", lines.join("\n"));
                }
            }
        }
        text
    }
}
