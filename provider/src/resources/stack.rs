//! `pmoves_stack`.
//!
//! Text and plan are in `text`; what runs on the host is in `guest::project`.

mod checks;
mod model;
#[cfg(test)]
mod tests;
mod text;

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value as Json, json};

pub use model::{Service, Stack};

use super::cluster::Cluster;
use crate::{
    framework::{
        Context, Failure, Plan, Resource, Result, State, Value, duration, model::untyped,
        resource::Faults,
    },
    guest::{
        self,
        agent::AgentGuest,
        compose::{self, Project, dotenv},
        facts,
        project::{
            self, Pause, Pull, Recreate, SecretFile, containers::Container, down, health, inputs,
            manifest, read_back, round, services, ship, up,
        },
    },
    pve::Pve,
    secret::Secret,
};

/// The resource.
pub struct StackResource;

impl Resource for StackResource {
    const NAME: &'static str = "pmoves_stack";
    type Client = Cluster;
    type Model = Stack;

    fn validate(config: &Value, found: &mut Faults<'_>) {
        text::validate(config, found);
    }

    fn effects(plan: &mut Plan<'_>) {
        text::effects(plan);
    }

    async fn check(
        &self,
        cx: &Context<'_, Cluster>,
        plan: &Plan<'_>,
        found: &mut Faults<'_>,
    ) -> Result<()> {
        let Some(vmid) = plan
            .value
            .get("host_id")
            .as_str()
            .and_then(checks::guest_number)
        else {
            return Ok(());
        };
        if !plan.creating() {
            return Ok(());
        }
        let Some(pve) = cx.client.pve_opt(cx) else {
            return Ok(());
        };
        // A host that is not there may be made by this very apply.
        let rows = pve.guests().await?;
        match rows.iter().find(|row| row.vmid == vmid) {
            Some(row) if row.kind != "qemu" => {
                found.error(
                    "host_id",
                    "Not a VM",
                    format!("{vmid} is a container; its id is lxc/{vmid}."),
                );
            }
            Some(row) if row.template => found.error(
                "host_id",
                "A template runs nothing",
                format!("qemu/{vmid} is a template."),
            ),
            _ => {}
        }
        Ok(())
    }

    async fn create(
        &self,
        cx: &Context<'_, Cluster>,
        plan: Stack,
        state: &mut State<Stack>,
    ) -> Result<()> {
        let host = Host::of(cx, &plan.host_id).await?;
        let seen = facts::read(&host.guest).await?;
        facts::guard(&seen).map_err(|error| Failure::from(error).at("host_id"))?;
        host.apply(cx, &Stack::default(), plan, state).await
    }

    async fn read(
        &self,
        cx: &Context<'_, Cluster>,
        prior: Stack,
        state: &mut State<Stack>,
    ) -> Result<()> {
        let Some(pve) = cx.client.pve_or_warn(cx, state)? else {
            return Ok(());
        };
        let vmid = prior.vmid()?;
        let Some(row) = pve.guest_opt(vmid).await? else {
            // Without its host the stack cannot be there; whether the host is gone is for the host to say.
            match pve.vmid_is_free(vmid).await? {
                true => state.remove(),
                false => state.warn(
                    format!("{} was not looked at", prior.label()),
                    "Its host is not in the list of the cluster.",
                ),
            }
            return Ok(());
        };
        if cx.importing {
            let guest = AgentGuest::new(pve.clone(), &row.node, vmid);
            return adopt(&guest, prior, state).await;
        }
        let look = cx.client.look(&pve, &row.node, vmid).await;
        let look = match look.as_ref() {
            Ok(look) => look,
            Err(silence) => {
                state.warn(
                    format!("{} was not looked at", prior.label()),
                    format!(
                        "Its host does not answer; the state keeps what was last known. {}",
                        silence.0
                    ),
                );
                state.save(Stack {
                    status: Some("unreachable".into()),
                    ..prior
                });
                return Ok(());
            }
        };
        match &look.round.docker {
            round::Docker::Running { .. } => {}
            other => {
                state.warn(
                    format!("{} was not looked at", prior.label()),
                    match other {
                        round::Docker::Down { message } => {
                            format!("Docker does not answer on its host: {message}")
                        }
                        _ => "Docker is not installed on its host.".to_owned(),
                    },
                );
                state.save(Stack {
                    status: Some("unreachable".into()),
                    ..prior
                });
                return Ok(());
            }
        }
        let Some(facts) = look.round.stacks.get(&prior.name) else {
            state.remove();
            return Ok(());
        };
        let mut next = prior.clone();
        if differs(&prior, facts) {
            let guest = AgentGuest::new(pve.clone(), &row.node, vmid);
            note_texts(&guest, &mut next).await?;
        }
        note_services(&mut next, &facts.containers, &recorded(&prior));
        state.save(next);
        Ok(())
    }

