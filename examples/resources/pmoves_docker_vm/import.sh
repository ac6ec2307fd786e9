# The VMID alone and node/vmid are understood as well.
tofu import pmoves_docker_vm.apps qemu/101
