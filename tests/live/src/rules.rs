//! The rules of `rules.txt`: how each command's replies are compared.

use std::collections::HashMap;

const TEXT: &str = include_str!("../rules.txt");

#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Rule {
    #[default]
    Exact,
    Unordered,
    Pairs,
    Random,
    Scan,
    Approx(i64),
    Timed,
    Kind,
    Skip,
}

pub struct Rules(HashMap<&'static str, Rule>);

impl Rules {
    pub fn read() -> Result<Rules, String> {
        let mut rules = HashMap::new();
        for line in TEXT.lines().filter(|l| !l.is_empty() && !l.starts_with('#')) {
            let (name, rule) = parse(line).ok_or_else(|| format!("rules.txt: {line}"))?;
            rules.insert(name, rule);
        }
        Ok(Rules(rules))
    }

    /// The rule for a command, or for the whole container it belongs to.
    pub fn of(&self, name: &str) -> Rule {
        let container = name.split('|').next().unwrap_or(name);
        self.0.get(name).or_else(|| self.0.get(container)).copied().unwrap_or_default()
    }
}

/// A rule without a reason is no rule.
fn parse(line: &'static str) -> Option<(&'static str, Rule)> {
    let mut words = line.split_whitespace();
    let rule = match words.next()? {
        "unordered" => Rule::Unordered,
        "pairs" => Rule::Pairs,
        "random" => Rule::Random,
        "scan" => Rule::Scan,
        "approx" => Rule::Approx(words.next()?.parse().ok()?),
        "timed" => Rule::Timed,
        "kind" => Rule::Kind,
        "skip" => Rule::Skip,
        _ => return None,
    };
    let name = words.next()?;
    words.next().map(|_| (name, rule))
}