    async fn update(
        &self,
        cx: &Context<'_, Cluster>,
        prior: Stack,
        plan: Stack,
        state: &mut State<Stack>,
    ) -> Result<()> {
        if settings_only(&prior, &plan) {
            state.save(plan);
            return Ok(());
        }
        let host = Host::of(cx, &plan.host_id).await?;
        host.apply(cx, &prior, plan, state).await
    }

    async fn delete(
        &self,
        cx: &Context<'_, Cluster>,
        prior: Stack,
        _state: &mut State<Stack>,
    ) -> Result<()> {
        if prior.on_destroy.as_deref() == Some("keep") {
            return Ok(());
        }
        let pve = cx.client.pve(cx)?;
        let vmid = prior.vmid()?;
        let Some(row) = pve.guest_opt(vmid).await? else {
            return Ok(());
        };
        let removal = down::Removal {
            project: prior.name.clone(),
            directory: prior.directory(),
            compose_files: text::texts(&untyped(&prior))
                .into_iter()
                .map(|(name, _)| name)
                .collect(),
            delete_volumes: prior.delete_volumes == Some(true),
        };
        let guest = AgentGuest::new(pve, row.node, vmid);
        cx.client.forget(vmid);
        down::down(&guest, &removal).await.map_err(|error| {
            let silent = matches!(&error, project::Error::Guest(guest::Error::Api(_)));
            let failure = Failure::from(error);
            match silent {
                true => failure.hint("if the host will not come back, set on_destroy = \"keep\" and apply, or `tofu state rm` the stack"),
                false => failure,
            }
        })?;
        Ok(())
    }

    fn import(id: &str) -> Result<Json> {
        let parsed = id.rsplit_once('/').filter(|(host, name)| {
            checks::guest_number(host).is_some() && checks::project_name(&(*name).into()).is_ok()
        });
        let (host, name) = parsed.ok_or_else(|| {
            Failure::new(format!("{id:?} is no stack; write it as qemu/101/NAME"))
        })?;
        Ok(json!({ "id": id, "host_id": host, "name": name }))
    }
}

/// A host that a stack is brought to.
struct Host {
    guest: AgentGuest,
    pve: Pve,
    vmid: u32,
}

impl Host {
    async fn of(cx: &Context<'_, Cluster>, host_id: &str) -> Result<Self> {
        let pve = cx.client.pve(cx)?;
        let vmid = checks::guest_number(host_id)
            .ok_or_else(|| Failure::new(format!("{host_id:?} is no VM")).at("host_id"))?;
        let row = pve.guest_opt(vmid).await?.ok_or_else(|| {
            Failure::new(format!("the cluster has no guest {host_id}")).at("host_id")
        })?;
        let guest = AgentGuest::new(pve.clone(), row.node, vmid);
        cx.client.forget(vmid);
        Ok(Self { guest, pve, vmid })
    }

    /// Ships the files, lets Compose do its work, and waits for the services.
    async fn apply(
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
        // From here something of it may be on the host.
        state.save(Stack {
            services: prior.services.clone(),
            status: prior.status.clone().or_else(|| Some("stopped".into())),
            ..plan.clone()
        });
        ship::ship(&self.guest, &shipped, before.manifest.as_ref()).await?;
        let pause = Pauses(self.pve.clone());
        let left = cx
            .deadline
            .saturating_duration_since(tokio::time::Instant::now());
        up::up(&self.guest, &pause, &shipped, left)
            .await
            .map_err(explain)?;
        let wanted = wanted(&project);
        let patience = plan
            .wait_timeout
            .as_deref()
            .and_then(|text| duration::parse(text).ok())
            .unwrap_or(Duration::from_secs(300));
        if plan.wait != Some(false) {
            health::wait(&self.guest, &pause, &plan.name, &wanted, patience)
                .await
                .map_err(explain)?;
        }
        let containers = self.containers(&plan).await?;
        let mut done = plan;
        note_services(&mut done, &containers, &BTreeMap::new());
        done.id = Some(format!("{}/{}", done.host_id, done.name));
        state.save(done);
        cx.client.forget(self.vmid);
        Ok(())
    }

    async fn containers(&self, stack: &Stack) -> Result<Vec<Container>> {
        let mut round = round::round(&self.guest, &[]).await?;
        Ok(round
            .stacks
            .remove(&stack.name)
            .unwrap_or_default()
            .containers)
    }
}

/// Pauses that end when the operation is cancelled or its time is over.
struct Pauses(Pve);

