//! Turning a VM into a template.

use std::time::Duration;

use super::clone::disks;
use super::drives;
use crate::simulator::call::{Allow, Call, Route, now};
use crate::simulator::reply::{Fail, Outcome};

pub(crate) const ROUTES: &[Route] = &[Route {
    call: "POST /nodes/{node}/qemu/{vmid}/template",
    allow: Allow::All("/vms/{vmid}", &["VM.Allocate"]),
    rules: "+vm; +convertible",
    handler: now!(template),
}];

fn template(call: &Call) -> Outcome {
    let (node, vmid) = (call.node().to_owned(), call.params.vmid());
    {
        let state = call.world.state();
        let vm = state.vm(&node, vmid)?;
        vm.check_lock()?;
        if !vm.snapshots.is_empty() {
            return Err(Fail::died(
                "unable to create template, because VM contains snapshots",
            ));
        }
        if vm.is_template() {
            return Err(Fail::died("you can't convert a template to a template"));
        }
        if vm.running.is_some() {
            return Err(Fail::died(
                "you can't convert a VM to template if VM is running",
            ));
        }
    }
    Ok(
        call.start_task("qmtemplate", &vmid.to_string(), |worker| async move {
            worker.takes(Duration::from_millis(500)).await?;
            let mut state = worker.world.state();
            let config = state
                .vm(&node, vmid)
                .map_err(|fail| fail.text())?
                .config
                .clone();
            let mut after = config.clone();
            for (key, mut drive) in disks(&config) {
                if drives::is_cdrom(&drive) {
                    continue;
                }
                let from = drive.get("file").cloned().unwrap_or_default();
                let base = from.replacen(&format!("vm-{vmid}-"), &format!("base-{vmid}-"), 1);
                let place = state.place(&node, &from);
                if let Some(volume) = state.volumes.remove(&place) {
                    state.put_volume(&node, &base, volume);
                }
                drive.insert("file".to_owned(), base);
                after.insert(key.clone(), drives::print(&key, &drive));
            }
            after.insert("template".to_owned(), "1".to_owned());
            state
                .vm_mut(&node, vmid)
                .map_err(|fail| fail.text())?
                .config = after;
            Ok(())
        }),
    )
}
