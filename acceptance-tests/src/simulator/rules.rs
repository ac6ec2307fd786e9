//! The declared rules of a call's parameters: types, formats, limits, and how they are checked.
//!
//! It says nothing about what a call does with them; a value that passes here can still be refused.
//!
//! A rule set is text, one parameter a line:
//!
//! ```text
//! NAME[?] TYPE [FORMAT | {SUBSET}] [min=N] [max=N] [len=A..B] [enum=a|b] [requires=NAME] [pattern=P]
//!      [since=RELEASE] [until=RELEASE]
//! NAME = OTHER [KEY]      an alias of OTHER; with KEY, the name itself becomes the value of KEY
//! +SUBSET                 the lines of another set (on one line, "; " separates)
//! @since RELEASE, @until RELEASE    for all of it: the first and the last release that know the call
//! ```
//!
//! `?` makes it optional, a leading `*` marks the default key of a property string, and `scsi#0-30`
//! stands for the family `scsi0` … `scsi30`, in an enumeration too. A blank in a pattern is written
//! `\x20`.

pub(crate) mod check;
pub(crate) mod formats;
pub(crate) mod pattern;
pub(crate) mod property;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::LazyLock;

use super::release::Release;
use pattern::Pattern;

/// The rule sets that calls share, and the formats of property strings.
static SETS: LazyLock<BTreeMap<Release, Sets>> =
    LazyLock::new(|| Release::ALL.map(|release| (release, sets(release))).into());

type Sets = BTreeMap<String, RuleSet>;

fn sets(release: Release) -> Sets {
    let mut sets = Sets::new();
    for block in concat!(
        include_str!("rules/sets.rules"),
        include_str!("rules/lxc.rules"),
        include_str!("rules/cluster.rules")
    )
    .split("\n[")
    .skip(1)
    {
        let (name, body) = block.split_once(']').expect("a set begins with [name]");
        let rules = RuleSet::parse_with(body, release, |subset| sets[subset].clone());
        sets.insert(name.to_owned(), rules);
    }
    sets
}

/// The shared set called `name`, as the last release knows it.
pub(crate) fn set(name: &str) -> &'static RuleSet {
    set_in(name, Release::default())
}

/// The shared set called `name`, as `release` knows it.
pub(crate) fn set_in(name: &str, release: Release) -> &'static RuleSet {
    SETS[&release].get(name).expect("rule sets are named right")
}

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    String,
    Integer,
    Number,
    Boolean,
    Array,
}

impl Kind {
    /// As error messages name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Array => "array",
        }
    }
}

/// What a string has to look like.
#[derive(Clone, Debug)]
pub(crate) enum Format {
    /// One of [`formats`].
    Named(String),
    /// A property string with the keys of a shared set.
    Properties(String),
}

/// Another name of a key.
#[derive(Clone, Debug)]
pub(crate) struct Alias {
    pub(crate) target: String,
    /// The key whose value is the name that was used, as `virtio=MAC` means `model=virtio`.
    pub(crate) names_value_of: Option<String>,
}

/// The rule of one parameter.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) name: String,
    pub(crate) family: Option<RangeInclusive<u32>>,
    pub(crate) optional: bool,
    pub(crate) default_key: bool,
    pub(crate) alias: Option<Alias>,
    pub(crate) kind: Kind,
    pub(crate) format: Option<Format>,
    pub(crate) min: Option<f64>,
    pub(crate) max: Option<f64>,
    pub(crate) min_len: Option<usize>,
    pub(crate) max_len: Option<usize>,
    pub(crate) choices: Vec<String>,
    pub(crate) pattern: Option<Pattern>,
    pub(crate) requires: Option<String>,
    pub(crate) release: Release,
}

/// The rules of a call, or of a property string.
#[derive(Clone, Debug, Default)]
pub(crate) struct RuleSet {
    rules: BTreeMap<String, Rule>,
    /// Whether the release knows the call at all.
    pub(crate) exists: bool,
}

impl RuleSet {
    /// The set that `text` declares for `release`. Panics on a typing error in it, which the tests
    /// would find.
    pub(crate) fn parse(text: &str, release: Release) -> Self {
        Self::parse_with(text, release, |subset| set_in(subset, release).clone())
    }

    fn parse_with(text: &str, release: Release, subset: impl Fn(&str) -> RuleSet) -> Self {
        let (mut rules, mut exists) = (BTreeMap::new(), true);
        let lines = text
            .split('\n')
            .flat_map(|line| line.split("; "))
            .map(str::trim);
        for line in lines.filter(|l| !l.is_empty() && !l.starts_with("//")) {
            if let Some(name) = line.strip_prefix('+') {
                rules.extend(subset(name).rules);
            } else if let Some(limit) = line.strip_prefix('@') {
                exists &= is_of(&limit.replace(' ', "="), release);
            } else if line.split_whitespace().all(|word| is_of(word, release)) {
                let rule = Rule::parse(line, release);
                rules.insert(rule.name.clone(), rule);
            }
        }
        Self { rules, exists }
    }

