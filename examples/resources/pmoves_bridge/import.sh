# The node, a slash, and the name of the bridge.
tofu import pmoves_bridge.docker pve1/vmbr1
