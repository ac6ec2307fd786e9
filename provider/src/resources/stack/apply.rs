//! Brings a stack to its host.

use std::{collections::BTreeMap, time::Duration};

use super::{Service, Stack, read::note_services, text};
use crate::{
    framework::{Context, Failure, Result, State, duration},
    guest::{
        self,
        compose::{self, Project},
        project::{self, Pause, containers::Container, down, health, inputs, manifest, ship, up},
        reached::Reached,
    },
    pve::Pve,
    resources::{
        cluster::Cluster,
        host::{HostId, ssh::Ssh},
    },
};

/// A host that a stack is brought to.
pub(super) struct Host {
    pub(super) guest: Reached,
    pve: Pve,
    vmid: u32,
}

impl Host {
    pub(super) async fn of(
        cx: &Context<'_, Cluster>,
        host_id: &str,
        ssh: Option<&Ssh>,
    ) -> Result<Self> {
        let pve = cx.client.pve(cx)?;
        let missing = || Failure::new(format!("the cluster has no guest {host_id}")).at("host_id");
        let HostId { kind, vmid } = HostId::parse(host_id).ok_or_else(missing)?;
        let row = pve.guest_opt(vmid).await?;
        let row = row.filter(|row| row.kind == kind.word());
        let guest = cx
            .client
            .guest(&pve, &row.ok_or_else(missing)?, ssh)
            .await?;
        cx.client.forget(vmid);
        Ok(Self { guest, pve, vmid })
    }

    /// Ships the files, lets Compose do its work, and waits for the services.
    pub(super) async fn apply(
        &self,
        cx: &Context<'_, Cluster>,
        prior: &Stack,
        plan: Stack,
        state: &mut State<Stack>,
    ) -> Result<()> {
        let values = plan.with_secret_names();
        let project = match text::parse(&values, &values) {
            text::Parsed::Project(project) => *project,
            text::Parsed::Faulty(faults) => {
                let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
                return Err(Failure::new(lines.join("\n")).at("compose"));
            }
            text::Parsed::Unknown => return Err(Failure::new("the text is not known")),
        };
        let before = manifest::prepare(&self.guest, &plan.directory()).await?;
        let mut shipped = plan.shipped();
        shipped.input_labels = inputs::labels(&before.key, &shipped, &uses(&project));
        // From here something of it may be on the host, but the secrets are not.
        let unfinished = unfinished(prior, &plan, &project);
        state.save(Stack {
            env_wo_version: prior.env_wo_version.clone(),
            secrets_wo_version: prior.secrets_wo_version.clone(),
            ..unfinished.clone()
        });
        ship::ship(&self.guest, &shipped, before.manifest.as_ref()).await?;
        state.save(unfinished);
        let pause = Pauses(self.pve.clone());
        let left = cx
            .deadline
            .saturating_duration_since(tokio::time::Instant::now());
        up::up(&self.guest, &pause, &shipped, left)
            .await
            .map_err(explain)?;
        let patience = plan.wait_timeout.as_deref();
        let patience = patience
            .and_then(|text| duration::parse(text).ok())
            .unwrap_or(Duration::from_mins(5));
        let containers = if plan.wait == Some(false) {
            health::containers(&self.guest, &plan.name).await?
        } else {
            health::wait(&self.guest, &pause, &plan.name, &wanted(&project), patience)
                .await
                .map_err(explain)?
        };
        let (own, strays): (Vec<_>, Vec<_>) = containers
            .into_iter()
            .partition(|container| project.services.contains_key(&container.service));
        if shipped.remove_orphans {
            self.remove(&strays).await?;
        }
        let mut done = plan;
        note_services(&mut done, &own, &BTreeMap::new());
        for (name, service) in running(&project) {
            let services = done.services.get_or_insert_default();
            services
                .entry(name.clone())
                .or_insert_with(|| missing(service));
        }
        done.id = Some(format!("{}/{}", done.host_id, done.name));
        state.save(done);
        cx.client.forget(self.vmid);
        Ok(())
    }