impl Pause for Pauses {
    async fn pause(&self, time: Duration) -> guest::Result<()> {
        Ok(self.0.pause("the stack", time).await?)
    }
}

/// Which shipped content each service sees without Compose noticing a change of it.
fn uses(project: &Project) -> BTreeMap<String, inputs::Uses> {
    project
        .services
        .iter()
        .map(|(name, service)| {
            let content = Some(service.content()).filter(|content| !content.is_empty());
            let uses = inputs::Uses {
                secrets: service.secrets.clone(),
                texts: content.map(|content| ("content".to_owned(), content)).into_iter().collect(),
                ..inputs::Uses::default()
            };
            (name.clone(), uses)
        })
        .collect()
}

fn wanted(project: &Project) -> BTreeMap<String, health::Wanted> {
    project
        .services
        .iter()
        .map(|(name, service)| {
            let wanted = health::Wanted {
                replicas: service.replicas,
                completes: service.wanted == compose::Wanted::Completed,
            };
            (name.clone(), wanted)
        })
        .collect()
}

/// Whether only settings of the provider differ, which nothing on the host knows.
fn settings_only(prior: &Stack, plan: &Stack) -> bool {
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
    let (before, after) = (bare(prior), bare(plan));
    // Planned services may hold unknown values, which are none here: any such plan is work to do.
    before == after && plan.recreate.as_deref() != Some("always")
}

/// Whether a shipped file is not as the state has it.
fn differs(prior: &Stack, facts: &round::StackFacts) -> bool {
    let known = prior.known();
    known.iter().any(|(path, content)| {
        facts
            .files
            .get(path)
            .is_none_or(|seen| seen.as_deref() != Some(manifest::sha256(content).as_str()))
    })
}

/// Takes over the texts as they are on the host, so that the plan shows what somebody changed.
async fn note_texts(guest: &AgentGuest, stack: &mut Stack) -> Result<()> {
    let known = stack.known();
    let asked = round::Known {
        project: stack.name.clone(),
        directory: stack.directory(),
        files: known
            .iter()
            .map(|(path, content)| (path.clone(), manifest::sha256(content)))
            .collect(),
    };
    let mut round = round::round(guest, &[asked]).await?;
    let facts = round.stacks.remove(&stack.name).unwrap_or_default();
    let names: Vec<String> = text::texts(&untyped(stack))
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    for path in known.keys() {
        let now = match facts.files.get(path) {
            Some(Some(_)) => facts
                .texts
                .get(path)
                .map(|bytes| String::from_utf8_lossy(bytes).into_owned()),
            _ => Some(String::new()),
        };
        let Some(now) = now else { continue };
        if path == ".env" {
            stack.env = dotenv::parse(".env", &now, &BTreeMap::new()).ok();
        } else if let Some(index) = names.iter().position(|name| name == path) {
            match (&mut stack.compose, &mut stack.compose_files) {
                (Some(text), _) => *text = now,
                (None, Some(texts)) => texts[index] = now,
                (None, None) => {}
            }
        } else if let Some(files) = &mut stack.files {
            match facts.files.get(path) {
                Some(Some(_)) => drop(files.insert(path.clone(), now)),
                _ => drop(files.remove(path)),
            }
        }
    }
    Ok(())
}

/// Reads a project that is on the host into a state.
async fn adopt(guest: &AgentGuest, prior: Stack, state: &mut State<Stack>) -> Result<()> {
    let found = read_back::read_back_opt(guest, &prior.name, &prior.directory()).await?;
    let Some(found) = found else {
        state.remove();
        return Ok(());
    };
    let mut next = Stack {
        project_directory: Some(found.directory.clone()),
        env: found
            .env
            .as_deref()
            .map(|text| dotenv::parse(".env", text, &BTreeMap::new()))
            .transpose()
            .map_err(|fault| Failure::new(fault.to_string()))?,
        files: Some(
            found
                .files
                .iter()
                .map(|(path, bytes)| (path.clone(), String::from_utf8_lossy(bytes).into_owned()))
                .collect(),
        ),
        ..prior
    };
    next.files = next
        .files
        .filter(|files: &BTreeMap<String, String>| !files.is_empty());
    let mut texts: Vec<String> = found
        .compose_files
        .into_iter()
        .map(|(_, text)| text)
        .collect();
    match texts.len() {
        1 => next.compose = texts.pop(),
        _ => next.compose_files = Some(texts),
    }
    let mut round = round::round(guest, &[]).await?;
    let containers = round
        .stacks
        .remove(&next.name)
        .unwrap_or_default()
        .containers;
    note_services(&mut next, &containers, &BTreeMap::new());
    state.save(next);
    Ok(())
}

