//! Services of a stack as its state shows them.
//!
//! Compares with what was recorded right after our own up, so the quirks of a Compose version
//! cancel out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::containers::{Container, Health, State};

/// A service as the state shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceFacts {
    /// Image as the Compose text names it.
    pub image: String,
    /// `sha256:…` of the image in its registry.
    pub image_digest: Option<String>,
    /// What it does.
    pub state: ServiceState,
    /// How many containers it has.
    pub replicas: u32,
    /// Declared ports.
    pub ports: Vec<String>,
    /// Hash of its configuration as Compose recorded it; none if it never came up since it was
    /// last changed.
    pub config_hash: Option<String>,
}

/// What a service does, the worst of its containers; worse is greater.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ServiceState {
    /// Ran to its end with status 0, as wanted.
    Completed,
    /// Runs, and its check does not say otherwise.
    #[default]
    Running,
    /// Runs, but not what was recorded.
    Outdated,
    /// A check fails, or a container is started again and again.
    Unhealthy,
    /// A container does not run.
    Exited,
    /// Has no container.
    Missing,
}

impl fmt::Display for ServiceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Completed => "completed",
            Self::Running => "running",
            Self::Outdated => "outdated",
            Self::Unhealthy => "unhealthy",
            Self::Exited => "exited",
            Self::Missing => "missing",
        })
    }
}

/// The services of one project, without those containers that `docker compose run` made.
///
/// Those recorded that have no container are missing, but for one that had completed: such
/// containers are pruned. `recorded` is empty on import and right after an up: then what is there
/// is what was wanted, and a container that ended well has completed. Later it has only if it was
/// recorded so, for a container stopped by hand looks the same.
///
/// A service that is outdated keeps the hash and the digest that were recorded, so that it stays
/// outdated until an up succeeds.
pub fn services(
    containers: &[Container],
    recorded: &BTreeMap<String, ServiceFacts>,
) -> BTreeMap<String, ServiceFacts> {
    let own = || containers.iter().filter(|container| !container.oneoff);
    let names = own()
        .map(|container| &container.service)
        .chain(recorded.keys());
    let names: BTreeSet<&String> = names.collect();
    let facts = |name: &String| {
        let mut own: Vec<_> = own()
            .filter(|container| container.service == *name)
            .collect();
        own.sort_by_key(|container| container.number);
        facts(&own, recorded.get(name), recorded.is_empty())
    };
    names
        .into_iter()
        .map(|name| (name.clone(), facts(name)))
        .collect()
}

fn facts(own: &[&Container], recorded: Option<&ServiceFacts>, fresh: bool) -> ServiceFacts {
    let Some(first) = own.first() else {
        let known = recorded.cloned().unwrap_or_default();
        if known.state == ServiceState::Completed {
            return known;
        }
        return ServiceFacts {
            state: ServiceState::Missing,
            replicas: 0,
            ..known
        };
    };
    let kept = recorded.filter(|recorded| own.iter().any(|own| is_outdated(own, recorded)));
    let states = own
        .iter()
        .map(|container| state(container, recorded, fresh, kept.is_some()));
    let ports: BTreeSet<_> = own
        .iter()
        .flat_map(|container| &container.ports)
        .cloned()
        .collect();
    ServiceFacts {
        image: first.image_ref.clone(),
        image_digest: kept.map_or_else(
            || same_digest(first, recorded),
            |recorded| recorded.image_digest.clone(),
        ),
        state: states.max().unwrap_or_default(),
        replicas: u32::try_from(own.len()).unwrap_or(u32::MAX),
        ports: ports.into_iter().collect(),
        config_hash: kept.map_or_else(
            || Some(first.config_hash.clone()),
            |recorded| recorded.config_hash.clone(),
        ),
    }
}

/// Whether someone else's up, or one of ours that failed, made another container of it.
fn is_outdated(container: &Container, recorded: &ServiceFacts) -> bool {
    let digests = &container.digests;
    let other = |digest: &String| !digests.is_empty() && !digests.contains(digest);
    recorded.config_hash.as_ref() != Some(&container.config_hash)
        || recorded.image_digest.as_ref().is_some_and(other)
}

/// The digest that was recorded, if it still is one of the image's.
fn same_digest(container: &Container, recorded: Option<&ServiceFacts>) -> Option<String> {
    let known = recorded.and_then(|recorded| recorded.image_digest.as_ref());
    let known = known.filter(|digest| container.digests.contains(digest));
    known.or(container.digests.first()).cloned()
}

fn state(
    container: &Container,
    recorded: Option<&ServiceFacts>,
    fresh: bool,
    outdated: bool,
) -> ServiceState {
    let was_completed = recorded.is_some_and(|facts| facts.state == ServiceState::Completed);
    match (container.state, container.health) {
        (State::Exited, _) if !(container.is_done() && (fresh || was_completed)) => {
            ServiceState::Exited
        }
        (State::Restarting, _) | (State::Running, Some(Health::Unhealthy)) => {
            ServiceState::Unhealthy
        }
        (State::Exited | State::Running, _) if outdated => ServiceState::Outdated,
        (State::Exited, _) => ServiceState::Completed,
        (State::Running, _) => ServiceState::Running,
        _ => ServiceState::Exited,
    }
}

