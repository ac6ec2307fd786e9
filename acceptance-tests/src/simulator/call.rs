//! One call of the API on its way: who sends it, with what, and the route that it takes.
//!
//! Transport is the server's business; the work is done by the route's handler.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use super::access::login::Who;
use super::console::Upgrade;
use super::journal::covers;
use super::machine::BoxFuture;
use super::params::Params;
use super::release::Release;
use super::reply::{Fail, Outcome};
use super::rules::RuleSet;
use super::storage::upload::Upload;
use super::tasks::TaskOrder;
use super::world::World;
use super::{
    access, appliances, backup, cluster, console, ha, indexes, lxc, mapping, network, node,
    options, pools, qemu, storage, tasks,
};

/// A call whose sender is known.
pub(crate) struct Call {
    pub(crate) world: Arc<World>,
    pub(crate) who: Who,
    pub(crate) params: Params,
    pub(crate) upload: Option<Upload>,
    /// What the task that this call starts is to do instead.
    pub(crate) task_order: Option<TaskOrder>,
    /// How long the work waits before it begins.
    pub(crate) delay: Duration,
    /// What the request asks for beside an answer.
    pub(crate) upgrade: Option<Upgrade>,
    /// The agent is not to answer.
    pub(crate) agent_silent: bool,
    /// The agent was started anew before this call.
    pub(crate) agent_restarts: bool,
}

impl Call {
    /// The node of the path.
    pub(crate) fn node(&self) -> &str {
        self.params.text("node")
    }

    /// Whether the sender has `privilege` on `path`.
    pub(crate) fn can(&self, path: &str, privilege: &str) -> bool {
        self.world
            .state()
            .allowed(&self.who.id, path)
            .contains(privilege)
    }

    /// Requires all of `privileges` on `path`; the refusal names the first that is missing.
    pub(crate) fn need(&self, path: &str, privileges: &[&str]) -> Result<(), Fail> {
        let privileges = self.of_release(privileges);
        let allowed = self.world.state().allowed(&self.who.id, path);
        match privileges
            .iter()
            .find(|privilege| !allowed.contains(**privilege))
        {
            Some(missing) => Err(Fail::Denied(format!("{path}, {missing}"))),
            None => Ok(()),
        }
    }

    /// Requires one of `privileges` on `path`.
    pub(crate) fn need_any(&self, path: &str, privileges: &[&str]) -> Result<(), Fail> {
        let privileges = self.of_release(privileges);
        let allowed = self.world.state().allowed(&self.who.id, path);
        if privileges
            .iter()
            .any(|privilege| allowed.contains(*privilege))
        {
            return Ok(());
        }
        Err(Fail::Denied(format!("{path}, {}", privileges.join("|"))))
    }

    /// The privileges as the release has them: once one was for all that the agent does.
    fn of_release<'a>(&self, privileges: &[&'a str]) -> Vec<&'a str> {
        let mut privileges = privileges.to_vec();
        if self.world.settings.release < Release::V9_0 {
            let of_agent = |name: &&mut &str| name.starts_with("VM.GuestAgent.");
            privileges
                .iter_mut()
                .filter(of_agent)
                .for_each(|name| *name = "VM.Monitor");
            privileges.dedup();
        }
        privileges
    }

    /// A path of the access list with the parameters put in.
    fn filled(&self, path: &str) -> String {
        let parts = path.split('/').map(|part| match part.strip_prefix('{') {
            Some(name) => self
                .params
                .text_opt(name.trim_end_matches('}'))
                .unwrap_or_default(),
            None => part,
        });
        parts.collect::<Vec<_>>().join("/")
    }

    /// Whether the declared permission lets the sender through.
    pub(crate) fn passes(&self, allow: &Allow) -> Result<(), Fail> {
        match allow {
            Allow::World | Allow::Anyone => Ok(()),
            Allow::All(path, privileges) => self.need(&self.filled(path), privileges),
            Allow::Any(path, privileges) => self.need_any(&self.filled(path), privileges),
            Allow::Both(first, second) => {
                self.passes(first)?;
                self.passes(second)
            }
            Allow::Either(first, second) => self
                .passes(first)
                .or_else(|_| self.passes(second))
                .map_err(|_| Fail::denied()),
        }
    }
}

