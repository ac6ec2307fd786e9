# The VMID alone and node/vmid are understood as well.
tofu import pmoves_docker_lxc.apps lxc/102