    /// Compose takes the services of profiles that are not in use for none of its orphans.
    async fn remove(&self, strays: &[Container]) -> Result<()> {
        let strays = strays.iter().filter(|container| !container.oneoff);
        let ids: Vec<&str> = strays.map(|container| container.id.as_str()).collect();
        if !ids.is_empty() {
            down::remove_containers(&self.guest, &ids).await?;
        }
        Ok(())
    }
}

/// Pauses that end when the operation is cancelled or its time is over.
struct Pauses(Pve);

impl Pause for Pauses {
    async fn pause(&self, time: Duration) -> guest::Result<()> {
        Ok(self.0.pause("the stack", time).await?)
    }
}

/// What the state says while an apply is not done: services that it changes have no hash, which
/// makes them outdated until an apply succeeds.
fn unfinished(prior: &Stack, plan: &Stack, project: &Project) -> Stack {
    let planned = |name: &str| plan.services.as_ref()?.get(name);
    let service = |(name, service): (&String, &compose::Service)| {
        let before = prior
            .services
            .as_ref()
            .and_then(|services| services.get(name));
        let kept = planned(name).is_some_and(|planned| planned.config_hash.is_some());
        let now = match before {
            Some(before) if kept => before.clone(),
            Some(before) => Service {
                config_hash: None,
                ..before.clone()
            },
            None => missing(service),
        };
        (name.clone(), now)
    };
    Stack {
        services: Some(running(project).map(service).collect()),
        status: prior.status.clone().or_else(|| Some("stopped".into())),
        ..plan.clone()
    }
}

fn running(project: &Project) -> impl Iterator<Item = (&String, &compose::Service)> {
    let services = project.services.iter();
    services.filter(|(_, service)| service.replicas > 0)
}

fn missing(service: &compose::Service) -> Service {
    Service {
        image: service.image.clone(),
        image_digest: None,
        state: Some("missing".to_owned()),
        replicas: Some(0),
        ports: Some(Vec::new()),
        config_hash: None,
    }
}

/// Which shipped content each service sees without Compose noticing a change of it.
fn uses(project: &Project) -> BTreeMap<String, inputs::Uses> {
    let uses = |(name, service): (&String, &compose::Service)| {
        let content = service
            .content()
            .map(|content| ("content".to_owned(), content));
        let uses = inputs::Uses {
            secrets: service.secrets.clone(),
            texts: content.into_iter().collect(),
            ..inputs::Uses::default()
        };
        (name.clone(), uses)
    };
    project.services.iter().map(uses).collect()
}

fn wanted(project: &Project) -> BTreeMap<String, health::Wanted> {
    let wanted = |(name, service): (&String, &compose::Service)| {
        let wanted = health::Wanted {
            replicas: service.replicas,
            completes: service.wanted == compose::Wanted::Completed,
        };
        (name.clone(), wanted)
    };
    project.services.iter().map(wanted).collect()
}

/// Whether only settings of the provider differ, which nothing on the host knows.
pub(super) fn settings_only(prior: &Stack, plan: &Stack) -> bool {
    let bare = |stack: &Stack| Stack {
        pull: None,
        wait: None,
        wait_timeout: None,
        remove_orphans: None,
        recreate: None,
        delete_volumes: None,
        on_destroy: None,
        timeouts: None,
        env_wo: None,
        secrets_wo: None,
        status: None,
        ..stack.clone()
    };
    // Planned services may hold unknown values, which are none here: any such plan is work to do.
    bare(prior) == bare(plan)
}

fn explain(error: project::Error) -> Failure {
    let port = error.to_string().contains("port is already allocated");
    let failure = Failure::from(error).at("compose");
    match port {
        true => failure.hint("another container or program of the host listens on that port"),
        false => failure,
    }
}
