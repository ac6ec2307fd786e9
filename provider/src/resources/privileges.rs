//! What a plan needs the credential to be allowed, checked before anything is made.
//!
//! Asks for the privileges of what is planned, not for a fixed list.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    framework::{Result, resource::Faults},
    pve::{Permissions, Pve},
};

/// What running commands in guests takes; before Proxmox VE 9 that is `VM.Monitor`.
const AGENT: [&str; 2] = ["VM.GuestAgent.Audit", "VM.GuestAgent.Unrestricted"];

/// Privileges that a plan needs, each with the attribute that needs it.
#[derive(Debug, Default)]
pub struct Wanted(Vec<(Vec<Need>, &'static str)>);

/// Privileges on one path, all of them.
#[derive(Clone, Debug)]
struct Need {
    path: String,
    privileges: Vec<&'static str>,
}

impl Wanted {
    /// One privilege on a path.
    pub fn privilege(
        mut self,
        path: impl Into<String>,
        privilege: &'static str,
        at: &'static str,
    ) -> Self {
        self.0
            .push((vec![Need::new(path.into(), vec![privilege])], at));
        self
    }

    /// Several privileges on a path.
    pub fn privileges(self, path: &str, privileges: &[&'static str], at: &'static str) -> Self {
        privileges.iter().fold(self, |wanted, privilege| {
            wanted.privilege(path, privilege, at)
        })
    }

    /// All privileges on one path, or all on another.
    pub fn either(
        mut self,
        one: (String, Vec<&'static str>),
        other: (String, Vec<&'static str>),
        at: &'static str,
    ) -> Self {
        self.0.push((
            vec![Need::new(one.0, one.1), Need::new(other.0, other.1)],
            at,
        ));
        self
    }

    /// Running commands in the guests of one of the paths.
    pub fn agent(mut self, paths: &[&str], at: &'static str) -> Self {
        let ways = |privileges: &[&'static str]| {
            let need = |path: &&str| Need::new((*path).to_owned(), privileges.to_vec());
            paths.iter().map(need).collect::<Vec<_>>()
        };
        self.0
            .push(([ways(&AGENT), ways(&["VM.Monitor"])].concat(), at));
        self
    }

    /// Reports what is missing at the attributes, with the commands that would grant it.
    pub async fn check(&self, pve: &Pve, found: &mut Faults<'_>) -> Result<()> {
        if pve.is_root() {
            return Ok(());
        }
        let permissions = pve.permissions().await?;
        for (at, mut missing) in self.missing(&permissions) {
            if missing
                .values()
                .flatten()
                .any(|privilege| AGENT.contains(privilege))
                && !pve.version().await?.at_least(9, 0)
            {
                for privileges in missing.values_mut() {
                    privileges.retain(|privilege| !AGENT.contains(privilege));
                    privileges.insert("VM.Monitor");
                }
            }
            let list: Vec<String> = missing
                .iter()
                .map(|(path, privileges)| format!("{} on {path}", join(privileges, ", ")))
                .collect();
            found.error(
                at,
                "The credential lacks a privilege",
                format!(
                    "{} may not do this: it lacks {}. As root on a node:\n\n{}",
                    pve.user(),
                    list.join(" and "),
                    commands(pve.user(), &missing)
                ),
            );
        }
        Ok(())
    }

    /// Missing privileges by attribute and path.
    fn missing(
        &self,
        permissions: &Permissions,
    ) -> BTreeMap<&'static str, BTreeMap<String, BTreeSet<&'static str>>> {
        let mut missing: BTreeMap<_, BTreeMap<String, BTreeSet<_>>> = BTreeMap::new();
        for (ways, at) in &self.0 {
            if ways.iter().any(|need| need.unmet(permissions).is_empty()) {
                continue;
            }
            let Some(first) = ways.first() else { continue };
            missing
                .entry(*at)
                .or_default()
                .entry(first.path.clone())
                .or_default()
                .extend(first.unmet(permissions));
        }
        missing
    }
}

impl Need {
    fn new(path: String, privileges: Vec<&'static str>) -> Self {
        Self { path, privileges }
    }

    fn unmet(&self, permissions: &Permissions) -> Vec<&'static str> {
        self.privileges
            .iter()
            .copied()
            .filter(|privilege| !permissions.has(&self.path, privilege))
            .collect()
    }
}

/// The lines that grant what is missing: privileges are granted by roles. They may be run twice.
///
/// A token of its own rights needs what its user has too, any other token has what its user has.
fn commands(user: &str, missing: &BTreeMap<String, BTreeSet<&'static str>>) -> String {
    let privileges: BTreeSet<&str> = missing.values().flatten().copied().collect();
    let whom = match user.split_once('!') {
        Some((owner, _)) => format!("--users '{owner}' --tokens '{user}'"),
        None => format!("--users '{user}'"),
    };
    let privileges = join(&privileges, " ");
    let mut lines = vec![
        "pveum role add PmovesExtra".to_owned(),
        format!("pveum role modify PmovesExtra --append 1 --privs \"{privileges}\""),
    ];
    lines.extend(
        missing
            .keys()
            .map(|path| format!("pveum acl modify {path} {whom} --roles PmovesExtra")),
    );
    lines.join("\n")
}

fn join(words: &BTreeSet<&str>, separator: &str) -> String {
    words.iter().copied().collect::<Vec<_>>().join(separator)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permissions(json: &str) -> Permissions {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn what_is_missing_is_told_by_attribute_and_path() {
        let wanted = Wanted::default()
            .privileges("/vms", &["VM.Allocate", "VM.Audit"], "name")
            .privilege("/storage/local", "Datastore.AllocateSpace", "os_disk");
        let missing = wanted.missing(&permissions(r#"{"/vms":{"VM.Audit":1}}"#));
        assert_eq!(missing["name"]["/vms"], BTreeSet::from(["VM.Allocate"]));
        assert_eq!(
            commands("a@pve!t", &missing["os_disk"]),
            "pveum role add PmovesExtra\n\
             pveum role modify PmovesExtra --append 1 --privs \"Datastore.AllocateSpace\"\n\
             pveum acl modify /storage/local --users 'a@pve' --tokens 'a@pve!t' --roles PmovesExtra"
        );
    }

    #[test]
    fn one_of_two_ways_is_enough() {
        let wanted = |()| {
            Wanted::default().either(
                ("/nodes/pve1".into(), vec!["Sys.AccessNetwork"]),
                ("/".into(), vec!["Sys.Audit", "Sys.Modify"]),
                "url",
            )
        };
        assert!(
            wanted(())
                .missing(&permissions(r#"{"/":{"Sys.Audit":0,"Sys.Modify":0}}"#))
                .is_empty()
        );
        assert!(
            !wanted(())
                .missing(&permissions(r#"{"/":{"Sys.Audit":0}}"#))
                .is_empty()
        );
    }
}