/// `running`, `degraded` or `stopped`; a project without services runs.
pub fn status(services: &BTreeMap<String, ServiceFacts>) -> &'static str {
    use ServiceState::{Completed, Exited, Missing, Outdated, Running};
    let all =
        |wanted: &[ServiceState]| services.values().all(|facts| wanted.contains(&facts.state));
    if all(&[Running, Completed, Outdated]) {
        "running"
    } else if all(&[Exited, Missing, Completed]) {
        "stopped"
    } else {
        "degraded"
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use expect_test::{Expect, expect};

    use super::*;

    fn container(service: &str, number: u32, state: State) -> Container {
        Container {
            service: service.to_owned(),
            number,
            state,
            image_ref: "nginx:1".to_owned(),
            config_hash: "h1".to_owned(),
            digests: vec!["d1".to_owned()],
            ports: vec!["8080:80/tcp".to_owned()],
            ..Container::default()
        }
    }

    fn recorded(service: &str, state: ServiceState) -> BTreeMap<String, ServiceFacts> {
        let mut recorded = services(&[container(service, 1, State::Running)], &BTreeMap::new());
        recorded.get_mut(service).unwrap().state = state;
        recorded
    }

    #[track_caller]
    fn check(now: &[Container], recorded: &BTreeMap<String, ServiceFacts>, expected: &Expect) {
        let services = services(now, recorded);
        let mut text = format!("{}\n", status(&services));
        for (
            name,
            ServiceFacts {
                image,
                state,
                replicas,
                ports,
                config_hash,
                ..
            },
        ) in services
        {
            let _ = writeln!(
                text,
                "{name} {image} {state} x{replicas} {ports:?} {}",
                config_hash.unwrap_or_default()
            );
        }
        expected.assert_eq(&text);
    }

    #[test]
    fn what_runs_as_recorded_is_running() {
        check(
            &[container("web", 1, State::Running)],
            &recorded("web", ServiceState::Running),
            &expect![[r#"
                running
                web nginx:1 running x1 ["8080:80/tcp"] h1
            "#]],
        );
    }

    #[test]
    fn a_service_without_container_is_missing_and_keeps_its_image() {
        check(
            &[],
            &recorded("web", ServiceState::Running),
            &expect![[r#"
                stopped
                web nginx:1 missing x0 ["8080:80/tcp"] h1
            "#]],
        );
    }

    #[test]
    fn another_hash_or_digest_is_outdated_and_stays_so() {
        let hash = Container {
            config_hash: "h2".into(),
            ..container("web", 1, State::Running)
        };
        let image = Container {
            digests: vec!["d2".into()],
            ..container("web", 1, State::Running)
        };
        for other in [hash, image] {
            let mut known = recorded("web", ServiceState::Running);
            for _ in 0..2 {
                known = services(std::slice::from_ref(&other), &known);
                assert_eq!(known["web"].state, ServiceState::Outdated);
            }
        }
    }

    #[test]
    fn what_never_came_up_is_outdated_until_it_does() {
        let mut known = recorded("web", ServiceState::Running);
        known.get_mut("web").unwrap().config_hash = None;
        let now = [container("web", 1, State::Running)];
        assert_eq!(services(&now, &known)["web"].state, ServiceState::Outdated);
        assert_eq!(
            services(&now, &BTreeMap::new())["web"].state,
            ServiceState::Running
        );
    }

    #[test]
    fn an_image_may_have_several_digests() {
        let now = Container {
            digests: vec!["d0".into(), "d1".into()],
            ..container("web", 1, State::Running)
        };
        let facts = &services(&[now], &recorded("web", ServiceState::Running))["web"];
        assert_eq!(facts.state, ServiceState::Running);
        assert_eq!(facts.image_digest.as_deref(), Some("d1"));
    }

    #[test]
    fn the_worst_replica_counts() {
        check(
            &[
                container("web", 2, State::Exited),
                container("web", 1, State::Running),
            ],
            &recorded("web", ServiceState::Running),
            &expect![[r#"
                stopped
                web nginx:1 exited x2 ["8080:80/tcp"] h1
            "#]],
        );
    }

    #[test]
    fn stopped_with_status_0_is_exited_unless_it_was_recorded_as_completed() {
        let done = [container("job", 1, State::Exited)];
        let state = |recorded| services(&done, &recorded)["job"].state;
        assert_eq!(
            state(recorded("job", ServiceState::Running)),
            ServiceState::Exited
        );
        assert_eq!(
            state(recorded("job", ServiceState::Completed)),
            ServiceState::Completed
        );
        assert_eq!(state(BTreeMap::new()), ServiceState::Completed);
        let pruned = services(&[], &recorded("job", ServiceState::Completed));
        assert_eq!(pruned, recorded("job", ServiceState::Completed));
    }

    #[test]
    fn crash_loops_and_failing_checks_are_unhealthy_and_one_offs_do_not_count() {
        let check_fails = Some(Health::Unhealthy);
        check(
            &[
                container("loop", 1, State::Restarting),
                Container {
                    health: check_fails,
                    ..container("web", 1, State::Running)
                },
                Container {
                    oneoff: true,
                    ..container("debug", 1, State::Running)
                },
                container("ok", 1, State::Running),
            ],
            &BTreeMap::new(),
            &expect![[r#"
                degraded
                loop nginx:1 unhealthy x1 ["8080:80/tcp"] h1
                ok nginx:1 running x1 ["8080:80/tcp"] h1
                web nginx:1 unhealthy x1 ["8080:80/tcp"] h1
            "#]],
        );
    }
}
