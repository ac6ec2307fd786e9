"""Makes, clones, configures and deletes a VM, as programs of others do: ENDPOINT, PASSWORD, CA_FILE."""

import sys
import time
import urllib.parse

from proxmoxer import ProxmoxAPI, ResourceException


def wait(node, upid):
    while (task := node.tasks(upid).status.get())["status"] == "running":
        time.sleep(0.02)
    assert task["exitstatus"] == "OK", task


endpoint, password, ca = sys.argv[1:]
url = urllib.parse.urlsplit(endpoint)
pve = ProxmoxAPI(url.hostname, port=url.port, user="root@pam", password=password, verify_ssl=ca)
assert pve.version.get()["release"] == "9.2"
node = pve.nodes(pve.nodes.get()[0]["node"])

vmid = int(pve.cluster.nextid.get())
wait(node, node.qemu.post(vmid=vmid, name="first", memory=1024, scsi0="local-lvm:4", net0="virtio,bridge=vmbr0"))
wait(node, node.qemu(vmid).clone.post(newid=vmid + 1, name="second", full=1))
second = node.qemu(vmid + 1)
second.config.put(cores=3, description="a=b; c & d", tags="b;a")
wait(node, second.resize.put(disk="scsi0", size="+1G"))
config = second.config.get()
assert (config["cores"], config["description"], config["tags"]) == (3, "a=b; c & d", "a;b"), config
assert "size=5G" in config["scsi0"], config
wait(node, second.status.start.post())
assert second.status.current.get()["status"] == "running"
wait(node, second.status.stop.post())

try:
    second.config.put(cores=0)
    raise SystemExit("no cores were accepted")
except ResourceException as refusal:
    assert refusal.status_code == 400, refusal
    assert refusal.errors == {"cores": "value must have a minimum value of 1"}, refusal.errors

for guest in (second, node.qemu(vmid)):
    wait(node, guest.delete(purge=1))
assert node.qemu.get() == []
print("done")
