//! Attribute paths: where in a configuration something is.

use std::fmt;

/// One step from a value to a value inside it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// An attribute of an object.
    Attribute(String),
    /// An element of a map.
    Key(String),
    /// An element of a list, from 0.
    Index(i64),
    /// An element of a set, which has no name.
    Element,
}

/// The steps from the root of a resource to one of its values.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path(pub Vec<Step>);

impl Path {
    /// The path of an attribute at the root.
    pub fn root(name: &str) -> Self {
        Self(vec![Step::Attribute(name.to_owned())])
    }

    /// This path and one attribute more.
    pub fn attribute(&self, name: &str) -> Self {
        self.with(Step::Attribute(name.to_owned()))
    }

    /// This path and one map key more.
    pub fn key(&self, key: &str) -> Self {
        self.with(Step::Key(key.to_owned()))
    }

    /// This path and one list index more.
    pub fn index(&self, index: usize) -> Self {
        self.with(Step::Index(i64::try_from(index).unwrap_or(i64::MAX)))
    }

    /// `network_device.net0.bridge`: how claims are stored and how code names a place.
    pub fn dotted(&self) -> String {
        let steps: Vec<String> = self
            .0
            .iter()
            .map(|step| match step {
                Step::Attribute(name) | Step::Key(name) => name.clone(),
                Step::Index(index) => index.to_string(),
                Step::Element => "*".to_owned(),
            })
            .collect();
        steps.join(".")
    }

    /// This path and one step more, if there is one.
    pub fn with(&self, step: impl Into<Option<Step>>) -> Self {
        Self(self.0.iter().cloned().chain(step.into()).collect())
    }
}

/// As HCL writes it: `network_device["net0"].bridge`.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Attribute(name) if position == 0 => write!(f, "{name}")?,
                Step::Attribute(name) => write!(f, ".{name}")?,
                Step::Key(key) => write!(f, "[\"{key}\"]")?,
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Element => f.write_str("[*]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_prints_as_hcl_writes_it() {
        let path = Path::root("network_device").key("net0").attribute("bridge");
        assert_eq!(path.to_string(), r#"network_device["net0"].bridge"#);
        assert_eq!(path.dotted(), "network_device.net0.bridge");
        let path = Path::root("rules").with(Step::Element).attribute("port");
        assert_eq!(path.to_string(), "rules[*].port");
    }
}
