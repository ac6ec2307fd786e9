//! What a stack is on its host, for its state.

use std::collections::BTreeMap;

use super::{Service, Stack, text};
use crate::{
    framework::{Context, Failure, Result, State, model::untyped},
    guest::{
        compose::dotenv,
        project::{
            containers::Container,
            health, manifest, read_back,
            round::{Docker, HostRound, StackFacts},
            services,
            ship::{ENV_SECRET, SECRETS},
        },
        reached::Reached,
    },
    resources::cluster::Cluster,
};

/// Refreshes a state with the one look that its host and all stacks on it share.
pub(super) async fn read(
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
    if !cx.client.looks_in(cx) {
        return Ok(());
    }
    let guest = cx.client.guest(&pve, &row, prior.ssh.as_ref()).await?;
    if cx.importing {
        let done = adopt(&guest, prior, state).await;
        guest.close().await;
        return done;
    }
    let look = cx.client.look_by(vmid, guest.clone()).await;
    let round = match look.as_ref() {
        Ok(look) => &look.round,
        Err(silence) => {
            let why = format!(
                "Its host does not answer; the state keeps what was last known. {}",
                silence.0
            );
            unreachable(prior, why, state);
            return Ok(());
        }
    };
    match &round.docker {
        Docker::Running => {}
        Docker::Down { message } => {
            let why = format!("Docker does not answer on its host: {message}");
            unreachable(prior, why, state);
            return Ok(());
        }
        Docker::Absent => {
            unreachable(
                prior,
                "Docker is not installed on its host.".to_owned(),
                state,
            );
            return Ok(());
        }
    }
    let Some(facts) = round.stacks.get(&prior.name) else {
        state.remove();
        return Ok(());
    };
    let recorded = recorded(&prior);
    let mut next = prior;
    let noted = note_texts(&guest, &mut next, round, facts).await;
    guest.close().await;
    noted?;
    note_secrets(&mut next, round, facts);
    note_services(&mut next, &facts.containers, &recorded);
    state.save(next);
    Ok(())
}

fn unreachable(prior: Stack, why: String, state: &mut State<Stack>) {
    state.warn(format!("{} was not looked at", prior.label()), why);
    state.save(Stack {
        status: Some("unreachable".into()),
        ..prior
    });
}

/// A text of the state and where it lies on the host.
struct Text {
    of: Of,
    path: String,
    content: Vec<u8>,
}

enum Of {
    Compose(usize),
    Env,
    File(String),
}

/// All texts of a state. What we wrote has names of our choice; what someone else did is where the
/// youngest container says.
fn known(stack: &Stack, facts: &StackFacts) -> Vec<Text> {
    let youngest = facts
        .containers
        .iter()
        .max_by_key(|container| &container.created)
        .filter(|_| facts.written.is_empty());
    let directory = directory(stack, facts);
    let foreign: Vec<&String> = youngest
        .iter()
        .flat_map(|container| &container.config_files)
        .filter(|path| !path.starts_with(&format!("{directory}/.pmoves/")))
        .collect();
    let within = |path: &str| format!("{directory}/{path}");
    let compose = text::texts(&untyped(stack)).into_iter().enumerate();
    let compose = compose.map(|(index, (name, text))| Text {
        of: Of::Compose(index),
        path: foreign
            .get(index)
            .map_or_else(|| within(&name), |path| (*path).clone()),
        content: text.into_bytes(),
    });
    let files = stack.files.iter().flatten();
    let files = files.map(|(path, text)| Text {
        of: Of::File(path.clone()),
        path: within(path),
        content: text.clone().into_bytes(),
    });
    let env = stack.env.iter().map(|env| Text {
        of: Of::Env,
        path: within(".env"),
        content: dotenv::write(env).into_bytes(),
    });
    compose.chain(files).chain(env).collect()
}

fn directory(stack: &Stack, facts: &StackFacts) -> String {
    facts.directory.clone().unwrap_or_else(|| stack.directory())
}

