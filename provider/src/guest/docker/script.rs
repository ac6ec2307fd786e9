//! The script that carries out a plan.
//!
//! Safe to repeat from the start after it broke off anywhere: what is ours is noted before it is made.

use super::plan::{Manifest, Plan};
use crate::guest::{daemon::Action, quote, write_file};

const FUNCTIONS: &str = include_str!("docker.sh");
const MANIFEST: &str = "/etc/pmoves/docker.json";

/// `install` is the script that brings the packages, if the plan wants any.
pub(super) fn script(plan: &Plan, install: Option<&str>) -> String {
    let mut steps = vec![FUNCTIONS.to_owned()];
    let mut step = |text: String| steps.push(text);
    if let Some(path) = &plan.mount_path {
        step(format!("mounted {}\n", quote(path)));
    }
    if let Some(root) = &plan.left_root {
        step(format!("unused {}\n", quote(root)));
    }
    let [during, after] = &plan.manifests;
    step("mkdir -p /etc/docker /etc/pmoves\n".to_owned());
    step(manifest(during));
    for (path, text) in &plan.files {
        let folder = path.rsplit_once('/').map_or("/", |(folder, _)| folder);
        step(format!(
            "mkdir -p {}\n{}",
            quote(folder),
            write_file(path, "0644", text.as_bytes())
        ));
    }
    if plan
        .removed
        .iter()
        .any(|path| path.ends_with("pmoves-prune.timer"))
    {
        step("systemctl disable --now pmoves-prune.timer || true\n".to_owned());
    }
    for path in &plan.removed {
        step(format!("rm -f {}\n", quote(path)));
    }
    if let Some(text) = &plan.daemon_json {
        step(write_file(
            "/etc/docker/daemon.json.pmoves",
            "0644",
            text.as_bytes(),
        ));
        step("accept /etc/docker/daemon.json.pmoves\n".to_owned());
    }
    step("systemctl daemon-reload\n".to_owned());
    if let Some(install) = install {
        step(format!("(\n{install})\n"));
    }
    if plan.release {
        step("release\n".to_owned());
    }
    step(
        match plan.action {
            Action::None => "start\n",
            Action::Reload => "reload\n",
            Action::Restart => "restart\n",
            Action::Move => "halt\nstart\n",
        }
        .to_owned(),
    );
    for user in &plan.join {
        step(format!("usermod -aG docker {}\n", quote(user)));
    }
    for user in &plan.leave {
        step(format!("gpasswd -d {} docker\n", quote(user)));
    }
    if plan
        .files
        .keys()
        .any(|path| path.ends_with("pmoves-prune.timer"))
    {
        step(
            "systemctl enable --quiet pmoves-prune.timer\nsystemctl restart pmoves-prune.timer\n"
                .to_owned(),
        );
    }
    step(manifest(after));
    steps.concat()
}

fn manifest(manifest: &Manifest) -> String {
    let text = serde_json::to_string(manifest).expect("sets of strings are JSON");
    write_file(MANIFEST, "0644", text.as_bytes())
}