/// Who may call.
pub(crate) enum Allow {
    /// Everybody, without credentials.
    World,
    /// Every user.
    Anyone,
    /// Who has all of these privileges.
    All(&'static str, &'static [&'static str]),
    /// Who has one of these privileges.
    Any(&'static str, &'static [&'static str]),
    /// Both conditions.
    Both(&'static Allow, &'static Allow),
    /// One of the conditions; the refusal says nothing.
    Either(&'static Allow, &'static Allow),
}

/// Does the work of a call.
pub(crate) type Handler = fn(Call) -> BoxFuture<'static, Outcome>;

/// One method of one path.
pub(crate) struct Route {
    /// `METHOD /path/{variable}`.
    pub(crate) call: &'static str,
    pub(crate) allow: Allow,
    /// In the notation of [`super::rules`], with the variables of the path.
    pub(crate) rules: &'static str,
    pub(crate) handler: Handler,
}

/// A handler that answers at once.
macro_rules! now {
    ($handler:path) => {
        |call| Box::pin(std::future::ready($handler(&call)))
    };
}
/// A handler that answers at once and cannot fail.
macro_rules! tell {
    ($handler:path) => {
        |call| Box::pin(std::future::ready(Ok($handler(&call).into())))
    };
}
/// A handler that waits for something.
macro_rules! later {
    ($handler:path) => {
        |call| Box::pin($handler(call))
    };
}
pub(crate) use {later, now, tell};

/// A route with its rules parsed.
pub(crate) struct Parsed {
    pub(crate) route: &'static Route,
    pub(crate) rules: RuleSet,
}

impl Parsed {
    /// Whether the daemon with the rights of root does the work, not the one that clients talk to.
    pub(crate) fn is_protected(&self) -> bool {
        let Some(path) = self.route.call.strip_prefix("GET ") else {
            return true;
        };
        PROTECTED_READS.iter().any(|pattern| covers(pattern, path))
    }
}

/// Reads that need the rights of root; every write does.
const PROTECTED_READS: &[&str] = &[
    "/access/tfa/**",
    "/access/users",
    "/cluster/mapping/*/*",
    "/cluster/status",
    "/nodes/{node}/lxc/{vmid}/feature",
    "/nodes/{node}/lxc/{vmid}/interfaces",
    "/nodes/{node}/lxc/{vmid}/migrate",
    "/nodes/{node}/lxc/{vmid}/snapshot",
    "/nodes/*/lxc",
    "/nodes/*/lxc/*/feature",
    "/nodes/*/lxc/*/interfaces",
    "/nodes/*/lxc/*/migrate",
    "/nodes/*/lxc/*/rrddata",
    "/nodes/*/lxc/*/snapshot",
    "/nodes/*/qemu",
    "/nodes/*/qemu/*/agent/*",
    "/nodes/*/qemu/*/feature",
    "/nodes/*/qemu/*/migrate",
    "/nodes/*/qemu/*/rrddata",
    "/nodes/*/qemu/*/snapshot",
    "/nodes/*/*/*/status/current",
    "/nodes/*/disks/list",
    "/nodes/*/hardware/*",
    "/nodes/*/hosts",
    "/nodes/*/sdn/zones",
    "/nodes/*/services/**",
    "/nodes/*/services",
    "/nodes/*/storage",
    "/nodes/*/storage/*/*/**",
    "/nodes/*/tasks/*/log",
    "/nodes/*/tasks/*/status",
];

/// The calls that each release has.
pub(crate) static ROUTES: LazyLock<BTreeMap<Release, Vec<Parsed>>> = LazyLock::new(|| {
    Release::ALL
        .map(|release| (release, routes(release)))
        .into()
});

fn routes(release: Release) -> Vec<Parsed> {
    let families: &[&'static [Route]] = &[
        access::groups::ROUTES,
        access::roles::ROUTES,
        access::tickets::ROUTES,
        access::users::ROUTES,
        appliances::ROUTES,
        backup::NOW,
        backup::ROUTES,
        cluster::ROUTES,
        console::ROUTES,
        ha::ROUTES,
        lxc::clone::ROUTES,
        lxc::config::ROUTES,
        lxc::create::ROUTES,
        lxc::destroy::ROUTES,
        lxc::migrate::ROUTES,
        lxc::move_volume::ROUTES,
        lxc::power::ROUTES,
        lxc::read::ROUTES,
        lxc::resize::ROUTES,
        lxc::snapshot::ROUTES,
        indexes::ROUTES,
        network::ROUTES,
        options::ROUTES,
        node::ROUTES,
        pools::ROUTES,
        qemu::agent::ROUTES,
        qemu::clone::ROUTES,
        qemu::cloudinit::ROUTES,
        qemu::create::ROUTES,
        qemu::destroy::ROUTES,
        qemu::migrate::ROUTES,
        qemu::move_disk::ROUTES,
        qemu::power::ROUTES,
        qemu::read::ROUTES,
        qemu::resize::ROUTES,
        qemu::snapshot::ROUTES,
        qemu::template::ROUTES,
        qemu::update::ROUTES,
        storage::allocate::ROUTES,
        storage::calls::ROUTES,
        storage::prune::ROUTES,
        storage::config::ROUTES,
        storage::download::ROUTES,
        storage::upload::ROUTES,
        tasks::calls::ROUTES,
    ];
    let parse = |route: &'static Route| Parsed {
        route,
        rules: RuleSet::parse(route.rules, release),
    };
    let families = families.iter().chain(mapping::ROUTES);
    families
        .flat_map(|family| family.iter())
        .map(parse)
        .filter(|parsed| parsed.rules.exists)
        .collect()
}

/// The route of `method` on the decoded path in `release`, with the variables of the path.
pub(crate) fn find(
    release: Release,
    method: &str,
    path: &[&str],
) -> Option<(&'static Parsed, Vec<(&'static str, String)>)> {
    let candidates = ROUTES[&release].iter().filter_map(|parsed| {
        let (verb, template) = parsed.route.call.split_once(' ')?;
        let variables = fit(template, path).filter(|_| verb == method)?;
        Some((parsed, variables))
    });
    // A literal segment goes before a variable.
    candidates.min_by_key(|(_, variables)| variables.len())
}

/// The variables of `template` if it fits; `{volume}` takes all that is left.
fn fit(template: &'static str, path: &[&str]) -> Option<Vec<(&'static str, String)>> {
    let mut variables = Vec::new();
    let mut rest = path;
    for part in template.split('/').filter(|part| !part.is_empty()) {
        let (first, tail) = rest.split_first()?;
        match part
            .strip_prefix('{')
            .map(|name| name.trim_end_matches('}'))
        {
            Some("volume") => {
                variables.push(("volume", rest.join("/")));
                return Some(variables);
            }
            Some(name) => variables.push((name, (*first).to_owned())),
            None if part == *first => {}
            None => return None,
        }
        rest = tail;
    }
    rest.is_empty().then_some(variables)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::rules::{Format, formats};

    #[track_caller]
    fn check(method: &str, path: &str, expected: Option<&str>) {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        assert_eq!(
            find(Release::default(), method, &parts).map(|(found, _)| found.route.call),
            expected
        );
    }

    #[test]
    fn routes_are_found_by_method_and_path() {
        check("GET", "/version", Some("GET /version"));
        check("POST", "/cluster/nextid", None);
        check(
            "GET",
            "/nodes/a/qemu/100/config",
            Some("GET /nodes/{node}/qemu/{vmid}/config"),
        );
        check(
            "DELETE",
            "/nodes/a/storage/local/content/local:iso/x.iso",
            Some("DELETE /nodes/{node}/storage/{storage}/content/{volume}"),
        );
        check("GET", "/nodes/a/qemu/100/agent/ping", None);
    }

    #[test]
    fn every_format_that_a_rule_names_is_known() {
        let all = ROUTES.values().flatten();
        for rule in all.flat_map(|parsed| parsed.rules.iter()) {
            if let Some(Format::Named(name)) = &rule.format {
                // Whether the value fits does not matter; an unknown format panics.
                formats::check(name, "value", rule.release).ok();
            }
        }
    }

    #[test]
    fn every_variable_of_a_path_has_a_rule() {
        for parsed in ROUTES.values().flatten() {
            for part in parsed
                .route
                .call
                .split('/')
                .filter_map(|part| part.strip_prefix('{'))
            {
                let name = part.trim_end_matches('}');
                assert!(
                    parsed.rules.rule(name).is_some(),
                    "{} {name}",
                    parsed.route.call
                );
            }
        }
    }
}