/// Takes over the texts as they are on the host, so that the plan shows what somebody changed. Only
/// those that differ are fetched.
async fn note_texts(
    guest: &Reached,
    stack: &mut Stack,
    round: &HostRound,
    facts: &StackFacts,
) -> Result<()> {
    let mut differing = known(stack, facts);
    differing.retain(|text| round.sums.get(&text.path) != Some(&manifest::sha256(&text.content)));
    if differing.is_empty() {
        return Ok(());
    }
    let paths: Vec<_> = differing.iter().map(|text| text.path.clone()).collect();
    let contents = read_back::contents(guest, &paths).await?;
    for (text, content) in differing.into_iter().zip(contents) {
        let now = content.map(|content| String::from_utf8_lossy(&content).into_owned());
        match text.of {
            Of::Env => {
                let now = now.unwrap_or_default();
                stack.env = dotenv::parse(".env", &now, &BTreeMap::new()).ok();
            }
            Of::Compose(index) => match (&mut stack.compose, &mut stack.compose_files) {
                (Some(text), _) => *text = now.unwrap_or_default(),
                (None, Some(texts)) => texts[index] = now.unwrap_or_default(),
                (None, None) => {}
            },
            Of::File(path) => {
                let files = stack.files.get_or_insert_default();
                match now {
                    Some(now) => drop(files.insert(path, now)),
                    None => drop(files.remove(&path)),
                }
            }
        }
    }
    Ok(())
}

/// Secrets cannot be read back; that they are not what we wrote shows as a version that is not set.
fn note_secrets(stack: &mut Stack, round: &HostRound, facts: &StackFacts) {
    let directory = directory(stack, facts);
    let intact = |(path, sum): (&String, &String)| {
        round.sums.get(&format!("{directory}/{path}")) == Some(sum)
    };
    if !facts.written.get_key_value(ENV_SECRET).is_some_and(intact) {
        stack.env_wo_version = None;
    }
    let mut secrets = facts
        .written
        .iter()
        .filter(|(path, _)| path.starts_with(SECRETS));
    if facts.written.is_empty() || !secrets.all(intact) {
        stack.secrets_wo_version = None;
    }
}

/// Reads a project that is on the host into a state.
async fn adopt(guest: &Reached, prior: Stack, state: &mut State<Stack>) -> Result<()> {
    let found = read_back::read_back_opt(guest, &prior.name, &prior.directory()).await?;
    let Some(found) = found else {
        state.remove();
        return Ok(());
    };
    if let [lost, ..] = &found.lost[..] {
        return Err(Failure::new(format!(
            "the containers of {} were made from {lost}, which is not there any more",
            prior.name
        )));
    }
    let env = found.env.as_deref();
    let env = env.map(|text| dotenv::parse(".env", text, &BTreeMap::new()));
    let file =
        |(path, bytes): (String, Vec<u8>)| (path, String::from_utf8_lossy(&bytes).into_owned());
    let files: BTreeMap<_, _> = found.files.into_iter().map(file).collect();
    let mut next = Stack {
        project_directory: Some(found.directory),
        env: env
            .transpose()
            .map_err(|fault| Failure::new(fault.to_string()))?,
        files: Some(files).filter(|files| !files.is_empty()),
        ..prior
    };
    let mut texts: Vec<String> = found
        .compose_files
        .into_iter()
        .map(|(_, text)| text)
        .collect();
    match texts.len() {
        1 => next.compose = texts.pop(),
        _ => next.compose_files = Some(texts),
    }
    let containers = health::containers(guest, &next.name).await?;
    note_services(&mut next, &containers, &BTreeMap::new());
    state.save(next);
    Ok(())
}

/// Takes over what runs; `recorded` is what the last apply left, or nothing right after one.
pub(super) fn note_services(
    stack: &mut Stack,
    containers: &[Container],
    recorded: &BTreeMap<String, services::ServiceFacts>,
) {
    let facts = services::services(containers, recorded);
    stack.status = Some(services::status(&facts).to_owned());
    let service = |(name, facts): (String, services::ServiceFacts)| {
        let service = Service {
            image: Some(facts.image),
            image_digest: facts.image_digest,
            state: Some(facts.state.to_string()),
            replicas: Some(i64::from(facts.replicas)),
            ports: Some(facts.ports),
            config_hash: facts.config_hash,
        };
        (name, service)
    };
    stack.services = Some(facts.into_iter().map(service).collect());
}

/// What the state recorded of each service.
fn recorded(prior: &Stack) -> BTreeMap<String, services::ServiceFacts> {
    let replicas = |service: &Service| u32::try_from(service.replicas?).ok();
    let facts = |(name, service): (&String, &Service)| {
        let facts = services::ServiceFacts {
            image: service.image.clone().unwrap_or_default(),
            image_digest: service.image_digest.clone(),
            state: match service.state.as_deref() {
                Some("completed") => services::ServiceState::Completed,
                _ => services::ServiceState::Running,
            },
            replicas: replicas(service).unwrap_or(1),
            ports: service.ports.clone().unwrap_or_default(),
            config_hash: service.config_hash.clone(),
        };
        (name.clone(), facts)
    };
    prior.services.iter().flatten().map(facts).collect()
}
