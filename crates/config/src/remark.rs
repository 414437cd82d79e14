use std::fmt;

/// Where in a file something is said.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file's name, as it was given.
    pub file: String,
    /// The line, from 1; 0 speaks of the file as a whole.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 { f.write_str(&self.file) } else { write!(f, "{}:{}:{}", self.file, self.line, self.column) }
    }
}

/// Something to tell the operator about one place of a configuration file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Remark {
    /// Where.
    pub place: Place,
    /// The whole key, such as `rule.login.period`; empty where the file cannot be read as TOML.
    pub key: String,
    /// What is the matter, and what to do.
    pub message: String,
}

/// What makes a file unusable.
pub type Problem = Remark;

/// What an operator should know, though the file can be used.
pub type Warning = Remark;

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

/// All problems of a file, in the order of the file. Shown one a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    /// The problems; at least one.
    pub list: Vec<Problem>,
    /// How many more there are: a hopeless file is not told in full.
    pub more: usize,
}

impl Problems {
    pub(crate) fn one(file: &str, message: String) -> Self {
        let place = Place { file: file.to_owned(), line: 0, column: 0 };
        Problems { list: vec![Problem { place, key: String::new(), message }], more: 0 }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.list.iter().enumerate() {
            let line_end = if index == 0 { "" } else { "\n" };
            write!(f, "{line_end}{problem}")?;
        }
        if self.more > 0 {
            write!(f, "\n… and {} more", self.more)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
