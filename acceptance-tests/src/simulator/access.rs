//! Users, tokens, roles and permissions, and what follows from them.
//!
//! Directory servers, groups of a directory and second factors do not exist here.

pub(crate) mod groups;
pub(crate) mod login;
pub(crate) mod roles;
pub(crate) mod tickets;
pub(crate) mod users;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::release::Release;

/// All privileges of all releases.
const PRIVILEGES: &str = "Datastore.Allocate Datastore.AllocateSpace Datastore.AllocateTemplate \
     Datastore.Audit Group.Allocate Mapping.Audit Mapping.Modify Mapping.Use Permissions.Modify \
     Pool.Allocate Pool.Audit Realm.Allocate Realm.AllocateUser SDN.Allocate SDN.Audit SDN.Use \
     Sys.AccessNetwork Sys.Audit Sys.Console Sys.Incoming Sys.Modify Sys.PowerMgmt Sys.Syslog \
     User.Modify VM.Allocate VM.Audit VM.Backup VM.Clone VM.Config.CDROM VM.Config.CPU \
     VM.Config.Cloudinit VM.Config.Disk VM.Config.HWType VM.Config.Memory VM.Config.Network \
     VM.Config.Options VM.Console VM.GuestAgent.Audit VM.GuestAgent.FileRead \
     VM.GuestAgent.FileSystemMgmt VM.GuestAgent.FileWrite VM.GuestAgent.Unrestricted VM.Migrate \
     VM.Monitor VM.PowerMgmt VM.Replicate VM.Snapshot VM.Snapshot.Rollback";

/// What the ready token may do: guests with Docker on them, from the image download to the last delete.
pub(crate) const DOCKER_VM_ROLE: &str = "Datastore.Allocate Datastore.AllocateSpace \
     Datastore.AllocateTemplate Datastore.Audit Mapping.Use Pool.Allocate Pool.Audit SDN.Use Sys.AccessNetwork \
     Sys.Modify VM.Allocate VM.Audit VM.Clone VM.Config.CDROM VM.Config.CPU VM.Config.Cloudinit \
     VM.Config.Disk VM.Config.HWType VM.Config.Memory VM.Config.Network VM.Config.Options VM.Console \
     VM.GuestAgent.Audit VM.GuestAgent.FileRead VM.GuestAgent.FileWrite VM.GuestAgent.Unrestricted \
     VM.Migrate VM.Monitor VM.PowerMgmt";

/// Roles that every installation has, beside `Administrator` and `NoAccess`.
const BUILT_IN: &[(&str, &str)] = &[
    (
        "PVEAdmin",
        "Datastore.* Group.Allocate Mapping.Audit Mapping.Use Pool.* Realm.AllocateUser SDN.* \
         Sys.Audit Sys.Console Sys.Syslog User.Modify VM.*",
    ),
    (
        "PVEAuditor",
        "Datastore.Audit Mapping.Audit Pool.Audit SDN.Audit Sys.Audit VM.Audit VM.GuestAgent.Audit",
    ),
    ("PVEDatastoreAdmin", "Datastore.*"),
    (
        "PVEDatastoreUser",
        "Datastore.AllocateSpace Datastore.Audit",
    ),
    ("PVEMappingAdmin", "Mapping.*"),
    ("PVEMappingUser", "Mapping.Audit Mapping.Use"),
    ("PVEPoolAdmin", "Pool.*"),
    ("PVEPoolUser", "Pool.Audit"),
    ("PVESDNAdmin", "SDN.*"),
    ("PVESDNUser", "SDN.Audit SDN.Use"),
    ("PVESysAdmin", "Sys.Audit Sys.Console Sys.Syslog"),
    ("PVETemplateUser", "VM.Audit VM.Clone"),
    (
        "PVEUserAdmin",
        "Group.Allocate Realm.AllocateUser User.Modify",
    ),
    ("PVEVMAdmin", "VM.*"),
    (
        "PVEVMUser",
        "VM.Audit VM.Backup VM.Config.CDROM VM.Config.Cloudinit VM.Console VM.GuestAgent.Audit \
         VM.GuestAgent.FileRead VM.GuestAgent.FileSystemMgmt VM.GuestAgent.FileWrite VM.PowerMgmt",
    ),
];

/// The role that takes everything away.
const NO_ACCESS: &str = "NoAccess";

/// Whether `release` knows the privilege `name`.
pub(crate) fn is_privilege(name: &str, release: Release) -> bool {
    let known = match name {
        "VM.Monitor" => release < Release::V9_0,
        "VM.Replicate" => release >= Release::V9_0,
        _ => release >= Release::V9_0 || !name.starts_with("VM.GuestAgent."),
    };
    known
        && PRIVILEGES
            .split_whitespace()
            .any(|privilege| privilege == name)
}

/// A set of privileges.
pub(crate) type Privileges = BTreeSet<String>;