fn note_services(
    stack: &mut Stack,
    containers: &[Container],
    recorded: &BTreeMap<String, services::Recorded>,
) {
    let facts = services::services(containers, recorded);
    stack.status = Some(services::status(&facts).to_owned());
    stack.services = Some(
        facts
            .into_iter()
            .map(|(name, facts)| {
                let service = Service {
                    image: Some(facts.image),
                    image_digest: facts.image_digest,
                    state: Some(facts.state.to_string()),
                    replicas: Some(i64::from(facts.replicas)),
                    ports: Some(facts.ports),
                    config_hash: Some(facts.config_hash),
                };
                (name, service)
            })
            .collect(),
    );
}

/// What the state recorded of each service right after the last apply.
fn recorded(prior: &Stack) -> BTreeMap<String, services::Recorded> {
    let services = prior.services.iter().flatten();
    services
        .map(|(name, service)| {
            let facts = services::ServiceFacts {
                image: service.image.clone().unwrap_or_default(),
                image_digest: service.image_digest.clone(),
                state: match service.state.as_deref() {
                    Some("completed") => services::ServiceState::Completed,
                    _ => services::ServiceState::Running,
                },
                replicas: service
                    .replicas
                    .and_then(|count| u32::try_from(count).ok())
                    .unwrap_or(1),
                ports: service.ports.clone().unwrap_or_default(),
                config_hash: service.config_hash.clone().unwrap_or_default(),
            };
            let image_label = String::new();
            (name.clone(), services::Recorded { facts, image_label })
        })
        .collect()
}

fn explain(error: project::Error) -> Failure {
    let port = error.to_string().contains("port is already allocated");
    let failure = Failure::from(error).at("compose");
    match port {
        true => failure.hint("another container or program of the host listens on that port"),
        false => failure,
    }
}

impl Stack {
    fn vmid(&self) -> Result<u32> {
        checks::guest_number(&self.host_id)
            .ok_or_else(|| Failure::new(format!("{:?} is no VM", self.host_id)))
    }

    fn label(&self) -> String {
        format!("The stack {}", self.name)
    }

    fn directory(&self) -> String {
        let default = || format!("{}/{}", checks::STACKS, self.name);
        self.project_directory.clone().unwrap_or_else(default)
    }

    /// This model as a value that still has its write-only attributes.
    fn with_secret_names(&self) -> Value {
        let mut value = untyped(self);
        for (attribute, entries) in [("env_wo", &self.env_wo), ("secrets_wo", &self.secrets_wo)] {
            if let Some(entries) = entries {
                let hidden = entries.keys().map(|name| (name.clone(), "".into()));
                value.put(attribute, Value::Map(hidden.collect()));
            }
        }
        value
    }

    /// Files whose content the state holds, by path below the project directory.
    fn known(&self) -> BTreeMap<String, Vec<u8>> {
        let texts = text::texts(&untyped(self))
            .into_iter()
            .map(|(name, text)| (name, text.into_bytes()));
        let files = self
            .files
            .iter()
            .flatten()
            .map(|(path, text)| (path.clone(), text.clone().into_bytes()));
        let env = self
            .env
            .as_ref()
            .map(|env| (".env".to_owned(), dotenv::write(env).into_bytes()));
        texts.chain(files).chain(env).collect()
    }

    fn shipped(&self) -> project::Stack {
        let exposed = |entries: &BTreeMap<String, Secret<String>>| -> BTreeMap<String, String> {
            entries
                .iter()
                .map(|(name, value)| (name.clone(), value.expose().clone()))
                .collect()
        };
        project::Stack {
            project: self.name.clone(),
            directory: self.directory(),
            compose_files: text::texts(&untyped(self)),
            files: self
                .files
                .iter()
                .flatten()
                .map(|(path, text)| (path.clone(), text.clone().into_bytes()))
                .collect(),
            env: self.env.as_ref().map(dotenv::write),
            env_secret: self
                .env_wo
                .as_ref()
                .map(|entries| project::Secret(dotenv::write(&exposed(entries)).into_bytes())),
            secrets: self
                .secrets_wo
                .iter()
                .flatten()
                .map(|(name, value)| (name.clone(), SecretFile::new(value.expose().clone())))
                .collect(),
            input_labels: BTreeMap::new(),
            profiles: self.profiles.iter().flatten().cloned().collect(),
            pull: match self.pull.as_deref() {
                Some("always") => Pull::Always,
                Some("never") => Pull::Never,
                _ => Pull::Missing,
            },
            remove_orphans: self.remove_orphans != Some(false),
            recreate: match self.recreate.as_deref() {
                Some("always") => Recreate::Always,
                Some("never") => Recreate::Never,
                _ => Recreate::Auto,
            },
        }
    }
}
