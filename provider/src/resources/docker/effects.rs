//! What a plan of the `docker` attribute means beyond it. Pure.

use crate::framework::Plan;

/// What a change of `docker` makes of the computed attributes beside it.
pub(in crate::resources) fn effects(plan: &mut Plan<'_>) {
    let swapped = !plan.creating()
        && !plan.prior.at("docker.source").is_null()
        && plan.changed("docker.source");
    if !plan.creating()
        && ["source", "version", "repository_url", "proxy"]
            .iter()
            .any(|name| plan.changed(&format!("docker.{name}")))
        && plan.value.get("started").as_bool() != Some(false)
    {
        plan.unknown("docker_version");
        plan.unknown("compose_version");
    }
    let open = ["source", "version", "repository_url"]
        .iter()
        .all(|name| plan.config.at(&format!("docker.{name}")).is_null());
    // Left open, a clone has what its source has, which only its guest can tell.
    let cloned = plan.creating() && !plan.config.get("clone").is_null();
    if cloned && open && plan.value.get("docker").as_map().is_some() {
        plan.unknown("docker.source");
    }
    let source = plan.value.at("docker.source").as_str().map(str::to_owned);
    for (name, fitting) in [
        ("version", &["distro", "docker"][..]),
        ("repository_url", &["docker"]),
        ("repository_key", &["docker"]),
    ] {
        let at = format!("docker.{name}");
        let fits = source
            .as_deref()
            .is_none_or(|source| fitting.contains(&source));
        if !plan.config.at(&at).is_null() && !fits {
            let detail = format!("{name} is for source = {:?}.", fitting.join(" or "));
            plan.error(&at, format!("{name} does not go with the source"), detail);
        }
    }
    if swapped {
        plan.error(
            "docker.source",
            "Docker's source cannot be swapped",
            "The packages of the two sources exclude each other, and what runs on the host would go \
             down with them. Make a new host and move the stacks.",
        );
    }
}