/// The privileges of a list that `release` knows; `VM.*` stands for all that begin so.
pub(crate) fn privileges(list: &str, release: Release) -> Privileges {
    let names = list.split([' ', ',', ';']).filter(|name| !name.is_empty());
    let all = names.flat_map(|name| match name.strip_suffix('*') {
        Some(start) => PRIVILEGES
            .split_whitespace()
            .filter(|name| name.starts_with(start))
            .collect(),
        None => vec![name],
    });
    all.filter(|name| is_privilege(name, release))
        .map(str::to_owned)
        .collect()
}

/// A user.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct User {
    pub(crate) password: Option<String>,
    pub(crate) disabled: bool,
    pub(crate) comment: Option<String>,
    /// When it ends to be valid, in seconds since 1970; 0 is never.
    pub(crate) expire: i64,
    pub(crate) details: BTreeMap<String, String>,
    pub(crate) groups: BTreeSet<String>,
    pub(crate) tokens: BTreeMap<String, Token>,
}

/// An API token.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Token {
    pub(crate) secret: String,
    pub(crate) separated: bool,
    pub(crate) expire: i64,
    pub(crate) comment: Option<String>,
}

/// One line of the access control list.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct Entry {
    pub(crate) path: String,
    /// `user@realm`, `user@realm!token` or `@group`.
    pub(crate) subject: String,
    pub(crate) role: String,
    pub(crate) propagate: bool,
}

/// The whole of it.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Access {
    #[serde(skip)]
    pub(crate) release: Release,
    pub(crate) users: BTreeMap<String, User>,
    pub(crate) groups: BTreeMap<String, Option<String>>,
    pub(crate) roles: BTreeMap<String, Privileges>,
    pub(crate) list: Vec<Entry>,
    /// Tickets with their user and CSRF token.
    pub(crate) tickets: BTreeMap<String, (String, String)>,
}

impl Access {
    /// A fresh installation with the password of `root@pam`.
    pub(crate) fn new(root_password: &str, release: Release) -> Self {
        let root = User {
            password: Some(root_password.to_owned()),
            ..User::default()
        };
        let mut roles: BTreeMap<_, _> = BUILT_IN
            .iter()
            .map(|(name, list)| ((*name).to_owned(), privileges(list, release)))
            .collect();
        roles.insert("Administrator".to_owned(), privileges(PRIVILEGES, release));
        roles.insert(NO_ACCESS.to_owned(), Privileges::new());
        Self {
            release,
            users: BTreeMap::from([("root@pam".to_owned(), root)]),
            groups: BTreeMap::new(),
            roles,
            list: Vec::new(),
            tickets: BTreeMap::new(),
        }
    }

    /// The token behind `user@realm!id`.
    pub(crate) fn token(&self, id: &str) -> Option<&Token> {
        let (user, token) = id.split_once('!')?;
        self.users.get(user)?.tokens.get(token)
    }

    /// What `who` (a user or a token) may do on `path`, which may be a member of `pool`.
    pub(crate) fn allowed(&self, who: &str, path: &str, pool: Option<&str>) -> Privileges {
        let user = who.split('!').next().unwrap_or_default();
        let of_user = match user {
            "root@pam" => privileges(PRIVILEGES, self.release),
            _ if self.users.contains_key(user) => self.given(user, path, pool),
            _ => Privileges::new(),
        };
        match self.token(who) {
            Some(token) if token.separated => {
                let own = self.given(who, path, pool);
                own.intersection(&of_user).cloned().collect()
            }
            None if who != user => Privileges::new(),
            _ => of_user,
        }
    }

    /// The privileges of the roles that the list gives.
    fn given(&self, who: &str, path: &str, pool: Option<&str>) -> Privileges {
        let mut roles = self.roles_on(who, path);
        if let Some(pool) = pool.filter(|_| !roles.contains(&NO_ACCESS)) {
            let of_pool = self.roles_on(who, &format!("/pool/{pool}"));
            if of_pool.contains(&NO_ACCESS) {
                roles.clear();
            }
            roles.extend(of_pool);
        }
        let all = roles.into_iter().filter_map(|role| self.roles.get(role));
        all.flatten().cloned().collect()
    }

    /// The roles that the deepest entry on the way to `path` gives: there one of the subject itself goes before those
    /// of its groups, and a deeper one replaces what is inherited.
    fn roles_on(&self, who: &str, path: &str) -> BTreeSet<&str> {
        let groups = self.users.get(who).map(|user| &user.groups);
        let is_group = |subject: &str| {
            let group = subject.strip_prefix('@');
            group.is_some_and(|group| groups.is_some_and(|groups| groups.contains(group)))
        };
        let mut found = BTreeSet::new();
        for step in steps(path) {
            let here = |is: &dyn Fn(&str) -> bool| -> BTreeSet<&str> {
                let entries = self.list.iter().filter(|entry| {
                    let applies = entry.propagate || step == path;
                    entry.path == step && applies && is(&entry.subject)
                });
                entries.map(|entry| entry.role.as_str()).collect()
            };
            let own = here(&|subject| subject == who);
            let roles = if own.is_empty() { here(&is_group) } else { own };
            if !roles.is_empty() {
                found = roles;
            }
        }
        if found.contains(NO_ACCESS) {
            found.retain(|role| *role == NO_ACCESS);
        }
        found
    }