    /// The rule of `name`, be it by itself or as one of a family.
    pub(crate) fn rule(&self, name: &str) -> Option<&Rule> {
        if let Some(rule) = self.rules.get(name).filter(|r| r.family.is_none()) {
            return Some(rule);
        }
        let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
        let digits = &name[stem.len()..];
        if digits.len() > 1 && digits.starts_with('0') {
            return None;
        }
        // A family may share its stem with a plain name (`numa`, `numa0`), so it is filed as `numa#`.
        let rule = self.rules.get(&format!("{stem}#"))?;
        let index: u32 = digits.parse().ok()?;
        rule.family.as_ref()?.contains(&index).then_some(rule)
    }

    /// All rules by name; a family once.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.rules.values()
    }

    /// The key whose value a property string may give without naming it.
    pub(crate) fn default_key(&self) -> Option<&Rule> {
        self.iter().find(|rule| rule.default_key)
    }
}

/// Whether `release` is not before `since=` and not after `until=`, if the word is one of these.
fn is_of(word: &str, release: Release) -> bool {
    let named = |name: &str| name.parse::<Release>().expect("releases are named right");
    match word.split_once('=') {
        Some(("since", first)) => named(first) <= release,
        Some(("until", last)) => release <= named(last),
        _ => true,
    }
}

impl Rule {
    fn parse(line: &str, release: Release) -> Self {
        let is_limit = |word: &&str| word.starts_with("since=") || word.starts_with("until=");
        let mut words = line.split_whitespace().filter(|word| !is_limit(word));
        let mut name = words.next().expect("a rule has a name");
        let default_key = name.starts_with('*');
        name = name.trim_start_matches('*');
        let optional = name.ends_with('?');
        name = name.trim_end_matches('?');
        let (name, family) = match name.split_once('#') {
            Some((stem, range)) => {
                let (from, to) = range.split_once('-').expect("a family has a range");
                let number = |text: &str| text.parse::<u32>().expect("a range has numbers");
                (format!("{stem}#"), Some(number(from)..=number(to)))
            }
            None => (name.to_owned(), None),
        };
        let mut rule = Self {
            name,
            family,
            optional,
            default_key,
            alias: None,
            kind: Kind::String,
            format: None,
            min: None,
            max: None,
            min_len: None,
            max_len: None,
            choices: Vec::new(),
            pattern: None,
            requires: None,
            release,
        };
        match words.next().expect("a rule has a type") {
            "string" => {}
            "integer" => rule.kind = Kind::Integer,
            "number" => rule.kind = Kind::Number,
            "boolean" => rule.kind = Kind::Boolean,
            "array" => rule.kind = Kind::Array,
            "=" => {
                rule.optional = true;
                rule.alias = Some(Alias {
                    target: words.next().expect("an alias has a target").to_owned(),
                    names_value_of: words.next().map(str::to_owned),
                });
            }
            other => panic!("no type is called {other}"),
        }
        for word in words {
            rule.limit(word);
        }
        rule
    }

    fn limit(&mut self, word: &str) {
        let number = |text: &str| text.parse::<f64>().expect("a limit is a number");
        match word.split_once('=') {
            Some(("min", n)) => self.min = Some(number(n)),
            Some(("max", n)) => self.max = Some(number(n)),
            Some(("len", range)) => {
                let (from, to) = range.split_once("..").expect("len has a range");
                self.min_len = from.parse().ok();
                self.max_len = to.parse().ok();
            }
            Some(("enum", list)) => {
                self.choices = list.split('|').flat_map(choices).collect();
            }
            Some(("requires", name)) => self.requires = Some(name.to_owned()),
            Some(("pattern", text)) => self.pattern = Some(Pattern::new(text)),
            Some((other, _)) => panic!("no limit is called {other}"),
            None => {
                self.format = Some(match word.strip_prefix('{') {
                    Some(subset) => Format::Properties(subset.trim_end_matches('}').to_owned()),
                    None => Format::Named(word.to_owned()),
                });
            }
        }
    }
}

/// One choice, or all of a family: `mp#0-255`.
fn choices(text: &str) -> Vec<String> {
    let family = text.split_once('#').and_then(|(stem, range)| {
        let (from, to) = range.split_once('-')?;
        Some((stem, from.parse::<u32>().ok()?..=to.parse().ok()?))
    });
    match family {
        Some((stem, range)) => range.map(|n| format!("{stem}{n}")).collect(),
        None => vec![text.to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, name: &str, found: bool) {
        assert_eq!(
            RuleSet::parse(text, Release::V9_1).rule(name).is_some(),
            found,
            "{name}"
        );
    }

    #[test]
    fn a_family_ends_where_it_ends() {
        let text = "numa? boolean\nnuma#0-7? string\nscsi#0-30? string";
        check(text, "numa", true);
        check(text, "numa0", true);
        check(text, "numa8", false);
        check(text, "scsi30", true);
        check(text, "scsi31", false);
        check(text, "scsi01", false);
        check(text, "scsi", false);
    }

    #[test]
    fn every_shared_set_parses() {
        for name in SETS[&Release::default()].keys() {
            assert!(set(name).iter().count() > 0, "{name}");
        }
    }

    #[test]
    fn a_rule_is_for_the_releases_that_it_names() {
        check("a? string since=9.1", "a", true);
        check("a? string since=9.2", "a", false);
        check("a? string until=9.1", "a", true);
        check("a? string until=9.0", "a", false);
        let exists = |text| RuleSet::parse(text, Release::V9_0).exists;
        assert!(exists("@since 9.0; a? string"));
        assert!(!exists("@since 9.1; a? string"));
    }
}