    /// Gives a user privileges on a path and what is below, through a role of their own.
    pub(crate) fn grant(&mut self, user: &str, path: &str, list: &str) {
        let role = format!("Role{}", self.roles.len());
        self.roles
            .insert(role.clone(), privileges(list, self.release));
        self.list.push(Entry {
            path: path.to_owned(),
            subject: user.to_owned(),
            role,
            propagate: true,
        });
    }

    /// Removes the entries of a guest that is gone.
    pub(crate) fn forget_guest(&mut self, vmid: u32) {
        let path = format!("/vms/{vmid}");
        self.list.retain(|entry| entry.path != path);
    }
}

/// `/`, `/vms`, `/vms/100` for `/vms/100`.
fn steps(path: &str) -> Vec<String> {
    let mut steps = vec!["/".to_owned()];
    let mut so_far = String::new();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        so_far = format!("{so_far}/{part}");
        steps.push(so_far.clone());
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Access {
        let mut access = Access::new("secret", Release::default());
        let secret = || Token {
            secret: String::new(),
            separated: true,
            expire: 0,
            comment: None,
        };
        let mut user = User::default();
        user.groups.insert("ops".to_owned());
        user.tokens.insert("sep".to_owned(), secret());
        user.tokens.insert(
            "full".to_owned(),
            Token {
                separated: false,
                ..secret()
            },
        );
        access.users.insert("a@pve".to_owned(), user);
        let entry = |path: &str, subject: &str, role: &str, propagate| Entry {
            path: path.to_owned(),
            subject: subject.to_owned(),
            role: role.to_owned(),
            propagate,
        };
        access.list = vec![
            entry("/vms", "a@pve", "PVEVMUser", true),
            entry("/vms/100", "a@pve", "PVEAuditor", true),
            entry("/", "a@pve!sep", "PVETemplateUser", true),
            entry("/storage", "a@pve", "PVEDatastoreUser", false),
            entry("/vms/102", "@ops", "PVETemplateUser", true),
            entry("/vms/103", "a@pve", "PVEVMUser", true),
            entry("/vms/103", "a@pve", "NoAccess", true),
            entry("/pool/p", "@ops", "PVEDatastoreUser", true),
            entry("/pool/p", "a@pve!sep", "PVEAdmin", true),
            entry("/pool/no", "a@pve", "NoAccess", true),
        ];
        access
    }

    #[track_caller]
    fn check(who: &str, path: &str, privilege: &str, expected: bool) {
        let allowed = sample().allowed(who, path, None);
        assert_eq!(
            allowed.contains(privilege),
            expected,
            "{who} {path} {privilege}"
        );
    }

    #[test]
    fn a_deeper_entry_replaces_what_is_inherited() {
        check("a@pve", "/vms/101", "VM.PowerMgmt", true);
        check("a@pve", "/vms/100", "VM.PowerMgmt", false);
        check("a@pve", "/vms/100", "Sys.Audit", true);
        check("a@pve", "/storage", "Datastore.Audit", true);
        check("a@pve", "/storage/local", "Datastore.Audit", false);
    }

    #[test]
    fn groups_count_where_the_user_has_no_entry() {
        check("a@pve", "/vms/102", "VM.Clone", true);
        check("a@pve", "/vms/102", "VM.PowerMgmt", false);
        check("a@pve", "/vms/103", "VM.PowerMgmt", false);
    }

    #[test]
    fn a_pool_adds_to_what_its_members_have() {
        let may = |who, path, pool| {
            let allowed = sample().allowed(who, path, Some(pool));
            ["VM.PowerMgmt", "Datastore.Audit"].map(|name| allowed.contains(name))
        };
        assert_eq!(may("a@pve", "/vms/101", "p"), [true, true]);
        // What the token has through the pool, its user has from elsewhere.
        assert_eq!(may("a@pve!sep", "/vms/101", "p"), [true, true]);
        assert_eq!(may("a@pve", "/vms/103", "p"), [false, false]);
        assert_eq!(may("a@pve", "/vms/101", "no"), [false, false]);
    }

    #[test]
    fn a_separated_token_has_what_it_and_its_user_have() {
        check("a@pve!sep", "/vms/101", "VM.Audit", true);
        check("a@pve!sep", "/vms/101", "VM.Clone", false);
        check("a@pve!sep", "/vms/101", "VM.PowerMgmt", false);
        check("a@pve!full", "/vms/101", "VM.PowerMgmt", true);
        check("root@pam", "/", "Sys.Modify", true);
    }
}
